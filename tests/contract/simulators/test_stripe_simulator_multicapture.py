"""Several captures of one authorization at the simulated Stripe, by Stripe's SDK."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.support.simulator_process import Simulator, pay_by_card

DAY = 86400
MULTICAPTURE = {"card": {"request_multicapture": "if_available"}}


def hold(
    client: stripe.StripeClient, method: str = "pm_card_visa"
) -> stripe.PaymentIntent:
    """Authorize 19.99 USD so that it can be captured several times."""
    return pay_by_card(
        client,
        method,
        capture_method="manual",
        payment_method_options=MULTICAPTURE,
        expand=["latest_charge"],
    )


def availability(intent: stripe.PaymentIntent) -> str:
    """Return whether the charge allows several captures."""
    charge: Any = intent.latest_charge
    status: str = charge.payment_method_details.card.multicapture.status
    return status


def capture(
    client: stripe.StripeClient, id: str, amount: int, final: bool
) -> stripe.PaymentIntent:
    """Capture a part."""
    return client.v1.payment_intents.capture(
        id, {"amount_to_capture": amount, "final_capture": final}
    )


def test_an_authorization_is_captured_in_parts_until_the_final_one(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = hold(stripe_client)
    assert availability(intent) == "available"
    part = capture(stripe_client, intent.id, 500, False)
    assert (part.status, part.amount_received, part.amount_capturable) == (
        "requires_capture",
        500,
        1499,
    )
    capture(stripe_client, intent.id, 700, False)
    with pytest.raises(stripe.InvalidRequestError, match="greater than"):
        capture(stripe_client, intent.id, 800, False)
    refund = stripe_client.v1.refunds.create(
        {"payment_intent": intent.id, "amount": 1200}
    )
    assert refund.status == "succeeded"
    last = capture(stripe_client, intent.id, 99, True)
    assert (last.status, last.amount_received, last.amount_capturable) == (
        "succeeded",
        1299,
        0,
    )
    charge = stripe_client.v1.charges.retrieve(str(last.latest_charge))
    assert (charge.amount_captured, charge.captured) == (1299, True)
    rows = stripe_simulator.movements(id=intent.id)
    assert [(row["kind"], row["amount"]) for row in rows] == [
        ("authorize", 1999),
        ("capture", 500),
        ("capture", 700),
        ("capture", 99),
    ]
    lines = stripe_client.v1.balance_transactions.list({"type": "charge"}).data
    assert [line.amount for line in lines] == [99, 700, 500]
    types = [event.type for event in stripe_client.v1.events.list().data]
    assert types[:2] == ["payment_intent.succeeded", "charge.captured"]
    assert types.count("charge.updated") == 2
    assert types.count("payment_intent.amount_capturable_updated") == 3


def test_the_rest_is_released_by_canceling_or_when_the_authorization_lapses(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    canceled, lapsed = hold(stripe_client).id, hold(stripe_client).id
    for id in (canceled, lapsed):
        capture(stripe_client, id, 500, False)
    stripe_client.v1.payment_intents.cancel(canceled)
    stripe_simulator.advance(7 * DAY + 1)
    for id in (canceled, lapsed):
        read = stripe_client.v1.payment_intents.retrieve(id)
        assert (read.status, read.amount_received, read.amount_capturable) == (
            "succeeded",
            500,
            0,
        )
    kinds = [row["kind"] for row in stripe_simulator.movements(id=canceled)]
    assert kinds == ["authorize", "capture", "void"]


def test_a_card_that_allows_one_capture_is_captured_once(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    union_pay = hold(stripe_client, "pm_card_unionpay")
    unasked = pay_by_card(
        stripe_client, capture_method="manual", expand=["latest_charge"]
    )
    for intent in (union_pay, unasked):
        assert availability(intent) == "unavailable"
        with pytest.raises(stripe.InvalidRequestError) as caught:
            capture(stripe_client, intent.id, 500, False)
        assert caught.value.param == "final_capture"
        done = capture(stripe_client, intent.id, 500, True)
        assert (done.status, done.amount_received) == ("succeeded", 500)
        assert len(stripe_simulator.movements(id=intent.id)) == 2


def test_the_rest_stays_on_hold_at_most_fifty_times(
    stripe_client: stripe.StripeClient,
) -> None:
    intent = hold(stripe_client)
    for _ in range(50):
        capture(stripe_client, intent.id, 1, False)
    with pytest.raises(stripe.InvalidRequestError, match="50 times"):
        capture(stripe_client, intent.id, 1, False)
    assert capture(stripe_client, intent.id, 1, True).amount_received == 51
