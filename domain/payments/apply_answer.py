"""The steps that sends and lookups share: applying an answer, and escalation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from domain import retry
from domain.errors import ProviderError
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.event_types import EventType
from domain.payments.operation import Hold, HoldEnd, Kind, Operation
from domain.payments.payment import Payment
from domain.payments.review_reasons import out_of_turn
from domain.payments.states import State, Trigger
from domain.provider_rules import RULES

#: The error of an operation whose resend was refused as too late, while the outcome of
#: the first send is unknown.
TOO_LATE: Final = out_of_turn(Verdict.EXPIRED, State.UNKNOWN)

#: The default of ``waiting_for``, where the answer has none.
_WAITING_FOR: Final = {
    Verdict.PENDING: "the provider",
    Verdict.ACTION_REQUIRED: "the payer",
}

#: The lookups that follow an answer which is not final.
_POLLS: Final = {
    Verdict.PENDING: retry.POLL,
    Verdict.ACTION_REQUIRED: retry.PAYER,
}

#: Verdicts that mean that no money moved.
_NEGATIVE_VERDICTS: Final = frozenset(
    {Verdict.DECLINED, Verdict.REJECTED, Verdict.CANCELED, Verdict.EXPIRED}
)

#: The end of a hold that a verdict means.
HOLD_ENDS: Final = {Verdict.EXPIRED: HoldEnd.EXPIRED, Verdict.CANCELED: HoldEnd.VOIDED}


def amount_differs(payment: Payment, operation: Operation, answer: Answer) -> bool:
    """Whether the amount that moved is not the requested one."""
    moves = answer.verdict is Verdict.SUCCEEDED and operation.kind is not Kind.VOID
    requested = Money(operation.amount, payment.submission.amount.currency)
    return answer.moved != (requested if moves else None)


def is_refund_too_large(payment: Payment, operation: Operation, answer: Answer) -> bool:
    """Whether a refund that was made is more than our totals have left for it.

    The provider allows no such refund, so an external refund has failed meanwhile.
    """
    if operation.target is None or answer.verdict is not Verdict.SUCCEEDED:
        return False
    target = payment.get_operation(operation.target)
    names = {one.id for one in payment.operations_of_charge(target)}
    others = any(one.is_external and one.target in names for one in payment.operations)
    left = payment.unrefunded_amount(target) + operation.moved
    return others and operation.amount > left


def schedule_refund_lookups(
    payment: Payment, target: Operation, *, now: datetime
) -> Payment:
    """The payment with a lookup due of each refund of ``target``'s charge."""
    names = {one.id for one in payment.operations_of_charge(target)}
    return replace(
        payment,
        operations=tuple(
            (
                one.with_lookup_due(now=now)
                if one.target in names and one.state is State.SUCCEEDED
                else one
            )
            for one in payment.operations
        ),
    )


def creates_order(payment: Payment, operation: Operation) -> bool:
    """Whether each send of the operation may make an order of its own at the provider.

    A provider that keeps failed keys makes only one. A send after the payer's approval
    carries out the existing order.
    """
    return RULES[payment.provider].forgets_failed_keys and _begins_payment(operation)


def needs_payer_approval(payment: Payment, operation: Operation) -> bool:
    """Whether the payer must approve first, so that no send can have moved money.

    Such an order waits for the payer's approval, and then for another request of ours.
    After a lost answer nobody knows the link for the approval.
    """
    asks = RULES[payment.provider].needs_payer_approval
    token = payment.submission.payment_method_for(payment.provider)
    return asks and token is None and _begins_payment(operation)


def _begins_payment(operation: Operation) -> bool:
    """Whether the operation's sends begin the payment, before any approval."""
    return operation.kind in (Kind.CHARGE, Kind.AUTHORIZE) and not operation.approved


def may_have_duplicate(operation: Operation, answer: Answer) -> bool:
    """Whether the refusal is of one object, and another may have taken the money."""
    return operation.may_have_duplicate_order and answer.verdict in _NEGATIVE_VERDICTS


def resend_may_succeed(operation: Operation, answer: Answer) -> bool:
    """Whether the refusal is of one object, and a resend may yet make another.

    A provider that forgets a failed key still shows the object of the failed send.
    """
    send = operation.send
    return send is not None and send.is_resend and answer.verdict in _NEGATIVE_VERDICTS


def is_approved_again(operation: Operation, answer: Answer) -> bool:
    """Whether the provider still waits for a request that we sent: it never arrived."""
    return answer.verdict is Verdict.APPROVED and operation.approved


def apply_answer(
    payment: Payment,
    operation: Operation,
    answer: Answer,
    event: EventType,
    *,
    now: datetime,
    more: Mapping[str, str | int] | None = None,
) -> Payment:
    """The payment with ``answer`` applied; ``more`` is added to the event's data.

    Raises IllegalTransition.
    """
    after = with_answer(operation, answer, now=now)
    moved = payment.transition(
        after,
        answer.verdict.trigger,
        event,
        now=now,
        data={**event_data(answer), **(more or {})},
    )
    next_action = answer.next_action
    if operation.kind is Kind.VOID:
        if answer.verdict is not Verdict.SUCCEEDED:
            moved = _with_first_lookup(moved, now=now)
        elif moved.first_operation.state is State.REQUIRES_ACTION:
            moved = cancel_first_operation(moved, now=now)
        next_action = moved.next_action
    return replace(
        moved,
        hold=derive_hold(moved, operation, answer),
        next_action=next_action,
        last_error=answer.failure,
        saved_method=answer.saved_method or moved.saved_method,
    )


def cancel_first_operation(payment: Payment, *, now: datetime) -> Payment:
    """The payment with its first operation canceled, which can move no money."""
    first = replace(payment.first_operation, due_at=None, waiting_for=None)
    ended = payment.transition(
        first, Trigger.CANCELED, EventType.OPERATION_CANCELED, now=now
    )
    return replace(ended, next_action=None)


def _with_first_lookup(payment: Payment, *, now: datetime) -> Payment:
    """The payment with a lookup of its first operation due, if it waits for the payer.

    The payer has acted where the provider refuses the void.
    """
    first = payment.first_operation
    if first.state is not State.REQUIRES_ACTION:
        return payment
    looked_up = first.with_lookup_due(now=now)
    return replace(payment, operations=(looked_up, *payment.operations[1:]))


def with_answer(operation: Operation, answer: Answer, *, now: datetime) -> Operation:
    """``operation`` with the data of ``answer``, except for its state."""
    polls = _POLLS.get(answer.verdict)
    after = replace(
        operation,
        moved=answer.moved.minor if answer.moved is not None else 0,
        moved_at=now if answer.moved is not None else None,
        fee=answer.fee or operation.fee,
        refs={**operation.refs, **answer.refs},
        due_at=now + polls.base_delay if polls else None,
        lookups_since=None,
        lookup_count=0,
        waiting_for=answer.waiting_for or _WAITING_FOR.get(answer.verdict),
        error=find_error_code(answer),
        resolved_by_operator=False,
    )
    if answer.verdict is Verdict.SUCCEEDED and answer.is_saving_method:
        return replace(
            after, due_at=now + retry.METHOD_SAVING.base_delay, lookups_since=now
        )
    if answer.verdict is Verdict.ACTION_REQUIRED:
        return replace(after, approved=False)
    if answer.verdict is Verdict.APPROVED:
        # The next request is a new one, so it needs a new key.
        return replace(
            after,
            approved=True,
            generation=operation.generation + 1,
            send=None,
            due_at=now,
        )
    return after


def find_error_code(outcome: Answer | ProviderError) -> str | None:
    """The error code, the bank's before the provider's; None of a success."""
    if isinstance(outcome, ProviderError):
        return outcome.detail
    failure = outcome.failure
    return (failure.decline_code or failure.code) if failure else None


def escalate(
    payment: Payment,
    operation: Operation,
    reason: str,
    *,
    now: datetime,
    request_id: str | None = None,
) -> Payment:
    """The payment with ``operation`` in review; ``reason`` stands for a ReviewReason.

    ``request_id`` is the provider's id of the call with that result.
    """
    after = replace(
        operation, due_at=None, waiting_for=f"an operator: {reason}", error=reason
    )
    data: dict[str, str | int] = {"reason": reason}
    if request_id is not None:
        data["provider_request_id"] = request_id
    moved = payment.transition(
        after, Trigger.ESCALATED, EventType.OPERATION_ESCALATED, now=now, data=data
    )
    return _with_first_lookup(moved, now=now) if after.kind is Kind.VOID else moved


def is_escalation(step: Payment) -> bool:
    """Whether a step escalated an operation to manual review."""
    return any(
        event.type == EventType.OPERATION_ESCALATED for event in step.pending_events
    )


def is_correction(step: Payment) -> bool:
    """Whether a step changed a terminal state."""
    return any(
        event.type == EventType.OPERATION_CORRECTED for event in step.pending_events
    )


def event_data(outcome: Answer | ProviderError) -> dict[str, str | int]:
    """The data of ``outcome`` for an event."""
    answer = outcome.verdict.value if isinstance(outcome, Answer) else outcome.code
    data = {
        "answer": answer,
        "code": find_error_code(outcome),
        "provider_request_id": outcome.request_id,
    }
    return {name: value for name, value in data.items() if value is not None}


def derive_hold(payment: Payment, operation: Operation, answer: Answer) -> Hold | None:
    """The payment's hold after ``answer``; ``payment`` has it applied already."""
    hold, done = payment.hold, answer.verdict is Verdict.SUCCEEDED
    if operation.kind is Kind.AUTHORIZE and done:
        return Hold(
            answer.expires_at, answer.honored_until, multicapture=answer.multicapture
        )
    if hold is None or hold.ended is not None:
        return hold
    end = None
    if operation.kind is Kind.VOID:
        end = HoldEnd.VOIDED if done else HOLD_ENDS.get(answer.verdict)
    elif operation.kind is Kind.CAPTURE:
        whole = payment.captured >= payment.authorized
        taken = done and (operation.final or whole)
        end = HoldEnd.CAPTURED if taken else HOLD_ENDS.get(answer.verdict)
    return hold if end is None else replace(hold, ended=end)
