"""Refusals and lists of the simulated Stripe, read by Stripe's own SDK."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.support.simulator_process import Simulator, pay_by_card


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"amount": 49}, "amount", "amount_too_small"),
        ({"amount": 100_000_000}, "amount", "amount_too_large"),
        ({"amount": "12.5"}, "amount", "parameter_invalid_integer"),
        ({"amount": ""}, "amount", "parameter_missing"),
        ({"currency": "xyz"}, "currency", None),
        ({"currency": "kwd", "amount": 1999}, "amount", None),
        ({"currency": "isk", "amount": 1950}, "amount", None),
        ({"payment_method": "pm_nobody"}, "payment_method", "resource_missing"),
        ({"capture_method": "later"}, "capture_method", None),
        ({"nonsense": "1"}, "nonsense", "parameter_unknown"),
        ({"return_url": ""}, None, None),
    ],
)
def test_a_wrong_parameter_is_refused_and_named(
    stripe_client: stripe.StripeClient, changes: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        pay_by_card(stripe_client, **changes)
    assert caught.value.http_status == 400
    assert (caught.value.param, caught.value.code) == (param, code)


def test_amounts_are_in_the_currencys_own_smallest_unit(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    for currency, amount in (("jpy", 1999), ("kwd", 1990), ("huf", 199900)):
        intent = pay_by_card(stripe_client, currency=currency, amount=amount)
        [row] = stripe_simulator.movements(id=intent.id)
        assert (row["amount"], row["currency"]) == (amount, currency.upper())


def test_only_test_keys_are_accepted(stripe_simulator: Simulator) -> None:
    for wrong in ("", "sk_live_abc", "sk_test_", "nonsense"):
        answer = stripe_simulator.stripe("GET", "/v1/payment_intents", merchant=wrong)
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_another_accounts_payment_is_not_found(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = pay_by_card(stripe_client)
    stranger = stripe_simulator.stripe_sdk("sk_test_stranger")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stranger.v1.payment_intents.retrieve(intent.id)
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_lists_are_newest_first_and_page_through_everything(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    made = [pay_by_card(stripe_client, metadata={"n": str(n)}).id for n in range(5)]
    stripe_simulator.advance(100)
    since = stripe_simulator.get("/_clock")["now"] - 50
    late = pay_by_card(stripe_client).id
    first = stripe_client.v1.payment_intents.list({"limit": 2})
    assert [each.id for each in first.data] == [late, made[4]]
    assert first.has_more
    assert [each.id for each in first.auto_paging_iter()] == [late, *made[::-1]]
    recent = stripe_client.v1.payment_intents.list({"created": {"gte": int(since)}})
    assert [each.id for each in recent.data] == [late]
    after = stripe_client.v1.payment_intents.list({"starting_after": made[1]})
    assert [each.id for each in after.data] == [made[0]]


def test_events_and_the_balance_have_each_movement(
    stripe_client: stripe.StripeClient,
) -> None:
    intent = pay_by_card(stripe_client)
    stripe_client.v1.refunds.create({"payment_intent": intent.id, "amount": 500})
    types = [event.type for event in stripe_client.v1.events.list().data]
    assert types == [
        "charge.refunded",
        "refund.created",
        "payment_intent.succeeded",
        "charge.succeeded",
        "payment_intent.created",
    ]
    lines = stripe_client.v1.balance_transactions.list().data
    assert [(line.type, line.amount) for line in lines] == [
        ("refund", -500),
        ("charge", 1999),
    ]
    event = stripe_client.v1.events.list({"type": "charge.succeeded"}).data[0]
    assert stripe_client.v1.events.retrieve(event.id).type == "charge.succeeded"
