"""Connected accounts at the simulated Stripe, by Stripe's own SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stripe

from tests.support.simulator_process import (
    CHARGE,
    Receiver,
    Simulator,
    eventually,
    new_key,
    simulator,
)


def test_a_connected_account_has_objects_keys_and_a_ledger_of_its_own(
    stripe_simulator: Simulator, merchant: str
) -> None:
    platform = stripe_simulator.stripe_sdk(merchant)
    shop = stripe_simulator.stripe_sdk(merchant, "acct_shop")
    options: Any = {"idempotency_key": new_key()}
    paid = shop.v1.payment_intents.create(CHARGE, options)
    [row] = stripe_simulator.movements(id=paid.id)
    assert row["account"] == "acct_shop"
    assert shop.v1.payment_intents.retrieve(paid.id).id == paid.id
    # The key of one account is free in the other.
    own = platform.v1.payment_intents.create(CHARGE, options)
    [row] = stripe_simulator.movements(id=own.id)
    assert own.id != paid.id and row["account"] not in ("acct_shop", "")
    stranger = stripe_simulator.stripe_sdk(f"{merchant}x", "acct_shop")
    for other in (platform, stranger):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            other.v1.payment_intents.retrieve(paid.id)
        assert caught.value.code == "resource_missing"
    refund = shop.v1.refunds.create({"payment_intent": paid.id})
    [row] = stripe_simulator.movements(id=refund.id)
    assert (row["kind"], row["account"]) == ("refund", "acct_shop")


@pytest.mark.parametrize("account", ["acct_missing_1", "shop", "acct_a/acct_b"])
def test_an_account_that_the_key_may_not_use_is_refused(
    stripe_simulator: Simulator, merchant: str, account: str
) -> None:
    with pytest.raises(stripe.PermissionError) as caught:
        stripe_simulator.stripe_sdk(merchant, account).v1.refunds.list()
    error: Any = caught.value.error
    assert error.code == "account_invalid"


def test_events_name_their_connected_account(receiver: Receiver, merchant: str) -> None:
    with simulator("stripe", "--webhook-url", receiver.url) as running:
        shop = running.stripe_sdk(merchant, "acct_shop")
        shop.v1.payment_intents.create(CHARGE)
        eventually(lambda: len(receiver.received) == 3, "the connected one's events")
        running.stripe_sdk(merchant).v1.payment_intents.create(CHARGE)
        eventually(lambda: len(receiver.received) == 6, "the platform's events")
        bodies = [json.loads(body) for _, body in receiver.received]
        accounts = [event.get("account") for event in bodies]
        assert accounts == ["acct_shop"] * 3 + [None] * 3
        assert len(shop.v1.events.list().data) == 3
