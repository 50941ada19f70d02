"""Tests of lookups of PayPal's authorizations, captures and refunds."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import NeedsReview
from domain.money import Money
from domain.payments.answer import Verdict
from domain.payments.operation import HoldEnd, Kind
from domain.payments.payment import Payment
from domain.payments.states import State, Status
from providers.paypal.adapter import PayPal
from tests.suites.accounts import capture, refund, void
from tests.support.provider_accounts import PAYPAL_METHODS, Account
from tests.support.simulator_control import ORDERS, Simulator

AUTHORIZATIONS = "/v2/payments/authorizations"
PRICE = {"currency_code": "USD", "value": "19.99"}
DEBUG_ID = {"PayPal-Debug-Id": "f0canned"}
ENDS = "2026-02-01T12:00:00Z"


@pytest.fixture
def account(paypal: PayPal, paypal_simulator: Simulator) -> Account:
    """An account at PayPal."""
    return Account(paypal, PAYPAL_METHODS, paypal_simulator)


def set_answer(account: Account, path: str, body: dict[str, Any]) -> None:
    """Sets the answer to the next read of that path."""
    account.simulator.arm(
        "answer", status=200, body=body, match={"method": "GET", "path": path}
    )


def a_resource(status: str, **fields: Any) -> dict[str, Any]:
    """An authorization, a capture or a refund of 19.99 USD."""
    return {"id": "2CANNED", "status": status, "amount": PRICE, **fields}


def an_order(name: str, *resources: dict[str, Any]) -> dict[str, Any]:
    """A completed order with these resources."""
    unit = {"reference_id": "default", "payments": {name: list(resources)}}
    return {
        "id": "1ORDER",
        "status": "COMPLETED",
        "intent": "AUTHORIZE",
        "purchase_units": [unit],
    }


def test_several_captures_are_taken_until_one_is_final(account: Account) -> None:
    payment = account.execute(capture(account.held(), 600))
    assert payment.status is Status.PARTIALLY_CAPTURED
    payment = account.execute(capture(payment, 300))
    payment = account.execute(capture(payment, 100, final=True))
    assert payment.hold is not None and payment.hold.ended is HoldEnd.CAPTURED
    assert payment.captured == 1000
    first, *captures = payment.operations
    for one in captures:
        assert account.look_up(payment, one).moved == Money(one.amount, "USD")
    assert account.look_up(payment, first).moved == Money(1999, "USD")
    rows = account.simulator.movements(payment)
    assert [row["amount"] for row in rows] == [1999, 600, 300, 100]


def test_the_rest_of_a_partial_capture_can_be_voided(account: Account) -> None:
    payment = account.execute(capture(account.held(), 600))
    payment = account.execute(void(payment))
    assert payment.operations[-1].state is State.SUCCEEDED
    assert account.moved_amounts(payment) == [1399]


def test_refunds_go_to_their_own_capture(account: Account) -> None:
    payment = account.execute(capture(account.held(), 600))
    payment = account.execute(capture(payment, 700))
    _, small, large = payment.operations
    payment = account.execute(refund(payment, 650))
    assert payment.operations[-1].target == large.id
    payment = account.execute(refund(payment, 600, target=small.id))
    assert payment.refunded == 1250
    for one in payment.operations[-2:]:
        assert account.look_up(payment, one).moved == Money(one.amount, "USD")


def test_a_lost_capture_is_distinguished_from_an_equal_one(
    account: Account,
) -> None:
    payment = account.execute(capture(account.held(), 500))
    account.simulator.arm("drop")
    assert (
        account.look_up(account.execute(capture(payment, 500))).verdict
        is Verdict.ABSENT
    )
    account.simulator.arm("commit_then_drop")
    seen = account.look_up(account.execute(capture(payment, 500)))
    assert seen.moved == Money(500, "USD")
    assert seen.refs["capture"] != payment.refs["capture"]


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("CREATED", Verdict.ABSENT),
        ("PENDING", Verdict.ABSENT),
        ("PARTIALLY_CAPTURED", Verdict.ABSENT),
        ("VOIDED", Verdict.SUCCEEDED),
        ("CAPTURED", Verdict.DECLINED),
        ("DENIED", Verdict.DECLINED),
    ],
)
def test_a_void_is_found_by_its_authorization(
    account: Account, status: str, verdict: Verdict
) -> None:
    payment = void(account.held())
    set_answer(account, AUTHORIZATIONS, a_resource(status))
    assert account.look_up(payment).verdict is verdict
    claimed = account.with_recorded_send(payment)
    set_answer(account, AUTHORIZATIONS, a_resource(status))
    answer = account.provider.send(claimed)
    # The call after the read releases the amount on hold.
    sends = verdict is Verdict.ABSENT
    assert answer.verdict is (Verdict.SUCCEEDED if sends else verdict)
    assert account.moved_amounts(payment) == ([1999] if sends else [])


@pytest.mark.parametrize(
    ("at", "verdict"),
    [("2026-01-31T12:00:00Z", Verdict.CANCELED), (ENDS, Verdict.EXPIRED)],
)
def test_an_authorization_voided_at_its_end_has_expired(
    account: Account, at: str, verdict: Verdict
) -> None:
    payment = capture(account.held())
    voided = a_resource("VOIDED", update_time=at, expiration_time=ENDS)
    for operation in payment.operations:
        set_answer(account, ORDERS, an_order("authorizations", voided))
        assert account.look_up(payment, operation).verdict is verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("COMPLETED", Verdict.SUCCEEDED),
        ("PARTIALLY_REFUNDED", Verdict.SUCCEEDED),
        ("REFUNDED", Verdict.SUCCEEDED),
        ("PENDING", Verdict.PENDING),
        ("DECLINED", Verdict.DECLINED),
        ("FAILED", Verdict.DECLINED),
    ],
)
def test_a_capture_is_read_by_its_status(
    account: Account, status: str, verdict: Verdict
) -> None:
    payment = capture(account.held())
    claimed = account.with_recorded_send(payment)
    said = a_resource(status, invoice_id=payment.operations[-1].id)
    account.simulator.arm_answer(201, said, DEBUG_ID)
    answer = account.provider.send(claimed)
    set_answer(account, ORDERS, an_order("captures", said))
    for each in (answer, account.look_up(payment)):
        assert each.verdict is verdict
        assert each.refs == {"capture": "2CANNED"}
        done = verdict is Verdict.SUCCEEDED
        assert each.moved == (Money(1999, "USD") if done else None)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("COMPLETED", Verdict.SUCCEEDED),
        ("PENDING", Verdict.PENDING),
        ("FAILED", Verdict.DECLINED),
        ("CANCELLED", Verdict.CANCELED),
    ],
)
def test_a_refund_is_read_by_its_status(
    account: Account, status: str, verdict: Verdict
) -> None:
    payment = refund(account.charged())
    claimed = account.with_recorded_send(payment)
    said = a_resource(
        status,
        invoice_id=payment.operations[-1].id,
        status_details={"reason": "ECHECK"},
    )
    account.simulator.arm_answer(201, said, DEBUG_ID)
    answer = account.provider.send(claimed)
    set_answer(account, ORDERS, an_order("refunds", said))
    for each in (answer, account.look_up(payment)):
        assert each.verdict is verdict
        assert each.refs == {"refund": "2CANNED"}
        done = verdict is Verdict.SUCCEEDED
        assert each.moved == (Money(1999, "USD") if done else None)
        if verdict is Verdict.PENDING:
            assert "ECHECK" in (each.waiting_for or "")
        assert (each.failure is not None) is (status in ("FAILED", "CANCELLED"))


@pytest.mark.parametrize("made", [("FAILED", "COMPLETED"), ("COMPLETED", "FAILED")])
@pytest.mark.parametrize("kind", [Kind.CHARGE, Kind.CAPTURE, Kind.REFUND])
def test_the_object_of_a_failed_send_does_not_hide_that_of_the_resend(
    account: Account, kind: Kind, made: tuple[str, str]
) -> None:
    """PayPal forgets a key that ended in an error: a resend makes a second object."""
    payment = account.charged() if kind is Kind.CHARGE else account.due(kind)
    name = "refund" if kind is Kind.REFUND else "capture"
    invoice = payment.operations[-1].id
    resources = [a_resource(one, id=f"2{one}", invoice_id=invoice) for one in made]
    order = an_order(f"{name}s", *resources)
    set_answer(account, ORDERS, {**order, "intent": kind.upper()})
    seen = account.look_up(payment)
    assert (seen.verdict, seen.refs[name]) == (Verdict.SUCCEEDED, "2COMPLETED")


def test_two_objects_that_were_not_refused_need_review(account: Account) -> None:
    payment = refund(account.charged())
    made = a_resource("COMPLETED", invoice_id=payment.operations[-1].id)
    set_answer(account, ORDERS, an_order("refunds", made, {**made, "id": "2OTHER"}))
    with pytest.raises(NeedsReview) as caught:
        account.look_up(payment)
    assert caught.value.detail == "made_twice"


def test_a_charge_whose_capture_was_under_review_is_found_when_it_ends(
    account: Account,
) -> None:
    payment: Payment = account.charged()
    pending = {"captures": [a_resource("PENDING")]}
    unit = {"reference_id": "default", "payments": pending}
    order = {"id": "1ORDER", "status": "COMPLETED", "purchase_units": [unit]}
    set_answer(account, ORDERS, order)
    assert account.look_up(payment).verdict is Verdict.PENDING
    assert account.look_up(payment).verdict is Verdict.SUCCEEDED
