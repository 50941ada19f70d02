"""The results of lookups."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from domain import retry
from domain.errors import (
    LookupRequired,
    NeedsReview,
    NotExecuted,
    OutcomeUnknown,
)
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import refund
from domain.payments.operation import ABSENCE_PROOF_DELAY, ClaimAction
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup, expire_claim
from domain.payments.states import State, Status
from tests.suites.samples import (
    NOW,
    captured,
    origin,
    payment,
    sending,
    stored,
)
from tests.support.operation_steps import FOUND, LATER, apply_lookup

DAY: Final = timedelta(days=1)
GONE: Final = Answer(Verdict.ABSENT)
PENDING: Final = Answer(Verdict.PENDING, refs={"payment_intent": "pi_1"})


def _unknown() -> Payment:
    return stored(settle(sending(payment()), LookupRequired(), now=NOW, jitter=0))


def _pending() -> Payment:
    return stored(settle(sending(payment()), PENDING, now=NOW, jitter=0))


def _in(state: State, given: Payment | None = None) -> Payment:
    given = given or _unknown()
    return replace(given, operations=(replace(given.first_operation, state=state),))


def test_lookup_is_recorded_before_it_happens_and_changes_no_state() -> None:
    asked = start_lookup(_unknown(), _unknown().first_operation, now=LATER)
    assert asked.claim is not None and asked.claim.action is ClaimAction.LOOKUP
    assert asked.first_operation.state is State.UNKNOWN
    assert (asked.pending_events[-1].type, asked.pending_events[-1].data["lookup"]) == (
        "lookup.sent",
        1,
    )
    assert expire_claim(asked, now=LATER).first_operation == asked.first_operation


def test_result_of_a_lookup_settles_the_payment() -> None:
    found = apply_lookup(_unknown(), FOUND)
    assert (found.status, found.captured) == (Status.CAPTURED, 1999)
    assert (found.first_operation.lookups_since, found.due_at, found.claim) == (
        None,
        None,
        None,
    )
    assert found.pending_events[-1].type == "lookup.answered"
    assert found.pending_events[-1].data["provider_request_id"] == "r1"


def test_proof_of_absence_begins_the_next_generation() -> None:
    proven = apply_lookup(_unknown(), GONE)
    first = proven.first_operation
    assert (first.state, first.generation, first.send) == (State.RETRYING, 2, None)
    assert first.due_at == LATER + retry.TRANSIENT.base_delay
    again = sending(proven, now=LATER)
    assert again.first_operation.send is not None
    assert again.first_operation.send.key.endswith("-2")


def test_absence_repeated_for_days_needs_manual_review() -> None:
    assert retry.TRANSIENT.max_duration is not None
    over = apply_lookup(_unknown(), GONE, now=NOW + retry.TRANSIENT.max_duration)
    assert (over.first_operation.state, over.first_operation.generation) == (
        State.REVIEW,
        1,
    )
    assert over.first_operation.waiting_for == "an operator: absent_again"


def test_operation_absent_after_ten_generations_needs_manual_review() -> None:
    given, sends, now = _unknown(), 1, LATER
    while given.first_operation.state is not State.REVIEW:
        given = stored(apply_lookup(given, GONE, now=now))
        if given.first_operation.state is State.RETRYING:
            sends += 1
            given = settle(sending(given, now=now), LookupRequired(), now=now, jitter=0)
            given, now = stored(given), now + ABSENCE_PROOF_DELAY
    assert sends == 10
    assert given.first_operation.waiting_for == "an operator: absent_again"


def test_absence_soon_after_a_send_proves_nothing_yet() -> None:
    early = apply_lookup(_unknown(), GONE, now=LATER - timedelta(seconds=1))
    assert (early.first_operation.state, early.first_operation.generation) == (
        State.UNKNOWN,
        1,
    )
    assert early.due_at == LATER


def test_absence_counts_from_the_time_before_the_lookup() -> None:
    asked = stored(start_lookup(_unknown(), _unknown().first_operation, now=NOW))
    late = settle(asked, GONE, now=LATER, jitter=1.0)
    assert (late.first_operation.state, late.first_operation.generation) == (
        State.UNKNOWN,
        1,
    )
    assert late.due_at == LATER, "another lookup is due"


@pytest.mark.parametrize("error", [NotExecuted("busy"), OutcomeUnknown("no_answer")])
def test_failed_lookup_is_repeated_with_growing_waits(
    error: NotExecuted | OutcomeUnknown,
) -> None:
    once = apply_lookup(_unknown(), error)
    assert (once.first_operation.state, once.due_at) == (
        State.UNKNOWN,
        LATER + retry.LOOKUP.base_delay,
    )
    twice = apply_lookup(once, error)
    assert twice.due_at == LATER + 2 * retry.LOOKUP.base_delay


def test_lookup_waits_as_long_as_the_provider_asks() -> None:
    error = NotExecuted("rate_limited", retry_after=timedelta(minutes=9))
    assert apply_lookup(_unknown(), error).due_at == LATER + timedelta(minutes=9)


def test_lookups_without_an_answer_for_days_need_manual_review() -> None:
    assert retry.LOOKUP.max_duration is not None
    over, looks = _unknown(), 0
    while over.first_operation.state is State.UNKNOWN:
        over = stored(
            apply_lookup(over, NotExecuted(), now=NOW + retry.LOOKUP.max_duration)
        )
        looks += 1
    assert looks == retry.LOOKUP.min_tries, "a week without lookups does not end it"
    assert (over.first_operation.state, over.due_at) == (State.REVIEW, None)
    assert over.first_operation.waiting_for == "an operator: nothing_found"


def test_operation_without_an_id_to_look_up_needs_manual_review() -> None:
    review = apply_lookup(_unknown(), NeedsReview("nothing_to_look_up", request_id="r"))
    assert review.first_operation.state is State.REVIEW
    assert review.pending_events[-1].data["provider_request_id"] == "r"


def test_other_amount_than_requested_needs_manual_review() -> None:
    odd = Answer(Verdict.SUCCEEDED, Money(5, "USD"), {"payment_intent": "pi_1"})
    review = apply_lookup(_unknown(), odd)
    assert (review.first_operation.state, review.captured) == (State.REVIEW, 0)
    assert review.refs == {"payment_intent": "pi_1"}


def test_answer_outside_of_the_table_needs_manual_review() -> None:
    review = apply_lookup(_unknown(), Answer(Verdict.REJECTED))
    assert review.first_operation.waiting_for == "an operator: rejected_while_unknown"


def test_pending_operation_is_looked_up_at_growing_intervals() -> None:
    once = apply_lookup(_pending(), PENDING)
    assert (once.first_operation.state, once.due_at) == (
        State.PENDING,
        LATER + retry.POLL.base_delay,
    )
    assert apply_lookup(once, PENDING).due_at == LATER + 2 * retry.POLL.base_delay
    done = apply_lookup(once, FOUND)
    assert done.status is Status.CAPTURED


def test_vanished_pending_operation_needs_manual_review() -> None:
    assert apply_lookup(_pending(), GONE).first_operation.state is State.REVIEW


def test_lookup_of_an_operation_in_review_applies_its_result() -> None:
    review = _in(State.REVIEW)
    assert apply_lookup(review, FOUND).status is Status.CAPTURED
    proven = apply_lookup(review, GONE)
    assert (proven.first_operation.state, proven.due_at) == (State.DEAD, None)
    assert proven.first_operation.generation == 2


@pytest.mark.parametrize("outcome", [NeedsReview("why"), Answer(Verdict.REJECTED)])
def test_inconclusive_lookup_leaves_an_operation_in_review(
    outcome: NeedsReview | Answer,
) -> None:
    still = apply_lookup(_in(State.REVIEW), outcome)
    assert (still.first_operation.state, still.due_at) == (State.REVIEW, None)
    assert still.first_operation.lookups_since is None


def test_lookup_of_a_final_operation_changes_nothing() -> None:
    paid = captured()
    seen = apply_lookup(paid, FOUND)
    assert (seen.status, seen.first_operation) == (paid.status, paid.first_operation)
    assert seen.pending_events[-1].type == "lookup.answered"
    vanished = apply_lookup(paid, GONE)
    assert vanished.first_operation.state is State.SUCCEEDED
    assert vanished.pending_events[-1].data["reason"] == "vanished"


def test_a_refund_that_failed_later_is_corrected_and_refundable_again() -> None:
    asked = stored(
        refund(captured(), amount=60, target=None, id="op_r", origin=origin(), now=NOW)
    )
    back = Answer(Verdict.SUCCEEDED, Money(60, "USD"), {"refund": "re_1"})
    done = stored(settle(sending(asked), back, now=NOW, jitter=0))
    assert done.refunded == 60
    looked = stored(start_lookup(done, done.operations[-1], now=LATER))
    failed = Answer(Verdict.DECLINED, refs={"refund": "re_1"})
    corrected = settle(looked, failed, now=LATER, jitter=0)
    assert corrected.operations[-1].state is State.DECLINED
    assert corrected.pending_events[-1].type == "operation.corrected"
    assert corrected.pending_events[-1].data["from"] == "succeeded"
    assert (
        corrected.refunded,
        corrected.refundable_amount(corrected.first_operation),
    ) == (0, 1999)


def test_wrong_decline_is_corrected_with_its_amount() -> None:
    declined = _in(State.DECLINED)
    corrected = apply_lookup(declined, FOUND)
    assert (corrected.first_operation.state, corrected.captured) == (
        State.SUCCEEDED,
        1999,
    )
    odd = Answer(Verdict.SUCCEEDED, Money(5, "USD"))
    assert apply_lookup(declined, odd).first_operation.state is State.DECLINED
