"""Approvals by the payer: their lookups, and the send that follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from domain import retry
from domain.errors import Conflict, LookupRequired, NeedsReview, OutcomeUnknown
from domain.payments.answer import Answer, Failure, NextAction, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import void
from domain.payments.operation import ABSENCE_PROOF_DELAY, Kind
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup, record_send
from domain.payments.states import State, Status
from domain.payments.submission import CaptureMethod, ProviderName
from tests.suites.samples import (
    NOW,
    PRICE,
    origin,
    payment,
    sending,
    stored,
    submission,
)

REFS: Final = {"order": "order_1"}
ACT: Final = Answer(
    Verdict.ACTION_REQUIRED, refs=REFS, next_action=NextAction("https://pay.example/1")
)
AGREED: Final = Answer(Verdict.APPROVED, refs=REFS)
DONE: Final = Answer(Verdict.SUCCEEDED, PRICE, REFS)
SOON: Final = NOW + retry.PAYER.base_delay
LATER: Final = SOON + ABSENCE_PROOF_DELAY


def _acting() -> Payment:
    return stored(settle(sending(payment()), ACT, now=NOW, jitter=0))


def _look_up(given: Payment, answer: Answer | Exception, at: timedelta) -> Payment:
    asked = stored(start_lookup(given, given.first_operation, now=NOW + at))
    assert isinstance(answer, Answer | OutcomeUnknown | NeedsReview)
    return stored(settle(asked, answer, now=NOW + at, jitter=1.0))


def _approved() -> Payment:
    return _look_up(_acting(), AGREED, SOON - NOW)


def _carrying_out() -> Payment:
    approved = _approved()
    return stored(record_send(approved, approved.first_operation, "{}", now=SOON))


def _without_answer(method: str | None, capture: CaptureMethod) -> Payment:
    """A PayPal payment after a first send without an answer, during the second."""
    asked = submission(provider=ProviderName.PAYPAL, payment_method=method)
    new = sending(payment(submitted=replace(asked, capture=capture)))
    lost = stored(settle(new, OutcomeUnknown("no_answer"), now=NOW, jitter=0))
    assert lost.first_operation.state is State.UNKNOWN
    return stored(record_send(lost, lost.first_operation, "{}", now=NOW))


NO: Final = Answer(Verdict.REJECTED, failure=Failure("bad_field", "A field is bad."))


@pytest.mark.parametrize("capture", CaptureMethod)
def test_demand_for_the_payer_is_conclusive_where_the_payer_approves_first(
    capture: CaptureMethod,
) -> None:
    asked = settle(_without_answer(None, capture), ACT, now=NOW, jitter=0)
    assert (
        asked.first_operation.state,
        asked.first_operation.may_have_duplicate_order,
    ) == (State.REQUIRES_ACTION, False)
    assert (asked.next_action, asked.first_operation.refs) == (ACT.next_action, REFS)


@pytest.mark.parametrize(
    ("method", "answer"), [("vault", ACT), ("vault", NO), (None, NO)]
)
def test_any_other_answer_to_a_resend_makes_a_lookup_due(
    method: str | None, answer: Answer
) -> None:
    asked = _without_answer(method, CaptureMethod.AUTOMATIC)
    seen = settle(asked, answer, now=NOW, jitter=0)
    assert (seen.first_operation.state, seen.first_operation.lookups_since) == (
        State.UNKNOWN,
        NOW,
    )
    assert seen.next_action is None


def test_operation_waiting_for_the_payer_is_looked_up_at_growing_intervals() -> None:
    waiting, waits = _acting(), []
    for number in range(1, 12):
        at = timedelta(hours=number)
        waiting = _look_up(waiting, ACT, at)
        assert waiting.due_at is not None
        waits.append(waiting.due_at - (NOW + at))
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (retry.PAYER.base_delay, retry.PAYER.max_delay)
    assert (waiting.status, waiting.next_action) == (
        Status.REQUIRES_ACTION,
        ACT.next_action,
    )


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (ACT, timedelta(days=30)),
        (NeedsReview("nothing_to_look_up"), timedelta(hours=1)),
    ],
)
def test_an_abandoned_approval_ends_its_lookups_without_a_review(
    answer: Answer | Exception, after: timedelta
) -> None:
    waiting = _acting()
    for minutes in range(1, retry.PAYER.min_tries):
        waiting = _look_up(waiting, ACT, timedelta(minutes=minutes))
    waiting = _look_up(waiting, answer, timedelta(minutes=1) + after)
    assert (waiting.first_operation.state, waiting.due_at) == (
        State.REQUIRES_ACTION,
        None,
    )


def test_approved_operation_is_sent_with_a_new_key() -> None:
    approved = _approved()
    assert (approved.first_operation.state, approved.due_at) == (State.QUEUED, SOON)
    assert (approved.status, approved.next_action) == (Status.PROCESSING, None)
    assert approved.first_operation.approved and approved.first_operation.refs == REFS
    created, carried_out = (
        _acting().first_operation.provider_key,
        approved.first_operation.provider_key,
    )
    assert created != carried_out
    under_way = _carrying_out()
    assert under_way.first_operation.send is not None
    assert under_way.first_operation.send.key == carried_out
    done = settle(under_way, DONE, now=SOON, jitter=0)
    assert (done.status, done.captured) == (Status.CAPTURED, PRICE.minor)


def test_a_send_answered_as_approved_is_queued_to_be_carried_out() -> None:
    approved = settle(sending(payment()), AGREED, now=NOW, jitter=0)
    assert (approved.first_operation.state, approved.first_operation.approved) == (
        State.QUEUED,
        True,
    )


def test_a_lost_approved_send_gets_a_new_key_only_once_it_cannot_arrive() -> None:
    unknown = stored(settle(_carrying_out(), LookupRequired(), now=SOON, jitter=0))
    early = _look_up(unknown, AGREED, SOON - NOW)
    assert (early.first_operation.state, early.first_operation.provider_key) == (
        State.UNKNOWN,
        unknown.first_operation.provider_key,
    )
    assert early.due_at == LATER
    late = _look_up(early, AGREED, LATER - NOW)
    assert (late.first_operation.state, late.first_operation.approved) == (
        State.RETRYING,
        True,
    )
    assert late.first_operation.provider_key != unknown.first_operation.provider_key


def test_approved_order_in_answer_to_its_own_capture_needs_manual_review() -> None:
    puzzled = settle(_carrying_out(), AGREED, now=SOON, jitter=0)
    assert puzzled.first_operation.state is State.REVIEW


def test_a_second_request_for_the_payer_needs_a_second_approval() -> None:
    acting = stored(settle(_carrying_out(), ACT, now=SOON, jitter=0))
    assert (acting.status, acting.first_operation.approved) == (
        Status.REQUIRES_ACTION,
        False,
    )
    again = _look_up(acting, AGREED, timedelta(hours=1))
    assert (again.first_operation.state, again.first_operation.approved) == (
        State.QUEUED,
        True,
    )
    assert again.first_operation.kind is Kind.CHARGE
    assert (
        len(
            {
                _acting().first_operation.provider_key,
                _carrying_out().first_operation.provider_key,
                again.first_operation.provider_key,
            }
        )
        == 3
    )


def _void(given: Payment) -> Payment:
    return void(given, id="op_void", origin=origin(), now=SOON)


def test_void_of_a_charge_waiting_for_the_payer_is_sent_to_stripe() -> None:
    asked = stored(_void(_acting()))
    with pytest.raises(Conflict) as again:
        _void(asked)
    assert again.value.reason == "void_under_way"
    release = asked.operations[-1]
    claimed = stored(record_send(asked, release, "{}", now=SOON))
    done = stored(settle(claimed, Answer(Verdict.SUCCEEDED), now=SOON, jitter=0))
    assert (done.status, done.next_action, done.due_at) == (Status.CANCELED, None, None)
    assert done.is_settled


def test_void_of_an_unapproved_paypal_order_needs_no_call() -> None:
    asked = submission(provider=ProviderName.PAYPAL)
    acting = stored(settle(sending(payment(submitted=asked)), ACT, now=NOW, jitter=0))
    assert _void(acting).status is Status.CANCELED
    looking_on = stored(start_lookup(acting, acting.first_operation, now=NOW))
    with pytest.raises(Conflict):
        _void(looking_on)


def test_repeated_approval_without_a_result_needs_manual_review() -> None:
    given, sends = _acting(), 0
    while given.first_operation.state is not State.REVIEW:
        given = _look_up(given, AGREED, timedelta(hours=1))
        if given.first_operation.state is State.QUEUED:
            sends += 1
            given = stored(record_send(given, given.first_operation, "{}", now=SOON))
            given = stored(settle(given, ACT, now=SOON, jitter=0))
    assert 5 < sends < 20
    assert given.first_operation.error == "approved_again"
