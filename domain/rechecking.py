"""What a look makes of what was done or had ended: a hold let go, a correction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from domain import retry
from domain.answer import Answer
from domain.event_types import EventType
from domain.operation import Kind, Operation
from domain.outcome import HOLD_ENDS, as_answered, hold_after, is_odd, said
from domain.payment import Payment
from domain.review_reasons import ReviewReason
from domain.states import CORRECTIONS

#: An authorization that should have ended and has not is asked of this often.
_STILL_HELD: Final = timedelta(hours=1)
#: Then a person finds out why. What a capture that nobody knows of took looks so too.
_HELD_FOR: Final = timedelta(days=3)


def is_correction(step: Payment) -> bool:
    """Whether a step moved what was final."""
    return any(event.type == EventType.OPERATION_CORRECTED for event in step.news)


def hold_seen(
    payment: Payment, operation: Operation, answer: Answer, now: datetime
) -> Payment:
    """What became of an authorization: still held, or let go."""
    payment = replace(payment, saved_method=answer.saved or payment.saved_method)
    hold, end = payment.hold, HOLD_ENDS.get(answer.verdict)
    after = _rested(operation, answer, now)
    if hold is None or hold.ended is not None or end is None:
        if hold is not None and hold.ended is None and hold.asked:
            after = _still_held(operation, now)
        return payment.told_of(
            after, EventType.LOOKUP_ANSWERED, now=now, data=said(answer)
        )
    told = payment.told_of(
        after,
        EventType.AUTHORIZATION_ENDED,
        now=now,
        data={"why": end.value, **said(answer)},
    )
    return replace(told, hold=replace(hold, ended=end))


def _rested(operation: Operation, answer: Answer, now: datetime) -> Operation:
    """Nothing more is owed; but a method that is still being saved is asked after."""
    if answer.saving:
        due_at = retry.SAVING.next_at(
            tries=operation.looks,
            since=operation.look_since or now,
            now=now,
            jitter=1.0,
        )
        if due_at is not None:
            return replace(operation, due_at=due_at)
    return replace(operation, due_at=None, look_since=None, looks=0)


def _still_held(operation: Operation, now: datetime) -> Operation:
    """An authorization whose end has come, and the provider says that it is there."""
    since = operation.look_since or now
    if now < since + _HELD_FOR:
        return replace(operation, due_at=now + _STILL_HELD)
    return replace(
        operation,
        due_at=None,
        look_since=None,
        looks=0,
        waiting_for=f"an operator: {ReviewReason.STILL_HELD}",
    )


def seen_again(
    payment: Payment, operation: Operation, answer: Answer, now: datetime
) -> Payment:
    """A final operation, asked of again: the same, or a correction.

    What was not said before, as a fee that came late, is taken down all the same.
    """
    payment = replace(payment, saved_method=answer.saved or payment.saved_method)
    after = CORRECTIONS.get((operation.state, answer.verdict.trigger))
    if after is None or is_odd(payment, operation, answer):
        rested = _rested(operation, answer, now)
        quiet = replace(rested, fee=answer.fee or operation.fee)
        return payment.told_of(
            quiet, EventType.LOOKUP_ANSWERED, now=now, data=said(answer)
        )
    corrected = replace(as_answered(operation, answer, now=now), state=after)
    told = payment.told_of(
        corrected,
        EventType.OPERATION_CORRECTED,
        now=now,
        was=operation.state,
        data=said(answer),
    )
    hold = told.hold
    if operation.kind is Kind.AUTHORIZE:
        hold = hold_after(told, operation, answer)
    return replace(told, hold=hold, last_error=answer.failure)
