"""Refusals found by a lookup after a request was sent twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from domain.errors import LookupRequired, OutcomeUnknown
from domain.payments.answer import Answer, Failure, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import refund
from domain.payments.operation import ABSENCE_PROOF_DELAY, Kind
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State
from domain.payments.submission import ProviderName
from tests.suites.samples import NOW, captured, origin, sending, stored

#: The second send, hours after the first, as if all workers had been down.
AGAIN: Final = NOW + timedelta(hours=3)
#: No send can be on its way from then on.
LATER: Final = AGAIN + ABSENCE_PROOF_DELAY
NO: Final = Answer(
    Verdict.DECLINED, refs={"refund": "r_1"}, failure=Failure("declined", "No.")
)


def _refunding(*, sends: int) -> Payment:
    """A refund at PayPal whose first send failed there, and whose second got only an
    unattributed refusal.
    """
    whole = captured(provider=ProviderName.PAYPAL)
    asked = refund(
        whole, amount=60, target=None, id="op_refund", origin=origin(), now=NOW
    )
    asked = stored(asked)
    lost = settle(sending(asked), OutcomeUnknown("http_500"), now=NOW, jitter=0)
    if sends == 1:
        return stored(lost)
    resent = sending(stored(lost), now=AGAIN)
    return stored(settle(resent, LookupRequired("resend_refused"), now=AGAIN, jitter=0))


def _look_up(given: Payment, answer: Answer, *, at: datetime) -> Payment:
    operation = given.operations[-1]
    assert operation.kind is Kind.REFUND
    asked = stored(start_lookup(given, operation, now=at))
    return settle(asked, answer, now=at + ABSENCE_PROOF_DELAY, jitter=1.0)


def test_refusal_soon_after_a_resend_is_looked_up_again() -> None:
    """PayPal forgets a failed key, so that it may show the first send's object."""
    early = LATER - timedelta(seconds=1)
    seen = _look_up(_refunding(sends=2), NO, at=early)
    assert seen.operations[-1].state is State.UNKNOWN
    assert (seen.due_at, seen.refunded) == (LATER, 0)


def test_refusal_is_final_once_no_send_can_be_on_its_way() -> None:
    seen = _look_up(_refunding(sends=2), NO, at=LATER)
    assert seen.operations[-1].state is State.DECLINED


def test_operation_in_review_waits_for_the_last_send_too() -> None:
    given = _refunding(sends=2)
    review = replace(given.operations[-1], state=State.REVIEW)
    given = replace(given, operations=(given.first_operation, review))
    seen = _look_up(given, NO, at=AGAIN)
    assert (seen.operations[-1].state, seen.due_at) == (State.REVIEW, LATER)


def test_refusal_of_a_single_send_is_final_at_once() -> None:
    seen = _look_up(_refunding(sends=1), NO, at=NOW)
    assert seen.operations[-1].state is State.DECLINED


def test_success_of_either_send_is_final_at_once() -> None:
    paid = _refunding(sends=2)
    price = paid.submission.amount
    yes = Answer(Verdict.SUCCEEDED, replace(price, minor=60), {"refund": "r_2"})
    seen = _look_up(paid, yes, at=AGAIN)
    assert seen.operations[-1].state is State.SUCCEEDED
    assert seen.refunded == 60
