"""A limit on an account's calls, as the providers have one."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
import stripe

from simulators.rate_limit import MAX_ACCOUNTS, RateLimit
from tests.support.simulator_process import (
    PayPalCaller,
    Simulator,
    eventually,
    new_key,
    pay_by_card,
    simulator,
)

#: Calls a second; a burst of ten is beyond it even on a slow machine.
LIMIT = 2


@pytest.fixture
def limited_stripe() -> Iterator[Simulator]:
    """A simulated Stripe that was started with a limit."""
    with simulator("stripe", "--rate-limit", str(LIMIT)) as running:
        yield running


def statuses(simulated: Simulator, merchant: str, count: int = 10) -> list[int]:
    """Of as many reads at once."""
    return [
        simulated.stripe("GET", "/v1/payment_intents", merchant=merchant).status_code
        for _ in range(count)
    ]


def test_calls_beyond_the_limit_are_refused_as_stripe_does(
    limited_stripe: Simulator, merchant: str
) -> None:
    client = limited_stripe.stripe_sdk(merchant)
    refused: list[stripe.RateLimitError] = []
    for _ in range(10):
        try:
            pay_by_card(client)
        except stripe.RateLimitError as error:
            refused.append(error)
    assert refused
    assert refused[0].http_status == 429
    assert int((refused[0].headers or {})["Retry-After"]) >= 1
    assert len(limited_stripe.movements()) == 10 - len(refused)


def test_an_account_gets_calls_again_after_a_while(
    limited_stripe: Simulator, merchant: str
) -> None:
    assert 429 in statuses(limited_stripe, merchant)
    eventually(
        lambda: statuses(limited_stripe, merchant, 1) == [200], "a token is available"
    )


def test_accounts_are_limited_independently(
    limited_stripe: Simulator, merchant: str
) -> None:
    assert 429 in statuses(limited_stripe, merchant)
    assert statuses(limited_stripe, f"sk_test_{uuid.uuid4().hex}", 1) == [200]


def test_a_refused_call_leaves_its_key_free(
    limited_stripe: Simulator, merchant: str
) -> None:
    form, key = {"amount": "1999", "currency": "usd"}, new_key()
    statuses(limited_stripe, merchant)

    def made() -> bool:
        answer = limited_stripe.stripe(
            "POST", "/v1/payment_intents", form, merchant=merchant, key=key
        )
        return answer.status_code == 200

    assert not made()
    eventually(made, "the same key was taken later")


def test_paypals_limit_is_set_and_ended_while_it_runs(
    paypal_simulator: Simulator, paypal: PayPalCaller
) -> None:
    def reads() -> list[int]:
        answers = [paypal.call("GET", "/v2/checkout/orders/none") for _ in range(10)]
        return [answer.status_code for answer in answers]

    assert paypal_simulator.get("/_rate_limit") == {"per_second": 0}
    try:
        set_to = paypal_simulator.post("/_rate_limit", {"per_second": LIMIT})
        assert set_to.json() == {"per_second": LIMIT}
        limited = [paypal.order() for _ in range(10)]
        refused = [one for one in limited if one.status_code == 429]
        assert refused[0].json()["name"] == "RATE_LIMIT_REACHED"
        assert int(refused[0].headers["Retry-After"]) >= 1
    finally:
        paypal_simulator.post("/_rate_limit", {"per_second": 0})
    assert set(reads()) == {404}


@pytest.mark.parametrize("wrong", [-1, 1e9, "2", None, True])
def test_an_invalid_limit_is_refused(
    stripe_simulator: Simulator, wrong: object
) -> None:
    answer = stripe_simulator.post("/_rate_limit", {"per_second": wrong})
    assert answer.status_code == 400
    assert "per_second" in answer.json()["error"]
    assert stripe_simulator.get("/_rate_limit") == {"per_second": 0}


def test_an_invalid_limit_stops_the_start() -> None:
    command = [sys.executable, "-m", "simulators", "stripe", "--rate-limit", "-1"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    assert "--rate-limit" in ended.stderr


def test_the_number_of_counted_accounts_is_bounded() -> None:
    limit = RateLimit(1)
    assert limit.take("first") is None
    assert limit.take("first") is not None
    for number in range(MAX_ACCOUNTS):
        limit.take(f"account {number}")
    assert limit.take("first") is None, "it was quiet for longest, and is forgotten"
