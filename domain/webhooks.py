"""What a provider tells us by webhook: never believed, only a reason to look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.account import Account
from domain.payments.answer import Verdict
from domain.payments.event_types import EventType
from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.payments.review_reasons import LookupReason
from domain.payments.states import FINAL, UNSENT, State
from domain.payments.submission import ProviderName

#: What says that money has moved, or is about to.
_MOVES: Final = frozenset({Verdict.SUCCEEDED, Verdict.PENDING})
#: An end that leaves nothing of an object.
_NOTHING_LEFT: Final = frozenset(
    {Verdict.DECLINED, Verdict.CANCELED, Verdict.EXPIRED, Verdict.REJECTED}
)
#: What says the same as a state. Of a void, "canceled" is said of what it released.
_SAME: Final[Mapping[State, frozenset[Verdict]]] = {
    State.PENDING: frozenset({Verdict.PENDING}),
    State.REQUIRES_ACTION: frozenset({Verdict.ACTION_REQUIRED}),
    State.SUCCEEDED: frozenset({Verdict.SUCCEEDED}),
    State.DECLINED: frozenset({Verdict.DECLINED}),
    State.CANCELED: frozenset({Verdict.CANCELED, Verdict.EXPIRED}),
    State.EXPIRED: frozenset({Verdict.CANCELED, Verdict.EXPIRED}),
}


class WebhookStatus(StrEnum):
    """What became of a webhook."""

    WAITING = "waiting"  #: not handled yet, or tried again
    HANDLED = "handled"  #: a look is due, or it told what we knew
    IGNORED = "ignored"  #: of a type that tells us nothing
    UNMATCHED = "unmatched"  #: it names no payment of ours, or none for an hour
    UNREADABLE = "unreadable"  #: not shaped as we know it, or it failed for an hour


@dataclass(frozen=True, slots=True)
class Webhook:
    """One event of a provider's, as it came; ``body`` is its JSON."""

    account: Account  #: whose events came to that address
    event: str  #: the provider's id of it: the same however often it is sent
    type: str
    body: str = field(repr=False)
    received_at: datetime
    status: WebhookStatus = WebhookStatus.WAITING
    due_at: datetime | None = None  #: it is handled from then on
    starts_at: datetime | None = None  #: tries count from then: received, or replayed
    tries: int = 0
    payment: str | None = None  #: whom it was about

    @property
    def id(self) -> str:
        """Unique over accounts."""
        return f"{self.account.id}:{self.event}"

    @property
    def provider(self) -> ProviderName:
        """Who has told it."""
        return self.account.provider


@dataclass(frozen=True, slots=True)
class ObjectUpdate:
    """What a webhook means: of which operation something may be new."""

    event: str
    type: str
    kinds: frozenset[Kind]  #: whose object it is
    payment: str | None  #: ours, as the object names it
    operations: tuple[str, ...] = ()  #: ours, as the object names them; nearest first
    refs: Mapping[str, str] = field(default_factory=dict)  #: of that operation
    verdict: Verdict | None = None  #: what it was when it was told; None: it is there
    parent_ref: str | None = (
        None  #: the provider's id of what a refund without ours is of
    )
    #: Minor units that were captured of the whole payment, where it says so.
    captured: int | None = None


def find_operation(payment: Payment, update: ObjectUpdate) -> Operation | None:
    """The operation of ``payment`` that ``notice`` may have news of, if any."""
    fitting = [one for one in payment.operations if one.kind in update.kinds]
    known = {one.id: one for one in fitting}
    found = next((known[one] for one in update.operations if one in known), None)
    if found is None:
        shared = (
            one
            for one in fitting
            if update.refs.items() & dict(one.refs).items()
            and not _is_of_another_object(one, update)
        )
        found = next(shared, None)
    if found is not None and found.kind is Kind.AUTHORIZE:
        if update.verdict in _NOTHING_LEFT:
            return _find_open_void(payment) or found
    return found


def may_be_external(update: ObjectUpdate) -> bool:
    """Whether an object is made by others if none of our operations has made it."""
    return not update.kinds.isdisjoint({Kind.CAPTURE, Kind.REFUND})


def schedule_external_lookup(
    payment: Payment, update: ObjectUpdate, *, now: datetime
) -> Payment:
    """The payment with a look due that shows what others did, unless one is."""
    first = payment.first_operation
    if _is_lookup_due(first, now):
        return payment
    return _with_lookup_due(
        payment,
        first.with_lookup_due(now=now),
        update,
        now,
        reason=LookupReason.MADE_BY_OTHERS,
    )


def is_held(payment: Payment, operation: Operation) -> bool:
    """Whether a worker is just asking the provider of ``operation``: wait for it.

    A write now would only cost that worker its own.
    """
    return payment.claim is not None and payment.claim.operation == operation.id


def schedule_lookup(
    payment: Payment, operation: Operation, update: ObjectUpdate, *, now: datetime
) -> Payment:
    """The payment with a look at ``operation`` due, and what to look at written down.

    The same payment where the notice has no news: it tells what we know, or a look is
    due already. It never moves an operation.
    """
    if _is_of_another_object(operation, update):
        if update.verdict not in _MOVES:
            return payment  # what an earlier key left behind has come to nothing
        if operation.state is State.SUCCEEDED:
            return _with_lookup_due(
                payment, operation, update, now, reason=LookupReason.ANOTHER_OBJECT
            )
    elif _is_known(payment, operation, update):
        return payment
    if operation.state in UNSENT and update.verdict in _NOTHING_LEFT:
        return payment
    asked = (
        operation
        if _is_lookup_due(operation, now)
        else operation.with_lookup_due(now=now)
    )
    asked = replace(asked, refs={**operation.refs, **update.refs})
    return (
        payment if asked == operation else _with_lookup_due(payment, asked, update, now)
    )


def _with_lookup_due(
    payment: Payment,
    operation: Operation,
    update: ObjectUpdate,
    now: datetime,
    reason: LookupReason | None = None,
) -> Payment:
    data: dict[str, str | int] = {"event": update.event, "type": update.type}
    if reason is not None:
        data["reason"] = reason
    return payment.with_event(operation, EventType.WEBHOOK_RECEIVED, now=now, data=data)


def _find_open_void(payment: Payment) -> Operation | None:
    voids = (one for one in payment.operations if one.kind is Kind.VOID)
    return next((one for one in voids if not one.has_ended), None)


def _is_of_another_object(operation: Operation, update: ObjectUpdate) -> bool:
    return any(
        operation.refs.get(name, ref) != ref for name, ref in update.refs.items()
    )


def _is_lookup_due(operation: Operation, now: datetime) -> bool:
    looking = operation.lookups_since is not None
    return looking and operation.due_at is not None and operation.due_at <= now


def _is_known(payment: Payment, operation: Operation, update: ObjectUpdate) -> bool:
    """Whether it tells what we heard already, or what came before that."""
    if update.captured is not None and update.captured > payment.captured:
        return False
    says, state = update.verdict, operation.state
    heard = update.refs.items() <= dict(operation.refs).items()
    if says is None:
        return heard
    if says is Verdict.APPROVED:
        return operation.approved or state in FINAL
    if says in (Verdict.ACTION_REQUIRED, Verdict.PENDING) and state in FINAL:
        return heard
    if says in _NOTHING_LEFT and state is State.SUCCEEDED:
        if operation.kind is Kind.VOID:
            return True
        if operation.kind is Kind.AUTHORIZE:
            return payment.hold is not None and payment.hold.ended is not None
    return says in _SAME.get(state, ())
