"""What an operator may do with an operation; who and why are on the timeline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.conflict_reasons import ConflictReason
from domain.errors import Conflict, InvalidPayment
from domain.money import Money
from domain.payments.answer import Answer, Failure, Verdict
from domain.payments.event_types import EventType
from domain.payments.failure_codes import FailureCode
from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.payments.provider_ids import build_refs
from domain.payments.states import CORRECTIONS, STATES_WITH_WORK, STUCK, State, Trigger
from domain.payments.transitions import (
    apply_answer,
    with_answer,
    derive_hold,
    event_data,
)
from domain.provider_rules import RULES

#: What a person may say of an operation, by its state.
_VERDICTS_OF_OPERATORS: Final = {
    State.REVIEW: (Verdict.SUCCEEDED, Verdict.DECLINED, Verdict.CANCELED),
    State.DEAD: (Verdict.CANCELED,),
}
#: The code of a refusal that an operator found out about.
_BY_OPERATOR: Final = {
    Verdict.DECLINED: FailureCode.DECLINED_BY_OPERATOR,
    Verdict.CANCELED: FailureCode.CANCELED_BY_OPERATOR,
}


class ReplayAction(StrEnum):
    """What a replay of an operation would do."""

    RESEND = "resend"  #: the same request with the same provider key
    LOOKUP = "lookup"  #: asks the provider, and sends nothing
    NEEDS_REASON = "needs_reason"  #: sends anew, as it was proven not executed
    REFUSED = "refused"  #: might move money a second time
    NOTHING = "nothing"  #: work is owed on it already


@dataclass(frozen=True, slots=True)
class Intervention:
    """Who acts, and why."""

    by: str  #: the API key's id
    reason: str
    replay: str | None = None  #: the frozen set that the operation was in

    @property
    def event_data(self) -> dict[str, str | int]:
        """What an event says of it."""
        told: dict[str, str | int] = {"by": self.by, "reason": self.reason}
        return told if self.replay is None else {**told, "replay_set": self.replay}


def decide_replay(
    payment: Payment, operation: Operation, *, now: datetime
) -> ReplayAction:
    """What a replay of ``operation`` would do now; it never mints a key while a send
    may still have moved money."""
    match operation.state:
        case State.QUEUED | State.RUNNING | State.RETRYING | State.UNKNOWN:
            return ReplayAction.NOTHING
        case State.DEAD:
            return _decide_for_unsent(operation)
        case State.REVIEW:
            return _decide_for_review(payment, operation, now)
        case State.PENDING | State.REQUIRES_ACTION | State.SUCCEEDED:
            return ReplayAction.LOOKUP
        case _:
            return ReplayAction.REFUSED


def replay_operation(
    payment: Payment, operation: Operation, intervention: Intervention, *, now: datetime
) -> Payment:
    """The payment with ``operation`` under way again, as ``decide_replay`` says.

    Raises Conflict where a replay is refused, or work is owed already.
    """
    what = decide_replay(payment, operation, now=now)
    if what is ReplayAction.NOTHING:
        raise Conflict(ConflictReason.WORK_IS_OWED, "it is being worked on already")
    if what is ReplayAction.REFUSED:
        raise Conflict(
            ConflictReason.WOULD_MOVE_MONEY_AGAIN, "it might move money a second time"
        )
    event, data = EventType.OPERATION_REPLAYED, {
        **intervention.event_data,
        "replay": what.value,
    }
    if what is ReplayAction.LOOKUP:
        return payment.with_event(
            operation.with_lookup_due(now=now), event, now=now, data=data
        )
    again = replace(
        operation, due_at=now, lookups_since=None, lookup_count=0, waiting_for=None
    )
    if operation.state is State.REVIEW and operation.send is not None:
        return payment.transition(again, Trigger.RESUMED, event, now=now, data=data)
    # A new beginning, with the whole budget of tries and of time.
    anew = replace(again, starts_at=now, attempts=0, started_at=None)
    return payment.transition(anew, Trigger.REPLAYED, event, now=now, data=data)


def request_lookup(
    payment: Payment, operation: Operation, intervention: Intervention, *, now: datetime
) -> Payment:
    """The payment with a look at ``operation`` owed: a look never moves money, so
    one that ended in a no is asked of again as well.

    Raises Conflict where work is owed already, or a person has to decide.
    """
    if operation.state in STATES_WITH_WORK | STUCK:
        words = f"an operation that is {operation.state} is not looked into"
        raise Conflict(ConflictReason.LOOKUP_NOT_POSSIBLE, words)
    data = {**intervention.event_data, "replay": ReplayAction.LOOKUP.value}
    asked = operation.with_lookup_due(now=now)
    return payment.with_event(asked, EventType.OPERATION_REPLAYED, now=now, data=data)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a person found out about an operation at the provider."""

    verdict: Verdict  #: SUCCEEDED, DECLINED or CANCELED
    ref: str | None = None  #: the provider's id of what was done
    amount: int | None = None  #: minor units that moved; None: all that was asked for


def resolve_operation(
    payment: Payment,
    operation: Operation,
    evidence: Evidence,
    intervention: Intervention,
    *,
    now: datetime,
) -> Payment:
    """What a person found out about an operation in review, or gave up on.

    Of a review it is what a person saw at the provider (SUCCEEDED, DECLINED,
    CANCELED); a dead letter can only be discarded (CANCELED). A no that a person said
    of a review may be taken back (SUCCEEDED), and a success without the provider's
    reference may be given one. Raises Conflict, and InvalidPayment where the evidence
    cannot be of this operation.
    """
    verdict = evidence.verdict
    if operation.state is State.SUCCEEDED and verdict is Verdict.SUCCEEDED:
        return _with_reference(payment, operation, evidence, intervention, now)
    if operation.resolved_by_operator and verdict is Verdict.SUCCEEDED:
        return _overrule_evidence(payment, operation, evidence, intervention, now)
    if verdict not in _VERDICTS_OF_OPERATORS.get(operation.state, ()):
        words = f"an operation that is {operation.state} cannot be set so by hand"
        raise Conflict(ConflictReason.RESOLUTION_NOT_POSSIBLE, words)
    answer = _answer_from_evidence(payment, operation, evidence, intervention)
    _check_room(payment, operation, answer)
    more = {**intervention.event_data, **_evidence_data(operation, evidence)}
    actual = _with_amount(operation, answer)
    done = apply_answer(
        payment, actual, answer, EventType.OPERATION_RESOLVED, now=now, more=more
    )
    if verdict is Verdict.SUCCEEDED:
        return done
    ended = replace(
        done.get_operation(operation.id),
        resolved_by_operator=operation.state is State.REVIEW,
    )
    others = (ended if one.id == ended.id else one for one in done.operations)
    # That a capture or a void came to nothing does not end what is on hold.
    return replace(done, operations=tuple(others), hold=payment.hold)


def _answer_from_evidence(
    payment: Payment,
    operation: Operation,
    evidence: Evidence,
    intervention: Intervention,
) -> Answer:
    """What a person saw, as if the provider had said it; of a no, that it is theirs."""
    verdict = evidence.verdict
    if verdict is not Verdict.SUCCEEDED:
        if evidence.ref is not None or evidence.amount is not None:
            words = "a reference and an amount are of what has succeeded"
            raise InvalidPayment(words, field="as")
        words = (
            f"An operator ({intervention.by}) has set it so; the timeline has the"
            " reason."
        )
        return Answer(verdict, failure=Failure(_BY_OPERATOR[verdict], words))
    refs = (
        build_refs(payment.provider, operation.kind, evidence.ref)
        if evidence.ref is not None
        else {}
    )
    if operation.kind is Kind.VOID:
        if evidence.amount is not None:
            raise InvalidPayment("a void moves no amount", field="amount")
        return Answer(verdict, refs=refs)
    amount = operation.amount if evidence.amount is None else evidence.amount
    money = Money(amount, payment.submission.amount.currency)
    if amount > operation.amount:
        asked = replace(money, minor=operation.amount)
        raise InvalidPayment(f"no more than {asked} was asked for", field="amount")
    RULES[payment.provider].to_units(money)
    return Answer(verdict, money, refs)


def _evidence_data(operation: Operation, evidence: Evidence) -> dict[str, str | int]:
    """What an event says of the evidence, where it was given."""
    given = {"ref": evidence.ref, "amount": evidence.amount}
    told = {name: value for name, value in given.items() if value is not None}
    if evidence.amount not in (None, operation.amount):
        told["amount_asked"] = operation.amount
    return told


def _with_amount(operation: Operation, answer: Answer) -> Operation:
    """``operation`` of the amount that moved; the timeline has the one asked for."""
    moved = answer.moved
    return operation if moved is None else replace(operation, amount=moved.minor)


def _with_reference(
    payment: Payment,
    operation: Operation,
    evidence: Evidence,
    intervention: Intervention,
    now: datetime,
) -> Payment:
    """A success that gets the provider's reference, which it did not have."""
    if evidence.ref is None:
        words = "it has succeeded: only a reference that is missing can be added"
        raise Conflict(ConflictReason.RESOLUTION_NOT_POSSIBLE, words)
    refs = build_refs(payment.provider, operation.kind, evidence.ref)
    if not operation.refs.keys().isdisjoint(refs):
        raise Conflict(
            ConflictReason.RESOLUTION_NOT_POSSIBLE, "its reference is known already"
        )
    if evidence.amount not in (None, operation.moved):
        moved = Money(operation.moved, payment.submission.amount.currency)
        raise InvalidPayment(f"{moved} is what moved", field="amount")
    named = replace(operation, refs={**operation.refs, **refs})
    data = {**intervention.event_data, **_evidence_data(operation, evidence)}
    return payment.with_event(named, EventType.OPERATION_RESOLVED, now=now, data=data)


def _check_room(payment: Payment, operation: Operation, answer: Answer) -> None:
    """Raises Conflict where others took at the provider what ``answer`` says moved."""
    if answer.moved is None:
        return
    room = answer.moved.minor
    if operation.kind is Kind.CAPTURE:
        room = payment.authorized - payment.captured
    elif operation.target is not None:
        room = payment.unrefunded_amount(payment.get_operation(operation.target))
    if answer.moved.minor > room:
        raise _amount_conflict()


def _amount_conflict() -> Conflict:
    words = "what it had reserved was captured or refunded by another operation"
    return Conflict(ConflictReason.NOT_ENOUGH_LEFT, words)


def _overrule_evidence(
    payment: Payment,
    operation: Operation,
    evidence: Evidence,
    intervention: Intervention,
    now: datetime,
) -> Payment:
    """A no that a person said was a yes; what it let go may be in use by now."""
    answer = _answer_from_evidence(payment, operation, evidence, intervention)
    wanted = operation.amount if answer.moved is None else answer.moved.minor
    room = wanted
    if operation.kind in (Kind.CAPTURE, Kind.VOID):
        room = payment.authorized - payment.captured - payment.capture_reserved
    if operation.target is not None:
        room = payment.refundable_amount(payment.get_operation(operation.target))
    if wanted > room:
        raise _amount_conflict()
    state = CORRECTIONS[operation.state, Trigger.SUCCEEDED]
    actual = _with_amount(operation, answer)
    done = replace(with_answer(actual, answer, now=now), state=state)
    data = {
        **event_data(answer),
        **intervention.event_data,
        **_evidence_data(operation, evidence),
    }
    told = payment.with_event(
        done,
        EventType.OPERATION_CORRECTED,
        now=now,
        previous=operation.state,
        data=data,
    )
    return replace(told, hold=derive_hold(told, done, answer), last_error=None)


def _decide_for_review(
    payment: Payment, operation: Operation, now: datetime
) -> ReplayAction:
    """Within the window the same key is safe. After it a lookup needs the provider's
    id, unless the provider finds the object by ours."""
    if operation.send is None:
        return _decide_for_unsent(operation)
    if now < operation.send.window_ends_at:
        return ReplayAction.RESEND
    lists = RULES[payment.provider].finds_by_our_ids
    lost = not lists and operation is payment.first_operation and not operation.refs
    return ReplayAction.REFUSED if lost else ReplayAction.LOOKUP


def _decide_for_unsent(operation: Operation) -> ReplayAction:
    """Proven not executed; a later generation is a new request to the provider."""
    anew = operation.send is None and operation.generation > 1
    return ReplayAction.NEEDS_REASON if anew else ReplayAction.RESEND
