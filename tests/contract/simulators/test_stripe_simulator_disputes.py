"""Disputes at the simulated Stripe, read by Stripe's own SDK."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.support.simulator_process import Simulator, pay_by_card


def dispute_events(client: stripe.StripeClient) -> list[str]:
    """Return the types of the account's dispute events, oldest first."""
    types = [event.type for event in client.v1.events.list().data]
    return [each for each in reversed(types) if each.startswith("charge.dispute.")]


def open_dispute(simulator: Simulator, **wanted: object) -> dict[str, Any]:
    """Open a dispute by the control call."""
    answer = simulator.post("/_disputes", wanted)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def move_dispute(simulator: Simulator, id: str, status: str) -> dict[str, Any]:
    """Move a dispute on by the control call."""
    answer = simulator.post(f"/_disputes/{id}", {"status": status})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_a_disputing_card_is_charged_and_then_disputed_with_the_fee_taken(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = pay_by_card(stripe_client, "pm_card_createDispute")
    [dispute] = stripe_client.v1.disputes.list({"payment_intent": intent.id}).data
    assert (dispute.status, dispute.reason) == ("needs_response", "fraudulent")
    assert (dispute.amount, dispute.currency) == (1999, "usd")
    assert not dispute.is_charge_refundable
    assert dispute.evidence_details.due_by
    [line] = dispute.balance_transactions
    assert (line.amount, line.fee, line.net) == (-1999, 1500, -3499)
    assert (line.type, line.reporting_category) == ("adjustment", "dispute")
    charge = stripe_client.v1.charges.retrieve(str(dispute.charge))
    assert charge.disputed and charge.status == "succeeded"
    assert dispute_events(stripe_client) == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
    ]
    [row] = stripe_simulator.movements(id=dispute.id)
    assert (row["kind"], row["amount"]) == ("withdraw", 1999)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_client.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_disputed"


@pytest.mark.parametrize(
    ("status", "kinds", "after"),
    [
        ("won", ["withdraw", "reinstate"], ["closed", "funds_reinstated"]),
        ("lost", ["withdraw"], ["closed"]),
    ],
)
def test_a_dispute_ends_won_or_lost_and_only_a_won_one_gives_the_money_back(
    stripe_client: stripe.StripeClient,
    stripe_simulator: Simulator,
    status: str,
    kinds: list[str],
    after: list[str],
) -> None:
    intent = pay_by_card(stripe_client)
    id = open_dispute(
        stripe_simulator, payment_intent=intent.id, reason="product_not_received"
    )["id"]
    assert move_dispute(stripe_simulator, id, "under_review")["status"] == (
        "under_review"
    )
    move_dispute(stripe_simulator, id, status)
    read = stripe_client.v1.disputes.retrieve(id)
    assert (read.status, read.reason) == (status, "product_not_received")
    assert sum(line.amount for line in read.balance_transactions) == (
        0 if status == "won" else -1999
    )
    assert [row["kind"] for row in stripe_simulator.movements(id=id)] == kinds
    assert dispute_events(stripe_client) == [
        f"charge.dispute.{step}"
        for step in ("created", "funds_withdrawn", "updated", *after)
    ]
    answer = stripe_simulator.post(f"/_disputes/{id}", {"status": "won"})
    assert answer.status_code == 400 and "after " + status in answer.json()["error"]


def test_an_inquiry_takes_nothing_until_it_becomes_a_chargeback(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    pay_by_card(stripe_client, "pm_card_createDisputeInquiry")
    [inquiry] = stripe_client.v1.disputes.list().data
    assert inquiry.status == "warning_needs_response"
    assert inquiry.is_charge_refundable and inquiry.balance_transactions == []
    assert stripe_simulator.movements(id=inquiry.id) == []
    move_dispute(stripe_simulator, inquiry.id, "needs_response")
    assert [row["kind"] for row in stripe_simulator.movements(id=inquiry.id)] == [
        "withdraw"
    ]
    assert dispute_events(stripe_client) == [
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.funds_withdrawn",
    ]


def test_an_inquiry_that_is_closed_leaves_the_money_refundable(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = pay_by_card(stripe_client)
    stripe_client.v1.refunds.create({"payment_intent": intent.id, "amount": 999})
    id = open_dispute(
        stripe_simulator, charge=intent.latest_charge, status="warning_needs_response"
    )["id"]
    move_dispute(stripe_simulator, id, "warning_closed")
    assert stripe_client.v1.disputes.retrieve(id).amount == 1000
    assert stripe_client.v1.refunds.create({"payment_intent": intent.id}).amount == 1000
    assert stripe_simulator.movements(id=id) == []


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({}, "must name a charge"),
        ({"charge": "ch_nobody"}, "must name a charge"),
        ({"reason": "spite"}, "reason must be one of"),
        ({"status": "won"}, "status must be one of"),
    ],
)
def test_a_dispute_that_cannot_be_opened_is_refused_with_a_reason(
    stripe_client: stripe.StripeClient,
    stripe_simulator: Simulator,
    wanted: dict[str, str],
    word: str,
) -> None:
    body = dict(wanted)
    if "reason" in body or "status" in body:
        body["payment_intent"] = pay_by_card(stripe_client).id
    answer = stripe_simulator.post("/_disputes", body)
    assert answer.status_code == 400 and word in answer.json()["error"]
    assert stripe_client.v1.disputes.list().data == []


def test_a_charge_is_disputed_once(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    held = pay_by_card(stripe_client, capture_method="manual")
    early = stripe_simulator.post("/_disputes", {"payment_intent": held.id})
    assert early.status_code == 400 and "holds no money" in early.json()["error"]
    stripe_client.v1.payment_intents.capture(held.id)
    open_dispute(stripe_simulator, payment_intent=held.id)
    again = stripe_simulator.post("/_disputes", {"payment_intent": held.id})
    assert again.status_code == 400 and "disputed already" in again.json()["error"]
    nobody = stripe_simulator.post("/_disputes/dp_nobody", {"status": "won"})
    assert nobody.status_code == 400
