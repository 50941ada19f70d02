"""Secret keys of the simulated Stripe are rolled as real ones are."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.support.simulator_process import CHARGE, Simulator, new_key, simulator


def rolled(running: Simulator, old: str, **fields: Any) -> str:
    """A new key of the account that ``old`` opens."""
    new = f"{old}_next"
    answer = running.post("/_keys/roll", {"old": old, "new": new, **fields})
    assert answer.status_code == 201, answer.text
    return new


def test_a_new_key_opens_the_account_of_the_old_one_with_its_idempotency_keys(
    stripe_simulator: Simulator, merchant: str
) -> None:
    options: Any = {"idempotency_key": new_key()}
    before = stripe_simulator.stripe_sdk(merchant)
    paid = before.v1.payment_intents.create(CHARGE, options)
    key = merchant
    for _ in range(2):
        key = rolled(stripe_simulator, key)
        after = stripe_simulator.stripe_sdk(key)
        assert after.v1.payment_intents.retrieve(paid.id).id == paid.id
        assert after.v1.payment_intents.create(CHARGE, options).id == paid.id
        assert stripe_simulator.movements(id=paid.id) != []
    other = stripe_simulator.stripe_sdk(f"{merchant}x")
    with pytest.raises(stripe.InvalidRequestError):
        other.v1.payment_intents.retrieve(paid.id)


def test_the_old_key_works_until_its_end_and_is_refused_then(merchant: str) -> None:
    with simulator("stripe") as running:
        rolled(running, merchant, ends_in=60)
        client = running.stripe_sdk(merchant)
        client.v1.payment_intents.create(CHARGE)
        running.advance(61)
        with pytest.raises(stripe.AuthenticationError) as caught:
            client.v1.payment_intents.create(CHARGE)
        error: Any = caught.value.error
        assert error.code == "api_key_expired"
        assert merchant not in str(caught.value)
        assert len(running.movements()) == 1


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"old": "sk_test_a"},
        {"old": "sk_test_a", "new": "sk_test_a"},
        {"old": "sk_test_a", "new": "rk_test_b"},
        {"old": "sk_test_a", "new": "sk_test_" + "b" * 300},
        {"old": "sk_test_a", "new": "sk_test_b", "ends_in": -1},
        {"old": "sk_test_a", "new": "sk_test_b", "ends_in": True},
        {"old": 1, "new": []},
    ],
)
def test_an_invalid_roll_is_refused_with_a_sentence(
    stripe_simulator: Simulator, wanted: dict[str, object]
) -> None:
    answer = stripe_simulator.post("/_keys/roll", wanted)
    assert answer.status_code == 400 and answer.json()["error"]


def test_a_new_key_replaces_one_key_only(
    stripe_simulator: Simulator, merchant: str
) -> None:
    new = rolled(stripe_simulator, merchant)
    again = stripe_simulator.post("/_keys/roll", {"old": f"{merchant}x", "new": new})
    assert (again.status_code, again.json()["error"]) == (400, "new was rolled before")
