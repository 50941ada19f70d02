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


class Fate(StrEnum):
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
    fate: Fate = Fate.WAITING
    due_at: datetime | None = None  #: it is handled from then on
    owed_from: datetime | None = None  #: tries count from then: received, or replayed
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
class Notice:
    """What a webhook means: of which operation something may be new."""

    event: str
    type: str
    kinds: frozenset[Kind]  #: whose object it is
    payment: str | None  #: ours, as the object names it
    operations: tuple[str, ...] = ()  #: ours, as the object names them; nearest first
    refs: Mapping[str, str] = field(default_factory=dict)  #: of that operation
    says: Verdict | None = None  #: what it was when it was told; None: it is there
    of: str | None = None  #: the provider's id of what a refund without ours is of
    #: Minor units that were captured of the whole payment, where it says so.
    captured: int | None = None


def about(payment: Payment, notice: Notice) -> Operation | None:
    """The operation of ``payment`` that ``notice`` may have news of, if any."""
    fitting = [one for one in payment.operations if one.kind in notice.kinds]
    known = {one.id: one for one in fitting}
    found = next((known[one] for one in notice.operations if one in known), None)
    if found is None:
        shared = (
            one
            for one in fitting
            if notice.refs.items() & dict(one.refs).items()
            and not _is_of_another_object(one, notice)
        )
        found = next(shared, None)
    if found is not None and found.kind is Kind.AUTHORIZE:
        if notice.says in _NOTHING_LEFT:
            return _open_void(payment) or found
    return found


def is_of_others(notice: Notice) -> bool:
    """Whether an object is made by others if none of our operations has made it."""
    return not notice.kinds.isdisjoint({Kind.CAPTURE, Kind.REFUND})


def noticed_of_others(payment: Payment, notice: Notice, *, now: datetime) -> Payment:
    """The payment with a look due that shows what others did, unless one is."""
    first = payment.first
    if _look_is_due(first, now):
        return payment
    return _told(
        payment, first.to_look(now=now), notice, now, why=LookupReason.MADE_BY_OTHERS
    )


def is_held(payment: Payment, operation: Operation) -> bool:
    """Whether a worker is just asking the provider of ``operation``: wait for it.

    A write now would only cost that worker its own.
    """
    return payment.claim is not None and payment.claim.operation == operation.id


def noticed(
    payment: Payment, operation: Operation, notice: Notice, *, now: datetime
) -> Payment:
    """The payment with a look at ``operation`` due, and what to look at written down.

    The same payment where the notice has no news: it tells what we know, or a look is
    due already. It never moves an operation.
    """
    if _is_of_another_object(operation, notice):
        if notice.says not in _MOVES:
            return payment  # what an earlier key left behind has come to nothing
        if operation.state is State.SUCCEEDED:
            return _told(
                payment, operation, notice, now, why=LookupReason.ANOTHER_OBJECT
            )
    elif _is_known(payment, operation, notice):
        return payment
    if operation.state in UNSENT and notice.says in _NOTHING_LEFT:
        return payment
    asked = operation if _look_is_due(operation, now) else operation.to_look(now=now)
    asked = replace(asked, refs={**operation.refs, **notice.refs})
    return payment if asked == operation else _told(payment, asked, notice, now)


def _told(
    payment: Payment,
    operation: Operation,
    notice: Notice,
    now: datetime,
    why: LookupReason | None = None,
) -> Payment:
    data: dict[str, str | int] = {"event": notice.event, "type": notice.type}
    if why is not None:
        data["why"] = why
    return payment.told_of(
        operation, EventType.OBJECT_UPDATE_RECEIVED, now=now, data=data
    )


def _open_void(payment: Payment) -> Operation | None:
    voids = (one for one in payment.operations if one.kind is Kind.VOID)
    return next((one for one in voids if not one.ended), None)


def _is_of_another_object(operation: Operation, notice: Notice) -> bool:
    return any(
        operation.refs.get(name, ref) != ref for name, ref in notice.refs.items()
    )


def _look_is_due(operation: Operation, now: datetime) -> bool:
    looking = operation.look_since is not None
    return looking and operation.due_at is not None and operation.due_at <= now


def _is_known(payment: Payment, operation: Operation, notice: Notice) -> bool:
    """Whether it tells what we heard already, or what came before that."""
    if notice.captured is not None and notice.captured > payment.captured:
        return False
    says, state = notice.says, operation.state
    heard = notice.refs.items() <= dict(operation.refs).items()
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
