"""What a look at the provider makes of a payment: evidence, or another look."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from domain import retry
from domain.errors import NeedsReview, ProviderError
from domain.payments.answer import Answer, Verdict
from domain.payments.event_types import EventType
from domain.payments.operation import PROOF_AFTER, Kind, Operation
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason, out_of_turn
from domain.payments.states import CORRECTIONS, TRANSITIONS, UNSENT, State, Trigger
from domain.payments.transitions import (
    HOLD_ENDS,
    TOO_LATE,
    applied,
    as_answered,
    escalate,
    hold_after,
    is_approved_again,
    is_odd,
    is_one_of_twins,
    is_too_much,
    may_be_overtaken,
    recheck_refunds,
    said,
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


def looked(
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
        return _saw_nothing(payment, operation, outcome, now, jitter)
    if operation.state in UNSENT and outcome.verdict not in _FOUND:
        return _resumed(payment, operation, outcome, now)
    if outcome.verdict is Verdict.ABSENT or is_approved_again(operation, outcome):
        return _absent(payment, operation, outcome, asked_at, now, jitter)
    if not operation.ended and is_one_of_twins(operation, outcome):
        return _of_twins(payment, operation, outcome, now)
    if not operation.ended and may_be_overtaken(operation, outcome):
        early = _too_early(payment, operation, outcome, asked_at, now)
        if early is not None:
            return early
    if operation.state is State.UNKNOWN and _is_gone(outcome):
        return _gone(payment, operation, outcome, now, jitter)
    if operation.kind is Kind.AUTHORIZE and operation.state is State.SUCCEEDED:
        return hold_seen(payment, operation, outcome, now)
    if operation.state is not State.SUCCEEDED and is_too_much(
        payment, operation, outcome
    ):
        target = payment.operation(operation.target or "")
        payment = recheck_refunds(payment, target, now=now)
        return _still(payment, operation, outcome, now, jitter)
    if operation.ended:
        return seen_again(payment, operation, outcome, now)
    if is_odd(payment, operation, outcome):
        known = replace(operation, refs={**operation.refs, **outcome.refs})
        return _puzzled(payment, known, ReviewReason.AMOUNT_DIFFERS, outcome, now)
    if (operation.state, outcome.verdict.trigger) not in TRANSITIONS:
        why = out_of_turn(outcome.verdict, operation.state)
        return _puzzled(payment, operation, why, outcome, now)
    if (operation.state, outcome.verdict) in _NO_NEWS:
        return _still(payment, operation, outcome, now, jitter)
    if outcome.verdict is Verdict.APPROVED and operation.generation >= _GENERATIONS:
        return escalate(payment, operation, ReviewReason.APPROVED_AGAIN, now=now)
    return applied(payment, operation, outcome, EventType.LOOKUP_ANSWERED, now=now)


def _of_twins(
    payment: Payment, operation: Operation, answer: Answer, now: datetime
) -> Payment:
    """No look finds the other one: a person does, or the webhook of its money."""
    if operation.state is State.REVIEW:
        return _puzzled(payment, operation, ReviewReason.ANOTHER_ORDER, answer, now)
    return escalate(
        payment,
        operation,
        ReviewReason.ANOTHER_ORDER,
        now=now,
        request_id=answer.request_id,
    )


def _resumed(
    payment: Payment, operation: Operation, answer: Answer, now: datetime
) -> Payment:
    """Nothing that an earlier key did stands in the way: the send is owed as before."""
    owed = replace(operation, due_at=now, look_since=None, looks=0)
    return payment.told_of(owed, EventType.LOOKUP_ANSWERED, now=now, data=said(answer))


def _saw_nothing(
    payment: Payment,
    operation: Operation,
    error: ProviderError,
    now: datetime,
    jitter: float,
) -> Payment:
    """The look itself failed: look again, within a budget."""
    if isinstance(error, NeedsReview):
        return _puzzled(payment, operation, error.detail, error, now)
    return _still(payment, operation, error, now, jitter)


def _still(
    payment: Payment,
    operation: Operation,
    outcome: Answer | ProviderError,
    now: datetime,
    jitter: float,
) -> Payment:
    """No news: the next look, or a person where the budget is spent."""
    policy = _POLLS.get(operation.state, retry.LOOK)
    wait = outcome.retry_after if isinstance(outcome, ProviderError) else None
    due_at = policy.next_at(
        tries=operation.looks,
        since=operation.look_since or now,
        now=now,
        jitter=jitter,
        retry_after=wait,
    )
    if due_at is None:
        return _puzzled(payment, operation, ReviewReason.NOTHING_FOUND, outcome, now)
    after = replace(operation, due_at=due_at)
    return payment.told_of(
        after, EventType.LOOKUP_ANSWERED, now=now, data=said(outcome)
    )


def _absent(
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
        return _puzzled(payment, operation, ReviewReason.VANISHED, answer, now)
    early = _too_early(payment, operation, answer, asked_at, now)
    if early is not None:
        return early
    retrying = operation.state is State.UNKNOWN
    if operation.twins and not retrying:
        return _puzzled(payment, operation, ReviewReason.ANOTHER_ORDER, answer, now)
    again_at = retry.TRANSIENT.next_at(
        tries=operation.generation,
        since=operation.started_at or now,
        now=now,
        jitter=jitter,
    )
    if retrying and (again_at is None or operation.generation >= _GENERATIONS):
        return _puzzled(payment, operation, ReviewReason.ABSENT_AGAIN, answer, now)
    after = replace(
        operation,
        generation=operation.generation + 1,
        send=None,
        look_since=None,
        looks=0,
        due_at=again_at if retrying else None,
        waiting_for=(
            f"{payment.provider} to take the request"
            if retrying
            else "an operator's replay"
        ),
    )
    return payment.moved(
        after, Trigger.ABSENT, EventType.LOOKUP_ANSWERED, now=now, data=said(answer)
    )


def _is_gone(answer: Answer) -> bool:
    """Whether the provider has no object any more that it could tell of."""
    return answer.verdict is Verdict.EXPIRED and not answer.refs


def _gone(
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
        return _still(payment, operation, answer, now, jitter)
    return applied(payment, operation, answer, EventType.LOOKUP_ANSWERED, now=now)


def _too_early(
    payment: Payment,
    operation: Operation,
    answer: Answer,
    asked_at: datetime,
    now: datetime,
) -> Payment | None:
    """The look again, once nothing that was sent can still be on its way; None: now."""
    send = operation.send
    if send is None or asked_at >= send.last_at + PROOF_AFTER:
        return None
    after = replace(operation, due_at=send.last_at + PROOF_AFTER)
    return payment.told_of(after, EventType.LOOKUP_ANSWERED, now=now, data=said(answer))


def _puzzled(
    payment: Payment,
    operation: Operation,
    why: str,
    outcome: Answer | ProviderError,
    now: datetime,
) -> Payment:
    """A person must look; where nothing was owed, the look only ends."""
    if operation.state in _UNDECIDED:
        request_id = outcome.request_id
        return escalate(payment, operation, why, now=now, request_id=request_id)
    hold = payment.hold
    ending = hold is not None and hold.asked and hold.ended is None
    waits = (
        f"an operator: {why}" if ending and operation.kind is Kind.AUTHORIZE else None
    )
    after = replace(
        operation,
        due_at=None,
        look_since=None,
        looks=0,
        waiting_for=waits or operation.waiting_for,
    )
    data = {**said(outcome), "why": why}
    return payment.told_of(after, EventType.LOOKUP_ANSWERED, now=now, data=data)


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
