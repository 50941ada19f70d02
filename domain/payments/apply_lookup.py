"""Applies the outcome of a status lookup: evidence, or another lookup.

``apply_lookup`` is the entry. An operation that has ended is rechecked, and a hold that
has ended is closed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from domain import retry
from domain.errors import NeedsReview, ProviderError
from domain.payments.answer import Answer, Verdict
from domain.payments.event_types import EventType
from domain.payments.operation import ABSENCE_PROOF_DELAY, Kind, Operation
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason, out_of_turn
from domain.payments.states import CORRECTIONS, TRANSITIONS, UNSENT, State, Trigger
from domain.payments.apply_answer import (
    HOLD_ENDS,
    TOO_LATE,
    apply_answer,
    with_answer,
    escalate,
    derive_hold,
    is_approved_again,
    amount_differs,
    may_have_duplicate,
    is_refund_too_large,
    resend_may_succeed,
    schedule_refund_lookups,
    event_data,
)

#: Verdicts that replace a due send. A lookup comes before the send where a webhook
#: showed an object of the operation.
_FOUND: Final = frozenset({Verdict.SUCCEEDED, Verdict.PENDING, Verdict.ACTION_REQUIRED})

#: States in which an inconclusive lookup leads to manual review.
_UNDECIDED: Final = frozenset({State.UNKNOWN, State.PENDING, *UNSENT})

#: Answers that leave the state as it is.
_UNCHANGED: Final = frozenset(
    {
        (State.PENDING, Verdict.PENDING),
        (State.REQUIRES_ACTION, Verdict.ACTION_REQUIRED),
    }
)

#: The policy of the next lookup where the provider or the payer acts next.
_POLLS: Final = {State.PENDING: retry.POLL, State.REQUIRES_ACTION: retry.PAYER}

#: The most generations of one operation; then it needs manual review. The payer may
#: have to approve each time anew. Or each request may be refused as done already while
#: a lookup finds nothing, as when PayPal took the money by an order whose id was lost.
_MAX_GENERATIONS: Final = 10
#: The time between lookups of an authorization that should have ended and has not.
_HELD_LOOKUP_DELAY: Final = timedelta(hours=1)
#: The time of these lookups; then it needs manual review. An unknown capture may be the
#: cause.
_MAX_HELD_TIME: Final = timedelta(days=3)


def apply_lookup(
    payment: Payment,
    operation: Operation,
    outcome: Answer | ProviderError,
    *,
    asked_at: datetime,
    now: datetime,
    jitter: float,
) -> Payment:
    """The payment with the outcome of a status lookup of ``operation``.

    ``asked_at`` is a time before the lookup: a worker may be delayed after it.
    """
    if isinstance(outcome, ProviderError):
        return _handle_lookup_error(payment, operation, outcome, now, jitter)
    if operation.state in UNSENT and outcome.verdict not in _FOUND:
        return _resume_send(payment, operation, outcome, now)
    if outcome.verdict is Verdict.ABSENT or is_approved_again(operation, outcome):
        return _handle_absence(payment, operation, outcome, asked_at, now, jitter)
    if not operation.is_terminal and may_have_duplicate(operation, outcome):
        return _handle_possible_duplicate(payment, operation, outcome, now)
    if not operation.is_terminal and resend_may_succeed(operation, outcome):
        postponed = _postpone_early_lookup(payment, operation, outcome, asked_at, now)
        if postponed is not None:
            return postponed
    if operation.state is State.UNKNOWN and _is_forgotten(outcome):
        return _handle_forgotten_object(payment, operation, outcome, now, jitter)
    if operation.kind is Kind.AUTHORIZE and operation.state is State.SUCCEEDED:
        return _apply_hold_lookup(payment, operation, outcome, now)
    if operation.state is not State.SUCCEEDED and is_refund_too_large(
        payment, operation, outcome
    ):
        target = payment.get_operation(operation.target or "")
        payment = schedule_refund_lookups(payment, target, now=now)
        return _schedule_next_lookup(payment, operation, outcome, now, jitter)
    if operation.is_terminal:
        return _apply_recheck(payment, operation, outcome, now)
    if amount_differs(payment, operation, outcome):
        known = replace(operation, refs={**operation.refs, **outcome.refs})
        return _give_up_lookup(
            payment, known, ReviewReason.AMOUNT_DIFFERS, outcome, now
        )
    if (operation.state, outcome.verdict.trigger) not in TRANSITIONS:
        reason = out_of_turn(outcome.verdict, operation.state)
        return _give_up_lookup(payment, operation, reason, outcome, now)
    if (operation.state, outcome.verdict) in _UNCHANGED:
        return _schedule_next_lookup(payment, operation, outcome, now, jitter)
    if outcome.verdict is Verdict.APPROVED and operation.generation >= _MAX_GENERATIONS:
        return escalate(payment, operation, ReviewReason.APPROVED_AGAIN, now=now)
    return apply_answer(payment, operation, outcome, EventType.LOOKUP_ANSWERED, now=now)


def _handle_possible_duplicate(
    payment: Payment, operation: Operation, answer: Answer, now: datetime
) -> Payment:
    """The payment in review: a lookup cannot find the other object of the operation.

    An operator finds it, or the webhook of its movement does.
    """
    if operation.state is State.REVIEW:
        return _give_up_lookup(
            payment, operation, ReviewReason.ANOTHER_ORDER, answer, now
        )
    return escalate(
        payment,
        operation,
        ReviewReason.ANOTHER_ORDER,
        now=now,
        request_id=answer.request_id,
    )


def _resume_send(
    payment: Payment, operation: Operation, answer: Answer, now: datetime
) -> Payment:
    """The payment with its send due again: no earlier key has moved money."""
    after = replace(operation, due_at=now, lookups_since=None, lookup_count=0)
    return payment.with_event(
        after, EventType.LOOKUP_ANSWERED, now=now, data=event_data(answer)
    )


def _handle_lookup_error(
    payment: Payment,
    operation: Operation,
    error: ProviderError,
    now: datetime,
    jitter: float,
) -> Payment:
    """The payment after a failed lookup: the next lookup, or a review."""
    if isinstance(error, NeedsReview):
        return _give_up_lookup(payment, operation, error.detail, error, now)
    return _schedule_next_lookup(payment, operation, error, now, jitter)


def _schedule_next_lookup(
    payment: Payment,
    operation: Operation,
    outcome: Answer | ProviderError,
    now: datetime,
    jitter: float,
) -> Payment:
    """The payment with the next lookup due, or inconclusive after the last one."""
    policy = _POLLS.get(operation.state, retry.LOOKUP)
    retry_after = outcome.retry_after if isinstance(outcome, ProviderError) else None
    due_at = policy.next_at(
        tries=operation.lookup_count,
        since=operation.lookups_since or now,
        now=now,
        jitter=jitter,
        retry_after=retry_after,
    )
    if due_at is None:
        return _give_up_lookup(
            payment, operation, ReviewReason.NOTHING_FOUND, outcome, now
        )
    after = replace(operation, due_at=due_at)
    return payment.with_event(
        after, EventType.LOOKUP_ANSWERED, now=now, data=event_data(outcome)
    )


def _handle_absence(
    payment: Payment,
    operation: Operation,
    answer: Answer,
    asked_at: datetime,
    now: datetime,
    jitter: float,
) -> Payment:
    """The payment after a proof of absence, if enough time had passed since the send.

    No earlier key can move money then, so the next generation may begin. An operation
    that is sent and absent for days needs manual review.
    """
    if operation.state not in (State.UNKNOWN, State.REVIEW) or operation.send is None:
        return _give_up_lookup(payment, operation, ReviewReason.VANISHED, answer, now)
    postponed = _postpone_early_lookup(payment, operation, answer, asked_at, now)
    if postponed is not None:
        return postponed
    retrying = operation.state is State.UNKNOWN
    if operation.may_have_duplicate_order and not retrying:
        return _give_up_lookup(
            payment, operation, ReviewReason.ANOTHER_ORDER, answer, now
        )
    next_at = retry.TRANSIENT.next_at(
        tries=operation.generation,
        since=operation.started_at or now,
        now=now,
        jitter=jitter,
    )
    if retrying and (next_at is None or operation.generation >= _MAX_GENERATIONS):
        return _give_up_lookup(
            payment, operation, ReviewReason.ABSENT_AGAIN, answer, now
        )
    after = replace(
        operation,
        generation=operation.generation + 1,
        send=None,
        lookups_since=None,
        lookup_count=0,
        due_at=next_at if retrying else None,
        waiting_for=(
            f"{payment.provider} to take the request"
            if retrying
            else "an operator's replay"
        ),
    )
    return payment.transition(
        after,
        Trigger.ABSENT,
        EventType.LOOKUP_ANSWERED,
        now=now,
        data=event_data(answer),
    )


def _is_forgotten(answer: Answer) -> bool:
    """Whether the provider has deleted the object."""
    return answer.verdict is Verdict.EXPIRED and not answer.refs


def _handle_forgotten_object(
    payment: Payment,
    operation: Operation,
    answer: Answer,
    now: datetime,
    jitter: float,
) -> Payment:
    """The payment after the provider deleted the object; it keeps executed ones.

    A missing object alone proves nothing: an object of another account is missing as
    well. It is conclusive after the provider refused our resend as too late.
    """
    if operation.error != TOO_LATE:
        return _schedule_next_lookup(payment, operation, answer, now, jitter)
    return apply_answer(payment, operation, answer, EventType.LOOKUP_ANSWERED, now=now)


def _postpone_early_lookup(
    payment: Payment,
    operation: Operation,
    answer: Answer,
    asked_at: datetime,
    now: datetime,
) -> Payment | None:
    """The payment with the lookup due later, if the last send may still arrive.

    None where enough time had passed.
    """
    send = operation.send
    if send is None or asked_at >= send.last_at + ABSENCE_PROOF_DELAY:
        return None
    after = replace(operation, due_at=send.last_at + ABSENCE_PROOF_DELAY)
    return payment.with_event(
        after, EventType.LOOKUP_ANSWERED, now=now, data=event_data(answer)
    )


def _give_up_lookup(
    payment: Payment,
    operation: Operation,
    reason: str,
    outcome: Answer | ProviderError,
    now: datetime,
) -> Payment:
    """The payment after its last, inconclusive lookup.

    An undecided operation needs manual review; others only end their lookups.
    """
    if operation.state in _UNDECIDED:
        request_id = outcome.request_id
        return escalate(payment, operation, reason, now=now, request_id=request_id)
    hold = payment.hold
    is_ending = hold is not None and hold.asked and hold.ended is None
    waiting_for = (
        f"an operator: {reason}"
        if is_ending and operation.kind is Kind.AUTHORIZE
        else None
    )
    after = replace(
        operation,
        due_at=None,
        lookups_since=None,
        lookup_count=0,
        waiting_for=waiting_for or operation.waiting_for,
    )
    data = {**event_data(outcome), "reason": reason}
    return payment.with_event(after, EventType.LOOKUP_ANSWERED, now=now, data=data)


def _apply_hold_lookup(
    payment: Payment, operation: Operation, answer: Answer, now: datetime
) -> Payment:
    """The payment with the outcome of a lookup of its hold: held, or released."""
    payment = replace(payment, saved_method=answer.saved_method or payment.saved_method)
    hold, end = payment.hold, HOLD_ENDS.get(answer.verdict)
    after = _finish_lookup(operation, answer, now)
    if hold is None or hold.ended is not None or end is None:
        if hold is not None and hold.ended is None and hold.asked:
            after = _schedule_held_lookup(operation, now)
        return payment.with_event(
            after, EventType.LOOKUP_ANSWERED, now=now, data=event_data(answer)
        )
    ended = payment.with_event(
        after,
        EventType.AUTHORIZATION_ENDED,
        now=now,
        data={"reason": end.value, **event_data(answer)},
    )
    return replace(ended, hold=replace(hold, ended=end))


def _finish_lookup(operation: Operation, answer: Answer, now: datetime) -> Operation:
    """The operation without further lookups, unless a method is still being saved."""
    if answer.is_saving_method:
        due_at = retry.METHOD_SAVING.next_at(
            tries=operation.lookup_count,
            since=operation.lookups_since or now,
            now=now,
            jitter=1.0,
        )
        if due_at is not None:
            return replace(operation, due_at=due_at)
    return replace(operation, due_at=None, lookups_since=None, lookup_count=0)


def _schedule_held_lookup(operation: Operation, now: datetime) -> Operation:
    """The next lookup of an authorization that should have ended and is still held."""
    since = operation.lookups_since or now
    if now < since + _MAX_HELD_TIME:
        return replace(operation, due_at=now + _HELD_LOOKUP_DELAY)
    return replace(
        operation,
        due_at=None,
        lookups_since=None,
        lookup_count=0,
        waiting_for=f"an operator: {ReviewReason.STILL_HELD}",
    )


def _apply_recheck(
    payment: Payment, operation: Operation, answer: Answer, now: datetime
) -> Payment:
    """The payment with a terminal operation confirmed or corrected by a lookup.

    New data of the answer, such as a late fee, is stored in both cases.
    """
    payment = replace(payment, saved_method=answer.saved_method or payment.saved_method)
    after = CORRECTIONS.get((operation.state, answer.verdict.trigger))
    if after is None or amount_differs(payment, operation, answer):
        confirmed = replace(
            _finish_lookup(operation, answer, now), fee=answer.fee or operation.fee
        )
        return payment.with_event(
            confirmed, EventType.LOOKUP_ANSWERED, now=now, data=event_data(answer)
        )
    corrected = payment.with_event(
        replace(with_answer(operation, answer, now=now), state=after),
        EventType.OPERATION_CORRECTED,
        now=now,
        previous=operation.state,
        data=event_data(answer),
    )
    hold = corrected.hold
    if operation.kind is Kind.AUTHORIZE:
        hold = derive_hold(corrected, operation, answer)
    return replace(corrected, hold=hold, last_error=answer.failure)
