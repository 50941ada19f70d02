"""Records refunds, captures and voids that others made at the provider.

A person in the provider's dashboard, or another program, can move a payment's money
without this service. Such a movement becomes an operation without a request. Unsent
operations of ours end where it leaves no money for them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Final

from domain import retry
from domain.errors import NeedsReview
from domain.payments.answer import Answer, ExternalMovement, Failure, Verdict
from domain.payments.apply_lookup import apply_lookup
from domain.payments.event_types import EventType
from domain.payments.failure_codes import FailureCode
from domain.payments.operation import HoldEnd, Kind, Operation
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason
from domain.payments.states import UNSENT, State, Trigger
from domain.payments.apply_answer import HOLD_ENDS, schedule_refund_lookups

#: A payment with so many operations gets no more external ones: its document would
#: become too large.
MAX_KEPT: Final = 200

#: The state of a new external operation, by the movement's verdict.
_NEW_STATES: Final = {
    Verdict.SUCCEEDED: State.SUCCEEDED,
    Verdict.PENDING: State.PENDING,
}
#: States in which an operation is proven not to have been carried out.
_NOT_EXECUTED: Final = UNSENT | {State.DEAD}
_OVERTAKEN_FAILURES: Final = {
    Kind.REFUND: Failure(
        FailureCode.REFUNDED_AT_PROVIDER,
        "The money was refunded at the provider by others.",
    ),
    Kind.CAPTURE: Failure(
        FailureCode.CAPTURED_AT_PROVIDER,
        "The money was captured at the provider by others.",
    ),
}
#: The characters of an id, as in ULIDs.
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ID_LENGTH: Final = 26


def record_external_movements(
    before: Payment, payment: Payment, answer: Answer, *, now: datetime
) -> Payment:
    """``payment`` with the external movements in ``answer``.

    ``before`` is the payment before ``answer`` was applied to it.
    """
    payment = _with_external_void(before, payment, answer, now)
    # Captures come first: a refund may be of one of them.
    for one in sorted(
        answer.external_movements, key=lambda one: one.kind is Kind.REFUND
    ):
        payment = _with_movement(before, payment, one, now)
    return reject_overtaken(payment, now=now) if answer.external_movements else payment


def decline_captured_elsewhere(
    external: Sequence[ExternalMovement],
    *,
    request_id: str | None,
    refs: Mapping[str, str] | None = None,
) -> Answer:
    """The answer to a capture that is absent, of a hold that others captured: declined.

    Raises NeedsReview where no external capture could be read: our capture may have
    taken the money.
    """
    taken = (Verdict.SUCCEEDED, Verdict.PENDING)
    if not any(one.kind is Kind.CAPTURE and one.verdict in taken for one in external):
        raise NeedsReview(ReviewReason.CAPTURED_ELSEWHERE, request_id=request_id)
    failure = replace(_OVERTAKEN_FAILURES[Kind.CAPTURE], provider_request_id=request_id)
    return Answer(
        Verdict.DECLINED, refs=refs or {}, failure=failure, request_id=request_id
    )


def find_discoveries(step: Payment) -> list[Kind]:
    """The kinds of the external operations that a step has added."""
    found = (
        one.data
        for one in step.pending_events
        if one.type == EventType.OPERATION_DISCOVERED
    )
    return [Kind(str(data["kind"])) for data in found]


def with_partly_captured_hold(payment: Payment, answer: Answer) -> Answer:
    """``answer``, or success of an authorization that others have partly captured.

    A lookup shows such a hold as ended only. The capture proves that the authorization
    had succeeded.
    """
    operation = payment.claimed_operation
    done = operation.state is State.SUCCEEDED
    captured = any(
        one.kind is Kind.CAPTURE and one.verdict is Verdict.SUCCEEDED
        for one in answer.external_movements
    )
    if operation.kind is not Kind.AUTHORIZE or done or not captured:
        return answer
    if answer.verdict not in HOLD_ENDS:
        return answer
    return replace(
        answer,
        verdict=Verdict.SUCCEEDED,
        moved=replace(payment.submission.amount, minor=operation.amount),
        external_movements=tuple(
            replace(one, final=True) for one in answer.external_movements
        ),
    )


def reject_overtaken(payment: Payment, *, now: datetime) -> Payment:
    """The payment without operations that wait for a send and no longer fit.

    The newest is rejected first. An operation that may have been carried out stays.
    """
    if not any(one.is_external for one in payment.operations):
        return payment
    for one in reversed(payment.operations):
        unsent = one.state in _NOT_EXECUTED and one.lookups_since is None
        if unsent and _is_overtaken(payment, one):
            failure = _OVERTAKEN_FAILURES[one.kind]
            ended = replace(one, due_at=None, waiting_for=None, error=failure.code)
            rejected = payment.transition(
                ended,
                Trigger.REJECTED,
                EventType.OPERATION_OVERTAKEN,
                now=now,
                data={"reason": failure.code},
            )
            payment = replace(rejected, last_error=failure)
    return payment


def without_disputed_refunds(payment: Payment, *, now: datetime) -> Payment:
    """The payment without external refunds that are the withdrawal of a dispute."""
    for one in payment.operations:
        if one.is_external and one.target is not None:
            charge_refs = payment.get_operation(one.target).refs.values()
            if _is_dispute_withdrawal(payment, one.refs, charge_refs, one.amount):
                payment = _without_refund(payment, payment.get_operation(one.id), now)
    return payment


def _is_overtaken(payment: Payment, operation: Operation) -> bool:
    """Whether the money that has moved leaves too little for ``operation``."""
    if operation.kind is Kind.CAPTURE:
        taken = payment.hold is not None and payment.hold.ended is HoldEnd.CAPTURED
        captures = (one for one in payment.operations if one.kind is Kind.CAPTURE)
        wanted = sum(one.moved + one.reserved_amount for one in captures)
        return taken or wanted > payment.authorized
    if operation.target is None:
        return False
    target = payment.get_operation(operation.target)
    names = {one.id for one in payment.operations_of_charge(target)}
    back = (one.reserved_amount for one in payment.operations if one.target in names)
    return sum(back) > payment.unrefunded_amount(target)


def _with_movement(
    before: Payment, payment: Payment, found: ExternalMovement, now: datetime
) -> Payment:
    """The payment with one external movement as the provider shows it."""
    same = [
        one
        for one in payment.operations
        if one.kind is found.kind and found.refs.items() <= dict(one.refs).items()
    ]
    known = [one for one in same if one.is_external]
    if found.kind is Kind.REFUND:
        if same and not known:
            return payment  # ours: an operator resolved it with this reference
        charge_refs = (found.parent_ref,) if found.parent_ref else ()
        if _is_dispute_withdrawal(payment, found.refs, charge_refs, found.money.minor):
            for one in known:
                payment = _without_refund(payment, one, now)
            return payment
    if known and known[-1].state.value != found.verdict.value:
        moved = found.money if found.verdict is Verdict.SUCCEEDED else None
        answer = Answer(found.verdict, moved, found.refs, fee=found.fee)
        payment = apply_lookup(
            payment, known[-1], answer, asked_at=now, now=now, jitter=1.0
        )
    elif found.verdict in _NEW_STATES:
        payment = _with_new_movement(before, payment, found, known, now)
    return _with_hold_ended(payment, found)


def _with_hold_ended(payment: Payment, found: ExternalMovement) -> Payment:
    hold = payment.hold
    if found.kind is not Kind.CAPTURE or hold is None or hold.ended is not None:
        return payment
    is_whole = payment.captured >= payment.authorized
    is_recorded = any(
        one.is_external and one.state is State.SUCCEEDED and found.kind is one.kind
        for one in payment.operations
    )
    if not is_recorded or not (found.final or is_whole):
        return payment
    return replace(payment, hold=replace(hold, ended=HoldEnd.CAPTURED))


def _with_new_movement(
    before: Payment,
    payment: Payment,
    found: ExternalMovement,
    known: Sequence[Operation],
    now: datetime,
) -> Payment:
    """The payment with the new part of a movement, where its totals have room for it.

    Without room another movement has changed meanwhile or is not known yet, so one more
    lookup is due.
    """
    amount = found.money.minor - sum(one.amount for one in known)
    same_currency = found.money.currency == payment.submission.amount.currency
    if amount <= 0 or not same_currency or len(payment.operations) >= MAX_KEPT:
        return payment
    target = None
    if found.kind is Kind.REFUND:
        ours = _find_resolved_refund(payment, amount)
        if ours is not None:
            named = replace(ours, refs={**ours.refs, **found.refs})
            data = {"source": "provider", "ref": found.ref}
            return payment.with_event(
                named, EventType.OPERATION_NAMED, now=now, data=data
            )
        target = _find_target(payment, found)
        if target is None or payment.unrefunded_amount(target) < amount:
            if target is not None:
                payment = schedule_refund_lookups(payment, target, now=now)
            return _schedule_lookup(before, payment, now)
    elif payment.authorized - payment.captured < amount:
        return _schedule_lookup(before, payment, now)
    done = found.verdict is Verdict.SUCCEEDED
    made = Operation(
        id=_derive_id(payment, *found.refs.values(), str(len(known))),
        kind=found.kind,
        amount=amount,
        origin=None,
        starts_at=now,
        state=_NEW_STATES[found.verdict],
        due_at=None if done else now + retry.POLL.base_delay,
        moved=amount if done else 0,
        moved_at=now if done else None,
        fee=found.fee,
        refs=found.refs,
        target=None if target is None else target.id,
        final=found.final,
        waiting_for=None if done else "the provider",
    )
    return _add_discovered(payment, made, found.ref, now)


def _with_external_void(
    before: Payment, payment: Payment, answer: Answer, now: datetime
) -> Payment:
    """The payment with an external void, where ``answer`` shows one."""
    hold_before, hold = before.hold, payment.hold
    is_voided = hold is not None and hold.ended is HoldEnd.VOIDED
    if hold_before is None or hold_before.ended is not None or not is_voided:
        return payment
    voids = (one for one in payment.operations if one.kind is Kind.VOID)
    if any(not one.is_terminal or one.state is State.SUCCEEDED for one in voids):
        return payment
    known = {**payment.first_operation.refs, **answer.refs}
    name = "authorization" if "authorization" in known else "payment_intent"
    ref = known.get(name, payment.id)
    made = Operation(
        id=_derive_id(payment, "void", ref),
        kind=Kind.VOID,
        amount=before.authorized - before.captured,
        origin=None,
        starts_at=now,
        state=State.SUCCEEDED,
        refs={name: ref},
    )
    return _add_discovered(payment, made, ref, now)


def _add_discovered(
    payment: Payment, made: Operation, ref: str, now: datetime
) -> Payment:
    data: dict[str, str | int] = {
        "kind": made.kind.value,
        "amount": made.amount,
        "source": "provider",
        "ref": ref,
    }
    return payment.with_event(made, EventType.OPERATION_DISCOVERED, now=now, data=data)


def _without_refund(payment: Payment, operation: Operation, now: datetime) -> Payment:
    """The payment with an external refund canceled, which was no refund."""
    if operation.state not in _NEW_STATES.values():
        return payment
    answer = Answer(Verdict.CANCELED, refs=operation.refs)
    return apply_lookup(payment, operation, answer, asked_at=now, now=now, jitter=1.0)


def _is_dispute_withdrawal(
    payment: Payment, refs: Mapping[str, str], charge_refs: Collection[str], amount: int
) -> bool:
    """Whether the refund with ``refs`` is the withdrawal of a dispute or a reversal.

    ``charge_refs`` are the ids of the refunded charge.
    """
    return any(
        one.id in refs.values() or (one.ref in charge_refs and one.withdrawn == amount)
        for one in payment.disputes
    )


def _find_target(payment: Payment, found: ExternalMovement) -> Operation | None:
    """The charge or capture of an external refund; of several, one with enough left."""
    charges = [
        one
        for one in payment.operations
        if one.kind in (Kind.CHARGE, Kind.CAPTURE)
        and one.state is State.SUCCEEDED
        and found.parent_ref in one.refs.values()
    ]
    enough = (
        one for one in charges if payment.refundable_amount(one) >= found.money.minor
    )
    return next(enough, charges[0] if charges else None)


def _find_resolved_refund(payment: Payment, amount: int) -> Operation | None:
    """Our refund of this amount that an operator resolved without a reference."""
    for one in payment.operations:
        done = one.kind is Kind.REFUND and one.state is State.SUCCEEDED
        if done and "refund" not in one.refs and one.moved == amount:
            return one
    return None


def _schedule_lookup(before: Payment, payment: Payment, now: datetime) -> Payment:
    """The payment with another status lookup due, for an hour at most."""
    first, since = payment.first_operation, before.first_operation.lookups_since or now
    due_at = retry.METHOD_SAVING.next_at(
        tries=before.first_operation.lookup_count, since=since, now=now, jitter=1.0
    )
    if due_at is None or not first.is_terminal or first.due_at is not None:
        return payment
    looked_up = replace(
        first,
        due_at=due_at,
        lookups_since=since,
        lookup_count=before.first_operation.lookup_count,
    )
    return replace(payment, operations=(looked_up, *payment.operations[1:]))


def _derive_id(payment: Payment, *names: str) -> str:
    """The id of an external operation, the same each time that it is found."""
    digest = sha256("/".join((payment.id, *names)).encode()).digest()
    return "op_" + "".join(_LETTERS[byte % 32] for byte in digest[:_ID_LENGTH])
