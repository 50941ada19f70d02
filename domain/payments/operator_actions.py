"""The actions of operators: replay, look up and resolve an operation.

The timeline has the operator and the reason.
"""

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
from domain.payments.apply_answer import (
    apply_answer,
    with_answer,
    derive_hold,
    event_data,
)
from domain.provider_rules import RULES

#: The verdicts that an operator may give, by the operation's state.
_OPERATOR_VERDICTS: Final = {
    State.REVIEW: (Verdict.SUCCEEDED, Verdict.DECLINED, Verdict.CANCELED),
    State.DEAD: (Verdict.CANCELED,),
}
#: The failure code of a refusal by an operator.
_FAILURE_CODES: Final = {
    Verdict.DECLINED: FailureCode.DECLINED_BY_OPERATOR,
    Verdict.CANCELED: FailureCode.CANCELED_BY_OPERATOR,
}


class ReplayAction(StrEnum):
    """The effect of a replay of an operation."""

    RESEND = "resend"  #: sends the same request with the same provider key
    LOOKUP = "lookup"  #: asks the provider for its status, and sends nothing
    NEEDS_REASON = "needs_reason"  #: sends a new request: proven not executed
    REFUSED = "refused"  #: no effect: it might move money a second time
    NOTHING = "nothing"  #: no effect: it is under way already


@dataclass(frozen=True, slots=True)
class Intervention:
    """An operator's action and its reason."""

    by: str  #: the API key's id
    reason: str
    replay: str | None = None  #: the replay set of the operation

    @property
    def event_data(self) -> dict[str, str | int]:
        """The data of the action for an event."""
        data: dict[str, str | int] = {"by": self.by, "reason": self.reason}
        return data if self.replay is None else {**data, "replay_set": self.replay}


def decide_replay(
    payment: Payment, operation: Operation, *, now: datetime
) -> ReplayAction:
    """The effect of a replay of ``operation`` now.

    It never makes a new key while a send may have moved money.
    """
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
    """The payment with ``operation`` under way again, by ``decide_replay``.

    Raises Conflict where a replay is refused, or work is owed already.
    """
    action = decide_replay(payment, operation, now=now)
    if action is ReplayAction.NOTHING:
        raise Conflict(
            ConflictReason.WORK_IS_OWED, "the operation is under way already"
        )
    if action is ReplayAction.REFUSED:
        raise Conflict(
            ConflictReason.WOULD_MOVE_MONEY_AGAIN,
            "a replay might move money a second time",
        )
    event, data = EventType.OPERATION_REPLAYED, {
        **intervention.event_data,
        "replay": action.value,
    }
    if action is ReplayAction.LOOKUP:
        return payment.with_event(
            operation.with_lookup_due(now=now), event, now=now, data=data
        )
    again = replace(
        operation, due_at=now, lookups_since=None, lookup_count=0, waiting_for=None
    )
    if operation.state is State.REVIEW and operation.send is not None:
        return payment.transition(again, Trigger.RESUMED, event, now=now, data=data)
    # The replay has the whole budget of tries and of time.
    fresh = replace(again, starts_at=now, attempts=0, started_at=None)
    return payment.transition(fresh, Trigger.REPLAYED, event, now=now, data=data)


def request_lookup(
    payment: Payment, operation: Operation, intervention: Intervention, *, now: datetime
) -> Payment:
    """The payment with a status lookup of ``operation`` due, refused ones included.

    Raises Conflict where work is owed already, or an operator has to decide.
    """
    if operation.state in STATES_WITH_WORK | STUCK:
        words = f"a {operation.state} operation cannot be looked up now"
        raise Conflict(ConflictReason.LOOKUP_NOT_ALLOWED, words)
    data = {**intervention.event_data, "replay": ReplayAction.LOOKUP.value}
    after = operation.with_lookup_due(now=now)
    return payment.with_event(after, EventType.OPERATION_REPLAYED, now=now, data=data)


@dataclass(frozen=True, slots=True)
class Evidence:
    """An operator's findings about an operation at the provider."""

    verdict: Verdict  #: SUCCEEDED, DECLINED or CANCELED
    ref: str | None = None  #: the provider's id of the object
    amount: int | None = None  #: minor units that moved; None: the requested amount


def resolve_operation(
    payment: Payment,
    operation: Operation,
    evidence: Evidence,
    intervention: Intervention,
    *,
    now: datetime,
) -> Payment:
    """The payment with ``operation`` resolved by an operator's evidence.

    An operation in review becomes SUCCEEDED, DECLINED or CANCELED; a dead letter only
    CANCELED. An operator's refusal may be corrected to SUCCEEDED later, and a success
    without the provider's reference may get one. Raises Conflict, and InvalidPayment
    where the evidence does not fit the operation.
    """
    verdict = evidence.verdict
    if operation.state is State.SUCCEEDED and verdict is Verdict.SUCCEEDED:
        return _add_reference(payment, operation, evidence, intervention, now)
    if operation.resolved_by_operator and verdict is Verdict.SUCCEEDED:
        return _correct_refusal(payment, operation, evidence, intervention, now)
    if verdict not in _OPERATOR_VERDICTS.get(operation.state, ()):
        words = f"an operator cannot resolve a {operation.state} operation like this"
        raise Conflict(ConflictReason.RESOLUTION_NOT_ALLOWED, words)
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
    # A refused capture or void does not end the hold.
    return replace(done, operations=tuple(others), hold=payment.hold)


def _answer_from_evidence(
    payment: Payment,
    operation: Operation,
    evidence: Evidence,
    intervention: Intervention,
) -> Answer:
    """The evidence as an answer of the provider; a refusal names the operator."""
    verdict = evidence.verdict
    if verdict is not Verdict.SUCCEEDED:
        if evidence.ref is not None or evidence.amount is not None:
            words = "only a success has a reference and an amount"
            raise InvalidPayment(words, field="as")
        words = (
            f"An operator ({intervention.by}) decided this; the timeline has the"
            " reason."
        )
        return Answer(verdict, failure=Failure(_FAILURE_CODES[verdict], words))
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
        requested = replace(money, minor=operation.amount)
        raise InvalidPayment(f"only {requested} was requested", field="amount")
    RULES[payment.provider].to_units(money)
    return Answer(verdict, money, refs)


def _evidence_data(operation: Operation, evidence: Evidence) -> dict[str, str | int]:
    """The data of the evidence for an event."""
    given = {"ref": evidence.ref, "amount": evidence.amount}
    data = {name: value for name, value in given.items() if value is not None}
    if evidence.amount not in (None, operation.amount):
        data["amount_asked"] = operation.amount
    return data


def _with_amount(operation: Operation, answer: Answer) -> Operation:
    """``operation`` with the amount that moved; the timeline has the requested one."""
    moved = answer.moved
    return operation if moved is None else replace(operation, amount=moved.minor)


def _add_reference(
    payment: Payment,
    operation: Operation,
    evidence: Evidence,
    intervention: Intervention,
    now: datetime,
) -> Payment:
    """The payment with the missing provider's reference of a success added."""
    if evidence.ref is None:
        words = "the operation has succeeded: only a missing reference can be added"
        raise Conflict(ConflictReason.RESOLUTION_NOT_ALLOWED, words)
    refs = build_refs(payment.provider, operation.kind, evidence.ref)
    if not operation.refs.keys().isdisjoint(refs):
        raise Conflict(
            ConflictReason.RESOLUTION_NOT_ALLOWED, "the reference is known already"
        )
    if evidence.amount not in (None, operation.moved):
        moved = Money(operation.moved, payment.submission.amount.currency)
        raise InvalidPayment(f"{moved} has moved", field="amount")
    named = replace(operation, refs={**operation.refs, **refs})
    data = {**intervention.event_data, **_evidence_data(operation, evidence)}
    return payment.with_event(named, EventType.OPERATION_RESOLVED, now=now, data=data)


def _check_room(payment: Payment, operation: Operation, answer: Answer) -> None:
    """Raises Conflict where other operations left too little for ``answer``."""
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
    words = "another operation captured or refunded the reserved amount"
    return Conflict(ConflictReason.NOT_ENOUGH_LEFT, words)


def _correct_refusal(
    payment: Payment,
    operation: Operation,
    evidence: Evidence,
    intervention: Intervention,
    now: datetime,
) -> Payment:
    """The payment with an operator's refusal corrected to a success.

    Raises Conflict where other operations have used the released amount.
    """
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
    corrected = payment.with_event(
        done,
        EventType.OPERATION_CORRECTED,
        now=now,
        previous=operation.state,
        data=data,
    )
    return replace(
        corrected, hold=derive_hold(corrected, done, answer), last_error=None
    )


def _decide_for_review(
    payment: Payment, operation: Operation, now: datetime
) -> ReplayAction:
    """The effect of a replay of an operation in review.

    Within the key's window a resend is safe. After it a lookup needs the provider's id,
    unless the provider finds the object by our ids.
    """
    if operation.send is None:
        return _decide_for_unsent(operation)
    if now < operation.send.window_ends_at:
        return ReplayAction.RESEND
    finds_by_our_ids = RULES[payment.provider].finds_by_our_ids
    is_first = operation is payment.first_operation
    is_lost = not finds_by_our_ids and is_first and not operation.refs
    return ReplayAction.REFUSED if is_lost else ReplayAction.LOOKUP


def _decide_for_unsent(operation: Operation) -> ReplayAction:
    """The effect of a replay of an operation that is proven not executed.

    A later generation is a new request to the provider.
    """
    is_new_request = operation.send is None and operation.generation > 1
    return ReplayAction.NEEDS_REASON if is_new_request else ReplayAction.RESEND
