"""Takes over what others did at the provider: refunds, captures and voids.

Whoever may use the merchant's account there can move a payment's money without us: a
person in the dashboard, another program. That is a fact, as what our own operations did
is, and becomes an operation without a request. Operations of ours that it leaves no
money for end.
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
from domain.payments.transitions import HOLD_ENDS, recheck_refunds

#: A payment with so many operations keeps no more of others': its document would
#: outgrow its use.
MAX_KEPT: Final = 200

#: The state of an operation of others' that is new to us.
_FOUND: Final = {Verdict.SUCCEEDED: State.SUCCEEDED, Verdict.PENDING: State.PENDING}
#: States in which an operation is proven not to have been carried out.
_NOT_EXECUTED: Final = UNSENT | {State.DEAD}
_WHY: Final = {
    Kind.REFUND: Failure(
        FailureCode.REFUNDED_AT_PROVIDER,
        "Others have refunded at the provider what it was to give back.",
    ),
    Kind.CAPTURE: Failure(
        FailureCode.CAPTURED_AT_PROVIDER,
        "Others have captured at the provider what it was to take.",
    ),
}
#: Of ids, as ULIDs have them.
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH: Final = 26


def record_external_movements(
    before: Payment, payment: Payment, answer: Answer, *, now: datetime
) -> Payment:
    """``payment`` with what ``answer`` shows that others did at the provider.

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
    """A capture that never came, of a hold that was captured whole: it is declined.

    Raises NeedsReview where no capture of others' could be read: the money may be ours.
    """
    taken = (Verdict.SUCCEEDED, Verdict.PENDING)
    if not any(one.kind is Kind.CAPTURE and one.verdict in taken for one in external):
        raise NeedsReview(ReviewReason.CAPTURED_ELSEWHERE, request_id=request_id)
    failure = replace(_WHY[Kind.CAPTURE], provider_request_id=request_id)
    return Answer(
        Verdict.DECLINED, refs=refs or {}, failure=failure, request_id=request_id
    )


def find_discoveries(step: Payment) -> list[Kind]:
    """The kinds of the operations of others' that a step has found."""
    found = (
        one.data
        for one in step.pending_events
        if one.type == EventType.OPERATION_DISCOVERED
    )
    return [Kind(str(data["kind"])) for data in found]


def with_partly_captured_hold(payment: Payment, answer: Answer) -> Answer:
    """``answer``, or that a hold was there which others have captured a part of.

    A look that finds it ended says only that; of what was captured it has to have been.
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
            failure = _WHY[one.kind]
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
    """The payment without refunds of others' by which a dispute took the money."""
    for one in payment.operations:
        if one.is_external and one.target is not None:
            of = payment.get_operation(one.target).refs.values()
            if _is_dispute_withdrawal(payment, one.refs, of, one.amount):
                payment = _without_refund(payment, payment.get_operation(one.id), now)
    return payment


def _is_overtaken(payment: Payment, operation: Operation) -> bool:
    """Whether what is moved and wanted, with ``operation``, is more than there is."""
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
    """The payment with one movement of others' as the provider shows it."""
    same = [
        one
        for one in payment.operations
        if one.kind is found.kind and found.refs.items() <= dict(one.refs).items()
    ]
    known = [one for one in same if one.is_external]
    if found.kind is Kind.REFUND:
        if same and not known:
            return payment  # ours: a person resolved it, and named it
        of = (found.parent_ref,) if found.parent_ref else ()
        if _is_dispute_withdrawal(payment, found.refs, of, found.money.minor):
            for one in known:
                payment = _without_refund(payment, one, now)
            return payment
    if known and known[-1].state.value != found.verdict.value:
        moved = found.money if found.verdict is Verdict.SUCCEEDED else None
        answer = Answer(found.verdict, moved, found.refs, fee=found.fee)
        payment = apply_lookup(
            payment, known[-1], answer, asked_at=now, now=now, jitter=1.0
        )
    elif found.verdict in _FOUND:
        payment = _with_new_movement(before, payment, found, known, now)
    return _with_hold_ended(payment, found)


def _with_hold_ended(payment: Payment, found: ExternalMovement) -> Payment:
    hold = payment.hold
    if found.kind is not Kind.CAPTURE or hold is None or hold.ended is not None:
        return payment
    whole = payment.captured >= payment.authorized
    kept = any(
        one.is_external and one.state is State.SUCCEEDED and found.kind is one.kind
        for one in payment.operations
    )
    if not kept or not (found.final or whole):
        return payment
    return replace(payment, hold=replace(hold, ended=HoldEnd.CAPTURED))


def _with_new_movement(
    before: Payment,
    payment: Payment,
    found: ExternalMovement,
    known: Sequence[Operation],
    now: datetime,
) -> Payment:
    """The payment with what is new of a movement, where its books have room for it.

    Without room another movement has changed meanwhile, or is yet to be heard of: the
    provider is asked again.
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
            told = {"source": "provider", "ref": found.ref}
            return payment.with_event(
                named, EventType.OPERATION_NAMED, now=now, data=told
            )
        target = _find_target(payment, found)
        if target is None or payment.unrefunded_amount(target) < amount:
            if target is not None:
                payment = recheck_refunds(payment, target, now=now)
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
        state=_FOUND[found.verdict],
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
    """The payment with the void of others' that ``answer`` shows, if it shows one."""
    was, hold = before.hold, payment.hold
    voided = hold is not None and hold.ended is HoldEnd.VOIDED
    if was is None or was.ended is not None or not voided:
        return payment
    voids = (one for one in payment.operations if one.kind is Kind.VOID)
    if any(not one.has_ended or one.state is State.SUCCEEDED for one in voids):
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
    """The payment whose refund of others' was none."""
    if operation.state not in _FOUND.values():
        return payment
    answer = Answer(Verdict.CANCELED, refs=operation.refs)
    return apply_lookup(payment, operation, answer, asked_at=now, now=now, jitter=1.0)


def _is_dispute_withdrawal(
    payment: Payment, refs: Mapping[str, str], of: Collection[str], amount: int
) -> bool:
    """Whether a dispute, or a reversal, took the money by the refund with ``refs``."""
    return any(
        one.id in refs.values() or (one.ref in of and one.withdrawn == amount)
        for one in payment.disputes
    )


def _find_target(payment: Payment, found: ExternalMovement) -> Operation | None:
    """The charge or capture that a refund is of: of several, one that has enough."""
    taken = [
        one
        for one in payment.operations
        if one.kind in (Kind.CHARGE, Kind.CAPTURE)
        and one.state is State.SUCCEEDED
        and found.parent_ref in one.refs.values()
    ]
    enough = (
        one for one in taken if payment.refundable_amount(one) >= found.money.minor
    )
    return next(enough, taken[0] if taken else None)


def _find_resolved_refund(payment: Payment, amount: int) -> Operation | None:
    """Our refund of this amount that a person saw at the provider, and did not name."""
    for one in payment.operations:
        done = one.kind is Kind.REFUND and one.state is State.SUCCEEDED
        if done and "refund" not in one.refs and one.moved == amount:
            return one
    return None


def _schedule_lookup(before: Payment, payment: Payment, now: datetime) -> Payment:
    """The payment with another look due at it, for an hour at most."""
    first, since = payment.first_operation, before.first_operation.lookups_since or now
    due_at = retry.METHOD_SAVING.next_at(
        tries=before.first_operation.lookup_count, since=since, now=now, jitter=1.0
    )
    if due_at is None or not first.has_ended or first.due_at is not None:
        return payment
    asked = replace(
        first,
        due_at=due_at,
        lookups_since=since,
        lookup_count=before.first_operation.lookup_count,
    )
    return replace(payment, operations=(asked, *payment.operations[1:]))


def _derive_id(payment: Payment, *names: str) -> str:
    """The same for the same thing, however often it is found, and by whomever."""
    digest = sha256("/".join((payment.id, *names)).encode()).digest()
    return "op_" + "".join(_LETTERS[one % 32] for one in digest[:_LENGTH])
