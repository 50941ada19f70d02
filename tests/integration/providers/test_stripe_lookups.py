"""Tests of lookups of Stripe's payments with lost answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.errors import NeedsReview, OutcomeUnknown
from domain.money import Money
from domain.payments.answer import Verdict
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from providers.stripe.adapter import Stripe
from tests.suites.accounts import capture, refund, void
from tests.support.provider_accounts import STRIPE_METHODS, Account
from tests.support.simulator_control import INTENTS, Simulator
from tests.support.stripe_answers import payment_intent

CAPTURED = {"status": "succeeded", "amount_received": 1999}
LAPSED = {"status": "canceled", "cancellation_reason": "automatic"}
VOIDED = {"status": "canceled", "cancellation_reason": "requested_by_customer"}
HELD = {"status": "requires_capture"}


@pytest.fixture
def account(stripe: Stripe, stripe_simulator: Simulator) -> Account:
    """An account at Stripe."""
    return Account(stripe, STRIPE_METHODS, stripe_simulator)


def lose_answer(account: Account, payment: Payment, fault: str) -> Payment:
    """The payment after its next operation was sent without an answer."""
    account.simulator.arm(fault)
    return account.execute(payment)


def set_answer(account: Account, path: str, body: dict[str, Any]) -> None:
    """Sets the answer to the next read of that path."""
    account.simulator.arm(
        "answer", status=200, body=body, match={"method": "GET", "path": path}
    )


def intent(payment: Payment, **fields: Any) -> dict[str, Any]:
    """The payment's intent at Stripe."""
    return payment_intent(payment.refs["payment_intent"], **fields)


@pytest.mark.parametrize("kind", [Kind.CHARGE, Kind.AUTHORIZE])
def test_an_intent_with_a_lost_answer_is_found_after_a_hundred_others(
    account: Account, kind: Kind
) -> None:
    payment = lose_answer(account, account.due(kind), "commit_then_drop")
    assert payment.refs == {}
    for _ in range(101):
        account.execute(account.new("declines"))
    seen = account.look_up(payment)
    assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, Money(1999, "USD"))
    [row] = account.simulator.movements(payment)
    assert seen.refs["payment_intent"] == row["id"]
    assert (seen.expires_at is not None) is (kind is Kind.AUTHORIZE)


def test_an_intent_missing_in_the_list_is_absent(account: Account) -> None:
    payment = lose_answer(account, account.new(), "drop")
    for _ in range(101):
        account.execute(account.new("declines"))
    assert account.look_up(payment).verdict is Verdict.ABSENT


def test_a_decline_with_a_lost_answer_is_found(account: Account) -> None:
    payment = lose_answer(account, account.new("declines"), "commit_then_drop")
    seen = account.look_up(payment)
    assert seen.verdict is Verdict.DECLINED
    assert seen.failure is not None
    assert seen.failure.code == "card_declined"
    assert seen.refs["payment_intent"].startswith("pi_")


def others(account: Account, pages: int, *, more: bool) -> None:
    """So many pages of other intents; whether ``more`` follow."""
    other = {"id": "pi_3other", "object": "payment_intent", "metadata": {}}
    page = {"object": "list", "data": [other], "has_more": more, "url": INTENTS}
    account.simulator.arm(
        "answer",
        status=200,
        body=page,
        times=pages,
        match={"method": "GET", "path": INTENTS},
    )


def test_an_intent_missing_in_the_list_of_a_busy_account_is_absent(
    account: Account,
) -> None:
    payment = lose_answer(account, account.new(), "drop")
    others(account, 500, more=True)
    others(account, 1, more=False)
    assert account.look_up(payment).verdict is Verdict.ABSENT


def test_an_endless_list_proves_nothing_and_needs_review(
    account: Account,
) -> None:
    payment = lose_answer(account, account.new(), "drop")
    others(account, 1000, more=True)
    with pytest.raises(NeedsReview) as caught:
        account.look_up(payment)
    assert caught.value.detail == "list_too_long"


def test_a_refund_missing_among_the_first_hundred_is_not_absent(
    account: Account,
) -> None:
    payment = lose_answer(account, refund(account.charged()), "drop")
    other = {"id": "re_3other", "object": "refund", "metadata": {}}
    page = {"object": "list", "data": [other], "has_more": True, "url": "/v1/refunds"}
    set_answer(account, "/v1/refunds", page)
    with pytest.raises(NeedsReview) as caught:
        account.look_up(payment)
    assert caught.value.detail == "too_many_refunds"


def test_a_lookup_of_an_unsent_operation_needs_review(account: Account) -> None:
    with pytest.raises(NeedsReview) as caught:
        account.look_up(account.new())
    assert caught.value.detail == "send_not_written_down"


@pytest.mark.parametrize(
    ("kind", "fields", "verdict"),
    [
        (Kind.AUTHORIZE, HELD, Verdict.SUCCEEDED),
        (Kind.AUTHORIZE, CAPTURED, Verdict.SUCCEEDED),
        (Kind.AUTHORIZE, VOIDED, Verdict.CANCELED),
        (Kind.AUTHORIZE, LAPSED, Verdict.EXPIRED),
        (Kind.CAPTURE, HELD, Verdict.ABSENT),
        (Kind.CAPTURE, VOIDED, Verdict.CANCELED),
        (Kind.CAPTURE, LAPSED, Verdict.EXPIRED),
        (Kind.VOID, HELD, Verdict.ABSENT),
        (Kind.VOID, VOIDED, Verdict.SUCCEEDED),
        (Kind.VOID, LAPSED, Verdict.EXPIRED),
        (Kind.VOID, CAPTURED, Verdict.DECLINED),
    ],
)
def test_an_intents_status_is_read_for_the_kind_of_operation(
    account: Account, kind: Kind, fields: dict[str, Any], verdict: Verdict
) -> None:
    payment = account.held()
    payment = {Kind.CAPTURE: capture, Kind.VOID: void}.get(kind, replace)(payment)
    set_answer(account, INTENTS, intent(payment, **fields))
    seen = account.look_up(payment)
    assert seen.verdict is verdict
    held = kind is Kind.AUTHORIZE and verdict is Verdict.SUCCEEDED
    assert seen.moved == (Money(1999, "USD") if held else None)


@pytest.mark.parametrize(
    ("kind", "fields", "raised", "detail"),
    [
        (Kind.CAPTURE, {"status": "processing"}, NeedsReview, "status_processing"),
        (Kind.VOID, {"status": "processing"}, NeedsReview, "status_processing"),
        (Kind.AUTHORIZE, {"status": "new"}, OutcomeUnknown, "unrecognised_status"),
    ],
)
def test_a_status_that_does_not_fit_is_neither_success_nor_failure(
    account: Account,
    kind: Kind,
    fields: dict[str, Any],
    raised: type[NeedsReview | OutcomeUnknown],
    detail: str,
) -> None:
    payment = account.held()
    payment = {Kind.CAPTURE: capture, Kind.VOID: void}.get(kind, replace)(payment)
    set_answer(account, INTENTS, intent(payment, **fields))
    with pytest.raises(raised) as caught:
        account.look_up(payment)
    assert caught.value.detail == detail


def test_a_capture_is_identified_by_its_metadata(account: Account) -> None:
    payment = capture(account.held())
    ours = {"capture": payment.operations[-1].id}
    set_answer(account, INTENTS, intent(payment, metadata=ours, **CAPTURED))
    seen = account.look_up(payment)
    assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, Money(1999, "USD"))
