"""Tests of several captures of one hold: a lost answer captures nothing twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.payments.states import State, Status
from tests.support.workbench import Workbench

AMOUNTS = (500, 700, 799)


@pytest.fixture(params=["stripe", "paypal"])
def held(bench: Workbench, request: pytest.FixtureRequest) -> str:
    """A payment of 19.99 USD on hold that allows several captures."""
    return bench.complete_payment(request.param, capture="manual", multicapture=True)


def take(bench: Workbench, payment_id: str, amount: int, **more: Any) -> str:
    """Requests a capture that leaves the rest on hold; returns the operation's id."""
    asked = {"amount": amount, "final": False, **more}
    answer = bench.request(payment_id, "captures", **asked)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["operations"][-1]["id"])


def captures(payment: Payment) -> list[Operation]:
    """The captures of a payment, in the order of their requests."""
    return [one for one in payment.operations if one.kind is Kind.CAPTURE]


def lose_capture(bench: Workbench, payment: Payment) -> None:
    """Carries out the next capture of ``payment`` and loses its answer."""
    if payment.provider == "stripe":
        path = f"/v1/payment_intents/{payment.refs['payment_intent']}/capture"
    else:
        path = f"/v2/payments/authorizations/{payment.refs['authorization']}/capture"
    bench.lose_answer(payment.provider, path)


def test_a_second_capture_with_a_lost_answer_is_made_once(
    bench: Workbench, held: str
) -> None:
    take(bench, held, 500)
    lose_capture(bench, bench.work(held))
    take(bench, held, 700)
    lost = bench.step(held)
    assert [one.state for one in captures(lost)] == [State.SUCCEEDED, State.UNKNOWN]
    # The unknown capture keeps its reservation.
    refused = bench.request(held, "captures", amount=800, final=False)
    assert (refused.status_code, refused.json()["reason"]) == (
        409,
        "amount_exceeds_hold",
    )
    take(bench, held, 799)
    done = bench.work(held)
    assert done.status is Status.CAPTURED
    assert [one.moved for one in captures(done)] == list(AMOUNTS)
    assert sorted(bench.list_movements(held)[1:]) == [
        ("capture", each) for each in AMOUNTS
    ]
    sends = bench.event_types(held).count("attempt.sent")
    assert sends == 5, "the authorization, three captures, and the lost one again"


def test_a_lost_capture_past_its_window_is_identified_by_a_lookup(
    bench: Workbench, held: str
) -> None:
    take(bench, held, 700)
    bench.work(held)
    lose_capture(bench, bench.stored(held))
    lost = take(bench, held, 700)
    bench.step(held)
    take(bench, held, 599)
    _quieten(bench, held, lost)
    assert bench.step(held).operations[-1].state is State.SUCCEEDED
    provider = bench.stored(held).provider
    sent = bench.calls(provider, "POST")
    bench.pass_time(timedelta(hours=25) if provider == "stripe" else timedelta(days=20))
    if provider == "paypal":
        # PayPal keeps the key for 45 days, so the same request is sent again.
        assert bench.work(held).captured == 1999
        return
    done = bench.work(held)
    assert (done.captured, done.status) == (1999, Status.CAPTURED)
    assert bench.calls(provider, "POST") == sent
    assert [one.moved for one in captures(done)] == [700, 700, 599]
    assert len(bench.list_movements(held)) == 4


def test_several_captures_are_refunded_by_operation(
    bench: Workbench, held: str
) -> None:
    for amount in (500, 700):
        take(bench, held, amount)
        bench.work(held)
    refused = bench.request(held, "refunds")
    assert (refused.status_code, refused.json()["reason"]) == (409, "several_captures")
    for one in captures(bench.stored(held)):
        assert bench.request(held, "refunds", operation=one.id).status_code == 202
        bench.work(held)
    assert bench.stored(held).refunded == 1200
    assert bench.list_movements(held)[-2:] == [("refund", 500), ("refund", 700)]


def _quieten(bench: Workbench, payment_id: str, operation: str) -> None:
    """Postpones ``operation``, so that other due operations come first."""
    bench.database.payments.update_one(
        {"_id": payment_id, "operations.id": operation},
        {"$set": {"operations.$.due_at": bench.now() + timedelta(hours=2)}},
    )


def test_a_capture_that_never_arrived_is_proven_absent_beside_one_that_did(
    bench: Workbench,
) -> None:
    held = bench.complete_payment(capture="manual", multicapture=True)
    intent = bench.stored(held).refs["payment_intent"]
    path = f"/v1/payment_intents/{intent}/capture"
    bench.stripe.arm(do="replay_500", match={"method": "POST", "path": path})
    take(bench, held, 500)
    bench.step(held)
    take(bench, held, 700)
    bench.work(held)
    bench.pass_time(timedelta(minutes=11))
    done = bench.work(held)
    bench.pass_time(timedelta(minutes=11))
    done = bench.work(held)
    assert [one.moved for one in captures(done)] == [500, 700]
    assert done.status is Status.PARTIALLY_CAPTURED
    assert sorted(bench.list_movements(held)[1:]) == [
        ("capture", 500),
        ("capture", 700),
    ]


def test_a_partly_captured_hold_expires(bench: Workbench) -> None:
    held = bench.complete_payment(capture="manual", multicapture=True)
    take(bench, held, 500)
    bench.work(held)
    for _ in range(3):
        bench.pass_time(timedelta(days=3))
        bench.work(held)
    shown = bench.fetch(held)
    assert (shown["status"], shown["amount_captured"]) == ("captured", 500)
    assert shown["authorization"]["ended"] == "expired"
    assert shown["amount_capturable"] == 0


def test_a_shop_sees_whether_several_captures_are_possible(bench: Workbench) -> None:
    several = bench.complete_payment(capture="manual", multicapture=True)
    assert bench.fetch(several)["authorization"]["multicapture"] is True
    one = bench.complete_payment(
        capture="manual", multicapture=True, payment_method="pm_card_unionpay"
    )
    assert bench.fetch(one)["authorization"]["multicapture"] is False
    refused = bench.request(one, "captures", amount=500, final=False)
    assert (refused.status_code, refused.json()["reason"]) == (
        409,
        "releases_the_rest",
    )
    assert "this card" in refused.json()["detail"]
