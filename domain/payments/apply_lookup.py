"""What a look at the provider makes of a payment: evidence, or another look."""

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
from domain.payments.transitions import (
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
    recheck_refunds,
    event_data,
)

#: What a look must find for a send that is owed not to be made. A look goes before it
#: where the provider told of money meanwhile.
_FOUND: Final = frozenset({Verdict.SUCCEEDED, Verdict.PENDING, Verdict.ACTION_REQUIRED})

#: States that a look must lead out of; from others it only reports.
_UNDECIDED: Final = frozenset({State.UNKNOWN, State.PENDING, *UNSENT})

#: Answers that say the same again.
_NO_NEWS: Final = frozenset(
    {
        (State.PENDING, Verdict.PENDING),
        (State.REQUIRES_ACTION, Verdict.ACTION_REQUIRED),
    }
)

#: How soon the next look is due where somebody else moves next.
_POLLS: Final = {State.PENDING: retry.POLL, State.REQUIRES_ACTION: retry.PAYER}

#: Requests of one operation: where an approval is answered by a demand for the next one
#: over and over, or each is refused as done already and a look finds nothing done, as
#: when PayPal took the money by an order whose id was lost, a person finds out why.
_GENERATIONS: Final = 10
#: An authorization that should have ended and has not is asked of this often.
_STILL_HELD: Final = timedelta(hours=1)
#: Then a person finds out why. What a capture that nobody knows of took looks so too.
_HELD_FOR: Final = timedelta(days=3)


def apply_lookup(
    payment: Payment,
    operation: Operation,
    outcome: Answer | ProviderError,
    *,
    asked_at: datetime,
    now: datetime,
    jitter: float,
) -> Payment:
    """What a look at ``operation`` came to; it changes nothing at the provider.

    ``asked_at`` is before the provider was asked: a worker may be held up after that.
    """
    if isinstance(outcome, ProviderError):
        return _lookup_failed(payment, operation, outcome, now, jitter)
    if operation.state in UNSENT and outcome.verdict not in _FOUND:
        return _resume_send(payment, operation, outcome, now)
    if outcome.verdict is Verdict.ABSENT or is_approved_again(operation, outcome):
        return _handle_absence(payment, operation, outcome, asked_at, now, jitter)
    if not operation.has_ended and may_have_duplicate(operation, outcome):
        return _handle_possible_duplicate(payment, operation, outcome, now)
    if not operation.has_ended and resend_may_succeed(operation, outcome):
        early = _look_again_later(payment, operation, outcome, asked_at, now)
        if early is not None:
            return early
    if operation.state is State.UNKNOWN and _is_forgotten(outcome):
        return _forgotten_by_provider(payment, operation, outcome, now, jitter)
    if operation.kind is Kind.AUTHORIZE and operation.state is State.SUCCEEDED:
        return apply_hold_lookup(payment, operation, outcome, now)
    if operation.state is not State.SUCCEEDED and is_refund_too_large(
        payment, operation, outcome
    ):
        target = payment.get_operation(operation.target or "")
        payment = recheck_refunds(payment, target, now=now)
        return _look_again(payment, operation, outcome, now, jitter)
    if operation.has_ended:
        return apply_recheck(payment, operation, outcome, now)
    if amount_differs(payment, operation, outcome):
        known = replace(operation, refs={**operation.refs, **outcome.refs})
        return _inconclusive(payment, known, ReviewReason.AMOUNT_DIFFERS, outcome, now)
    if (operation.state, outcome.verdict.trigger) not in TRANSITIONS:
        why = out_of_turn(outcome.verdict, operation.state)
        return _inconclusive(payment, operation, why, outcome, now)
    if (operation.state, outcome.verdict) in _NO_NEWS:
        return _look_again(payment, operation, outcome, now, jitter)
    if outcome.verdict is Verdict.APPROVED and operation.generation >= _GENERATIONS:
        return escalate(payment, operation, ReviewReason.APPROVED_AGAIN, now=now)
    return apply_answer(payment, operation, outcome, EventType.LOOKUP_ANSWERED, now=now)


def _handle_possible_duplicate(
    payment: Payment, operation: Operation, answer: Answer, now: datetime
) -> Payment:
    """No look finds the other one: a person does, or the webhook of its money."""
    if operation.state is State.REVIEW:
        return _inconclusive(
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
    """Nothing that an earlier key did stands in the way: the send is owed as before."""
    owed = replace(operation, due_at=now, lookups_since=None, lookup_count=0)
    return payment.with_event(
        owed, EventType.LOOKUP_ANSWERED, now=now, data=event_data(answer)
    )


def _lookup_failed(
    payment: Payment,
    operation: Operation,
    error: ProviderError,
    now: datetime,
    jitter: float,
) -> Payment:
    """The look itself failed: look again, within a budget."""
    if isinstance(error, NeedsReview):
        return _inconclusive(payment, operation, error.detail, error, now)
    return _look_again(payment, operation, error, now, jitter)


def _look_again(
    payment: Payment,
    operation: Operation,
    outcome: Answer | ProviderError,
    now: datetime,
    jitter: float,
) -> Payment:
    """No news: the next look, or a person where the budget is spent."""
    policy = _POLLS.get(operation.state, retry.LOOKUP)
    wait = outcome.retry_after if isinstance(outcome, ProviderError) else None
    due_at = policy.next_at(
        tries=operation.lookup_count,
        since=operation.lookups_since or now,
        now=now,
        jitter=jitter,
        retry_after=wait,
    )
    if due_at is None:
        return _inconclusive(
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
    """Proven never executed, if enough time had passed since the last send.

    Then the next generation may begin: no earlier key can move money any more. What is
    sent and absent for days is refused in a way that we do not understand.
    """
    if operation.state not in (State.UNKNOWN, State.REVIEW) or operation.send is None:
        return _inconclusive(payment, operation, ReviewReason.VANISHED, answer, now)
    early = _look_again_later(payment, operation, answer, asked_at, now)
    if early is not None:
        return early
    retrying = operation.state is State.UNKNOWN
    if operation.may_have_duplicate_order and not retrying:
        return _inconclusive(
            payment, operation, ReviewReason.ANOTHER_ORDER, answer, now
        )
    again_at = retry.TRANSIENT.next_at(
        tries=operation.generation,
        since=operation.started_at or now,
        now=now,
        jitter=jitter,
    )
    if retrying and (again_at is None or operation.generation >= _GENERATIONS):
        return _inconclusive(payment, operation, ReviewReason.ABSENT_AGAIN, answer, now)
    after = replace(
        operation,
        generation=operation.generation + 1,
        send=None,
        lookups_since=None,
        lookup_count=0,
        due_at=again_at if retrying else None,
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
    """Whether the provider has no object any more that it could tell of."""
    return answer.verdict is Verdict.EXPIRED and not answer.refs


def _forgotten_by_provider(
    payment: Payment,
    operation: Operation,
    answer: Answer,
    now: datetime,
    jitter: float,
) -> Payment:
    """Forgotten by the provider, which keeps what it carried out.

    By itself that proves nothing: another account's would be unknown to it as well. It
    counts where the provider knew what it was about and refused our resend as too late.
    """
    if operation.error != TOO_LATE:
        return _look_again(payment, operation, answer, now, jitter)
    return apply_answer(payment, operation, answer, EventType.LOOKUP_ANSWERED, now=now)


def _look_again_later(
    payment: Payment,
    operation: Operation,
    answer: Answer,
    asked_at: datetime,
    now: datetime,
) -> Payment | None:
    """The look again, once nothing that was sent can still be on its way; None: now."""
    send = operation.send
    if send is None or asked_at >= send.last_at + ABSENCE_PROOF_DELAY:
        return None
    after = replace(operation, due_at=send.last_at + ABSENCE_PROOF_DELAY)
    return payment.with_event(
        after, EventType.LOOKUP_ANSWERED, now=now, data=event_data(answer)
    )


def _inconclusive(
    payment: Payment,
    operation: Operation,
    reason: str,
    outcome: Answer | ProviderError,
    now: datetime,
) -> Payment:
    """A person must look; where nothing was owed, the look only ends."""
    if operation.state in _UNDECIDED:
        request_id = outcome.request_id
        return escalate(payment, operation, reason, now=now, request_id=request_id)
    hold = payment.hold
    ending = hold is not None and hold.asked and hold.ended is None
    waits = (
        f"an operator: {reason}"
        if ending and operation.kind is Kind.AUTHORIZE
        else None
    )
    after = replace(
        operation,
        due_at=None,
        lookups_since=None,
        lookup_count=0,
        waiting_for=waits or operation.waiting_for,
    )
    data = {**event_data(outcome), "reason": reason}
    return payment.with_event(after, EventType.LOOKUP_ANSWERED, now=now, data=data)


def is_correction(step: Payment) -> bool:
    """Whether a step moved what was final."""
    return any(
        event.type == EventType.OPERATION_CORRECTED for event in step.pending_events
    )


def apply_hold_lookup(
    payment: Payment, operation: Operation, answer: Answer, now: datetime
) -> Payment:
    """What became of an authorization: still held, or let go."""
    payment = replace(payment, saved_method=answer.saved_method or payment.saved_method)
    hold, end = payment.hold, HOLD_ENDS.get(answer.verdict)
    after = _finish_lookup(operation, answer, now)
    if hold is None or hold.ended is not None or end is None:
        if hold is not None and hold.ended is None and hold.asked:
            after = _extend_hold(operation, now)
        return payment.with_event(
            after, EventType.LOOKUP_ANSWERED, now=now, data=event_data(answer)
        )
    told = payment.with_event(
        after,
        EventType.AUTHORIZATION_ENDED,
        now=now,
        data={"reason": end.value, **event_data(answer)},
    )
    return replace(told, hold=replace(hold, ended=end))


def _finish_lookup(operation: Operation, answer: Answer, now: datetime) -> Operation:
    """Nothing more is owed; but a method that is still being saved is asked after."""
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


def _extend_hold(operation: Operation, now: datetime) -> Operation:
    """An authorization whose end has come, and the provider says that it is there."""
    since = operation.lookups_since or now
    if now < since + _HELD_FOR:
        return replace(operation, due_at=now + _STILL_HELD)
    return replace(
        operation,
        due_at=None,
        lookups_since=None,
        lookup_count=0,
        waiting_for=f"an operator: {ReviewReason.STILL_HELD}",
    )


def apply_recheck(
    payment: Payment, operation: Operation, answer: Answer, now: datetime
) -> Payment:
    """A final operation, asked of again: the same, or a correction.

    What was not said before, as a fee that came late, is taken down all the same.
    """
    payment = replace(payment, saved_method=answer.saved_method or payment.saved_method)
    after = CORRECTIONS.get((operation.state, answer.verdict.trigger))
    if after is None or amount_differs(payment, operation, answer):
        rested = _finish_lookup(operation, answer, now)
        quiet = replace(rested, fee=answer.fee or operation.fee)
        return payment.with_event(
            quiet, EventType.LOOKUP_ANSWERED, now=now, data=event_data(answer)
        )
    corrected = replace(with_answer(operation, answer, now=now), state=after)
    told = payment.with_event(
        corrected,
        EventType.OPERATION_CORRECTED,
        now=now,
        previous=operation.state,
        data=event_data(answer),
    )
    hold = told.hold
    if operation.kind is Kind.AUTHORIZE:
        hold = derive_hold(told, operation, answer)
    return replace(told, hold=hold, last_error=answer.failure)
