"""Tests of disputes on their payments: the capture, the amounts and the display."""

from __future__ import annotations

import pytest

from domain.payments.dispute import DisputeState
from domain.payments.operation import Kind
from domain.payments.states import State, Status
from tests.support import dispute_steps
from tests.support.dispute_steps import OPENED, UPDATED, WITHDRAWN
from tests.support.webhook_workbench import WebhookWorkbench

BOTH = pytest.mark.parametrize("provider", ["stripe", "paypal"])


def test_an_escalated_stripe_inquiry_becomes_a_dispute(bench: WebhookWorkbench) -> None:
    work = bench.work
    payment_id = work.complete_payment()
    dispute_id = dispute_steps.open_dispute(
        bench, payment_id, status="warning_needs_response"
    )
    dispute_steps.deliver_all(bench, "stripe")
    [asked] = work.stored(payment_id).disputes
    assert (asked.inquiry, asked.withdrawn) == (True, 0)
    dispute_steps.move(bench, "stripe", dispute_id, "needs_response")
    dispute_steps.deliver_all(bench, "stripe")
    [taken] = work.stored(payment_id).disputes
    assert (taken.inquiry, taken.withdrawn) == (False, 1999)
    assert dispute_steps.facts(bench, payment_id) == [OPENED, WITHDRAWN, UPDATED]


@pytest.mark.parametrize(
    ("provider", "begin", "end", "outcome"),
    [
        ("stripe", "warning_needs_response", "warning_closed", "warning_closed"),
        ("paypal", "OPEN", "canceled", "canceled_by_buyer"),
    ],
)
def test_an_undecided_dispute_is_closed_and_withdraws_nothing(
    bench: WebhookWorkbench, provider: str, begin: str, end: str, outcome: str
) -> None:
    payment_id = bench.work.complete_payment(provider)
    dispute_steps.move(
        bench,
        provider,
        dispute_steps.open_dispute(bench, payment_id, status=begin),
        end,
    )
    dispute_steps.deliver_all(bench, provider)
    after = bench.work.stored(payment_id)
    [closed] = after.disputes
    assert (closed.state, closed.outcome) == (DisputeState.CLOSED, outcome)
    assert (after.disputed, closed.withdrawn) == (0, 0)
    assert dispute_steps.facts(bench, payment_id) == [OPENED, "dispute.closed"]


def test_a_capture_reversed_by_paypal_without_a_dispute_is_recorded(
    bench: WebhookWorkbench,
) -> None:
    work = bench.work
    payment_id = work.complete_payment("paypal")
    reversal = dispute_steps.reverse(bench, payment_id)
    [delivery] = dispute_steps.deliveries_of(bench, "paypal", ("CAPTURE.REVERSED",))
    bench.deliver(delivery)
    bench.deliver(delivery)
    after = work.stored(payment_id)
    [taken] = after.disputes
    assert (taken.id, taken.reason) == (reversal, "reversed")
    assert (taken.state, taken.withdrawn) == (DisputeState.LOST, 1999)
    assert taken.operation == after.first_operation.id
    assert dispute_steps.facts(bench, payment_id) == [OPENED, WITHDRAWN, "dispute.lost"]
    dispute_steps.is_untouched(after)


def test_a_reversal_after_a_won_dispute_is_a_dispute_of_its_own(
    bench: WebhookWorkbench,
) -> None:
    payment_id = bench.work.complete_payment("paypal")
    dispute_steps.move(
        bench, "paypal", dispute_steps.open_dispute(bench, payment_id), "won"
    )
    dispute_steps.deliver_all(bench, "paypal")
    reversal = dispute_steps.reverse(bench, payment_id)
    dispute_steps.deliver_all(bench, "paypal", "CAPTURE.REVERSED")
    won, taken = bench.work.stored(payment_id).disputes
    assert (won.state, won.reason) == (DisputeState.WON, "unauthorised")
    assert (taken.id, taken.reason) == (reversal, "reversed")


def test_a_dispute_of_one_of_two_captures_names_that_one(
    bench: WebhookWorkbench,
) -> None:
    work = bench.work
    payment_id = work.complete_payment("paypal", capture="manual")
    for amount in (1200, 799):
        assert work.request(payment_id, "captures", amount=amount).status_code == 202
        work.work(payment_id)
    second = work.stored(payment_id).operations[-1]
    dispute_steps.open_dispute(bench, payment_id, capture=second.refs["capture"])
    dispute_steps.deliver_all(bench, "paypal")
    after = work.stored(payment_id)
    assert [one.operation for one in after.disputes] == [second.id]
    assert (after.disputed, after.captured) == (799, 1999)


def test_captures_taken_by_a_lost_dispute_cannot_be_refunded(
    bench: WebhookWorkbench,
) -> None:
    work = bench.work
    payment_id = work.complete_payment(capture="manual", multicapture=True)
    for amount in (1200, 500):
        asked = work.request(payment_id, "captures", amount=amount, final=False)
        assert asked.status_code == 202
        work.work(payment_id)
    dispute_steps.move(
        bench, "stripe", dispute_steps.open_dispute(bench, payment_id), "lost"
    )
    dispute_steps.deliver_all(bench, "stripe")
    assert work.stored(payment_id).disputed == 1700
    refused = work.request(payment_id, "refunds", amount=500)
    assert (refused.status_code, refused.json()["reason"]) == (409, "nothing_to_refund")


def test_a_capture_of_stripes_is_disputed(bench: WebhookWorkbench) -> None:
    work = bench.work
    payment_id = work.complete_payment(capture="manual")
    assert work.request(payment_id, "captures").status_code == 202
    captured = work.work(payment_id).operations[-1]
    assert captured.kind is Kind.CAPTURE
    dispute_steps.open_dispute(bench, payment_id)
    dispute_steps.deliver_all(bench, "stripe")
    assert work.stored(payment_id).disputes[0].operation == captured.id


@BOTH
def test_a_refund_during_a_dispute_is_refused_with_its_reason(
    bench: WebhookWorkbench, provider: str
) -> None:
    work = bench.work
    payment_id = work.complete_payment(provider)
    dispute_id = dispute_steps.open_dispute(bench, payment_id)
    dispute_steps.deliver_all(bench, provider)
    assert work.request(payment_id, "refunds").status_code == 202
    refused = work.work(payment_id)
    assert refused.operations[-1].state is State.REJECTED
    dispute_steps.is_untouched(refused)
    shown = work.fetch(payment_id)
    assert shown["last_error"]["code"] == "charge_disputed"
    assert [one["state"] for one in shown["disputes"]] == ["needs_response"]
    dispute_steps.move(bench, provider, dispute_id, "won")
    dispute_steps.deliver_all(bench, provider)
    assert work.request(payment_id, "refunds").status_code == 202
    assert work.work(payment_id).status is Status.REFUNDED


@BOTH
def test_money_taken_by_a_lost_dispute_cannot_be_refunded(
    bench: WebhookWorkbench, provider: str
) -> None:
    work = bench.work
    payment_id = work.complete_payment(provider)
    dispute_steps.move(
        bench, provider, dispute_steps.open_dispute(bench, payment_id), "lost"
    )
    dispute_steps.deliver_all(bench, provider)
    refused = work.request(payment_id, "refunds")
    assert refused.status_code == 409
    assert refused.json()["reason"] == "nothing_to_refund"
    kinds = [kind for kind, _ in work.list_movements(payment_id)]
    assert kinds.count("refund") == 0


@BOTH
def test_a_shop_sees_its_disputes(bench: WebhookWorkbench, provider: str) -> None:
    work = bench.work
    quiet, payment_id = work.complete_payment(provider), work.complete_payment(provider)
    assert work.fetch(quiet)["disputes"] == []
    dispute_id = dispute_steps.open_dispute(bench, payment_id)
    dispute_steps.deliver_all(bench, provider)
    shown = work.fetch(payment_id)
    assert (shown["amount_disputed"], shown["amount_captured"]) == (1999, 1999)
    [dispute] = shown["disputes"]
    stored = work.stored(payment_id)
    assert dispute == {
        "id": dispute_id,
        "operation": stored.first_operation.id,
        "state": "needs_response",
        "inquiry": False,
        "reason": "fraudulent" if provider == "stripe" else "unauthorised",
        "amount": 1999,
        "amount_withdrawn": 1999 if provider == "stripe" else 0,
        "currency": "USD",
        "respond_by": dispute["respond_by"],
        "opened_at": dispute["opened_at"],
        "updated_at": dispute["updated_at"],
        "outcome": None,
    }
    assert dispute["opened_at"] < dispute["respond_by"]
    for query, ids in (("true", [payment_id]), ("false", [quiet])):
        found = work.shop.get(f"/v1/payments?disputed={query}").json()["data"]
        assert [one["id"] for one in found] == ids
    refused = work.shop.get("/v1/payments?disputed=maybe")
    assert refused.status_code == 422
