"""What a look at the provider makes of a payment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from domain import retry
from domain.errors import (
    LookNeeded,
    NeedsReview,
    NotExecuted,
    OutcomeUnknown,
)
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.apply_answer import settle
from domain.payments.follow_ups import refund
from domain.payments.operation import PROOF_AFTER, Act
from domain.payments.payment import Payment
from domain.payments.start_attempt import looking, released
from domain.payments.states import State, Status
from tests.suites.samples import (
    NOW,
    captured,
    origin,
    payment,
    sending,
    stored,
)
from tests.support.operation_steps import FOUND, LATER, looked

DAY: Final = timedelta(days=1)
GONE: Final = Answer(Verdict.ABSENT)
PENDING: Final = Answer(Verdict.PENDING, refs={"payment_intent": "pi_1"})


def _unknown() -> Payment:
    return stored(settle(sending(payment()), LookNeeded(), now=NOW, jitter=0))


def _pending() -> Payment:
    return stored(settle(sending(payment()), PENDING, now=NOW, jitter=0))


def _in(state: State, given: Payment | None = None) -> Payment:
    given = given or _unknown()
    return replace(given, operations=(replace(given.first, state=state),))


def test_a_look_is_told_before_it_happens_and_moves_nothing() -> None:
    asked = looking(_unknown(), _unknown().first, now=LATER)
    assert asked.claim is not None and asked.claim.act is Act.LOOK
    assert asked.first.state is State.UNKNOWN
    assert (asked.news[-1].type, asked.news[-1].data["look"]) == ("look.sent", 1)
    assert released(asked, now=LATER).first == asked.first


def test_what_a_look_finds_settles_the_payment() -> None:
    found = looked(_unknown(), FOUND)
    assert (found.status, found.captured) == (Status.CAPTURED, 1999)
    assert (found.first.look_since, found.due_at, found.claim) == (None, None, None)
    assert found.news[-1].type == "look.answered"
    assert found.news[-1].data["provider_request_id"] == "r1"


def test_proof_of_absence_begins_the_next_generation() -> None:
    proven = looked(_unknown(), GONE)
    first = proven.first
    assert (first.state, first.generation, first.send) == (State.RETRYING, 2, None)
    assert first.due_at == LATER + retry.TRANSIENT.base
    again = sending(proven, now=LATER)
    assert again.first.send is not None
    assert again.first.send.key.endswith("-2")


def test_absence_proven_again_and_again_for_days_is_for_a_person() -> None:
    assert retry.TRANSIENT.within is not None
    over = looked(_unknown(), GONE, now=NOW + retry.TRANSIENT.within)
    assert (over.first.state, over.first.generation) == (State.REVIEW, 1)
    assert over.first.waiting_for == "an operator: absent_again"


def test_what_ten_sends_have_left_absent_is_for_a_person() -> None:
    given, sends, now = _unknown(), 1, LATER
    while given.first.state is not State.REVIEW:
        given = stored(looked(given, GONE, now=now))
        if given.first.state is State.RETRYING:
            sends += 1
            given = settle(sending(given, now=now), LookNeeded(), now=now, jitter=0)
            given, now = stored(given), now + PROOF_AFTER
    assert sends == 10
    assert given.first.waiting_for == "an operator: absent_again"


def test_absence_soon_after_a_send_proves_nothing_yet() -> None:
    early = looked(_unknown(), GONE, now=LATER - timedelta(seconds=1))
    assert (early.first.state, early.first.generation) == (State.UNKNOWN, 1)
    assert early.due_at == LATER


def test_absence_is_of_the_time_of_the_look_however_late_it_is_written_down() -> None:
    asked = stored(looking(_unknown(), _unknown().first, now=NOW))
    late = settle(asked, GONE, now=LATER, jitter=1.0)
    assert (late.first.state, late.first.generation) == (State.UNKNOWN, 1)
    assert late.due_at == LATER, "due for another look"


@pytest.mark.parametrize("error", [NotExecuted("busy"), OutcomeUnknown("no_answer")])
def test_a_look_that_failed_is_made_again_with_growing_waits(
    error: NotExecuted | OutcomeUnknown,
) -> None:
    once = looked(_unknown(), error)
    assert (once.first.state, once.due_at) == (
        State.UNKNOWN,
        LATER + retry.LOOK.base,
    )
    twice = looked(once, error)
    assert twice.due_at == LATER + 2 * retry.LOOK.base


def test_a_look_waits_as_long_as_the_provider_asks() -> None:
    error = NotExecuted("rate_limited", retry_after=timedelta(minutes=9))
    assert looked(_unknown(), error).due_at == LATER + timedelta(minutes=9)


def test_days_of_looks_without_an_answer_are_the_end_until_a_person_decides() -> None:
    assert retry.LOOK.within is not None
    over, looks = _unknown(), 0
    while over.first.state is State.UNKNOWN:
        over = stored(looked(over, NotExecuted(), now=NOW + retry.LOOK.within))
        looks += 1
    assert looks == retry.LOOK.least, "a week in which nobody looked is not the end"
    assert (over.first.state, over.due_at) == (State.REVIEW, None)
    assert over.first.waiting_for == "an operator: nothing_found"


def test_where_there_is_nothing_to_look_at_a_person_decides() -> None:
    review = looked(_unknown(), NeedsReview("nothing_to_look_at", request_id="r"))
    assert review.first.state is State.REVIEW
    assert review.news[-1].data["provider_request_id"] == "r"


def test_another_amount_than_was_asked_for_is_for_a_person() -> None:
    odd = Answer(Verdict.SUCCEEDED, Money(5, "USD"), {"payment_intent": "pi_1"})
    review = looked(_unknown(), odd)
    assert (review.first.state, review.captured) == (State.REVIEW, 0)
    assert review.refs == {"payment_intent": "pi_1"}


def test_what_the_table_does_not_have_is_for_a_person() -> None:
    review = looked(_unknown(), Answer(Verdict.REJECTED))
    assert review.first.waiting_for == "an operator: rejected_while_unknown"


def test_what_is_pending_is_asked_of_less_and_less_often() -> None:
    once = looked(_pending(), PENDING)
    assert (once.first.state, once.due_at) == (State.PENDING, LATER + retry.POLL.base)
    assert looked(once, PENDING).due_at == LATER + 2 * retry.POLL.base
    done = looked(once, FOUND)
    assert done.status is Status.CAPTURED


def test_what_was_pending_and_vanished_is_for_a_person() -> None:
    assert looked(_pending(), GONE).first.state is State.REVIEW


def test_a_look_at_a_review_says_what_it_finds() -> None:
    review = _in(State.REVIEW)
    assert looked(review, FOUND).status is Status.CAPTURED
    proven = looked(review, GONE)
    assert (proven.first.state, proven.due_at) == (State.DEAD, None)
    assert proven.first.generation == 2


@pytest.mark.parametrize("outcome", [NeedsReview("why"), Answer(Verdict.REJECTED)])
def test_a_look_at_a_review_that_finds_nothing_leaves_it(
    outcome: NeedsReview | Answer,
) -> None:
    still = looked(_in(State.REVIEW), outcome)
    assert (still.first.state, still.due_at) == (State.REVIEW, None)
    assert still.first.look_since is None


def test_a_look_at_what_is_done_says_the_same_and_changes_nothing() -> None:
    paid = captured()
    seen = looked(paid, FOUND)
    assert (seen.status, seen.first) == (paid.status, paid.first)
    assert seen.news[-1].type == "look.answered"
    vanished = looked(paid, GONE)
    assert vanished.first.state is State.SUCCEEDED
    assert vanished.news[-1].data["why"] == "vanished"


def test_a_refund_that_failed_later_is_corrected_and_refundable_again() -> None:
    asked = stored(
        refund(captured(), amount=60, target=None, id="op_r", origin=origin(), now=NOW)
    )
    back = Answer(Verdict.SUCCEEDED, Money(60, "USD"), {"refund": "re_1"})
    done = stored(settle(sending(asked), back, now=NOW, jitter=0))
    assert done.refunded == 60
    looked = stored(looking(done, done.operations[-1], now=LATER))
    failed = Answer(Verdict.DECLINED, refs={"refund": "re_1"})
    corrected = settle(looked, failed, now=LATER, jitter=0)
    assert corrected.operations[-1].state is State.DECLINED
    assert corrected.news[-1].type == "operation.corrected"
    assert corrected.news[-1].data["from"] == "succeeded"
    assert (corrected.refunded, corrected.refundable(corrected.first)) == (0, 1999)


def test_a_decline_that_was_none_is_corrected_with_its_money() -> None:
    declined = _in(State.DECLINED)
    corrected = looked(declined, FOUND)
    assert (corrected.first.state, corrected.captured) == (State.SUCCEEDED, 1999)
    odd = Answer(Verdict.SUCCEEDED, Money(5, "USD"))
    assert looked(declined, odd).first.state is State.DECLINED
