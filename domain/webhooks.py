"""Webhooks: their content moves no operation, it only causes a status lookup."""

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
from domain.payments.states import TERMINAL, UNSENT, State
from domain.payments.submission import ProviderName

#: Verdicts that mean that money has moved, or is about to.
_MOVES: Final = frozenset({Verdict.SUCCEEDED, Verdict.PENDING})
#: Verdicts of an object that ended without moving money, or released its hold.
_NOTHING_LEFT: Final = frozenset(
    {Verdict.DECLINED, Verdict.CANCELED, Verdict.EXPIRED, Verdict.REJECTED}
)
#: The verdicts that mean the same as a state.
_VERDICTS_BY_STATE: Final[Mapping[State, frozenset[Verdict]]] = {
    State.PENDING: frozenset({Verdict.PENDING}),
    State.REQUIRES_ACTION: frozenset({Verdict.ACTION_REQUIRED}),
    State.SUCCEEDED: frozenset({Verdict.SUCCEEDED}),
    State.DECLINED: frozenset({Verdict.DECLINED}),
    State.CANCELED: frozenset({Verdict.CANCELED, Verdict.EXPIRED}),
    State.EXPIRED: frozenset({Verdict.CANCELED, Verdict.EXPIRED}),
}


class WebhookStatus(StrEnum):
    """The status of a webhook."""

    WAITING = "waiting"  #: not handled yet, or to be tried again
    HANDLED = "handled"  #: a status lookup is due, or nothing in it was new
    IGNORED = "ignored"  #: its type does not concern payments
    UNMATCHED = "unmatched"  #: it names no payment of ours, or none for an hour
    UNREADABLE = "unreadable"  #: its shape is unknown, or handling failed for an hour


@dataclass(frozen=True, slots=True)
class Webhook:
    """One event of a provider's, as it was received; ``body`` is its JSON."""

    account: Account  #: the account of the address that it came to
    event: str  #: the provider's id of it, the same in each delivery
    type: str
    body: str = field(repr=False)
    received_at: datetime
    status: WebhookStatus = WebhookStatus.WAITING
    due_at: datetime | None = None  #: it is to be handled from then on
    starts_at: datetime | None = None  #: the beginning of its tries
    tries: int = 0
    payment: str | None = None  #: the id of its payment, once it is handled

    @property
    def id(self) -> str:
        """An id that is unique over all accounts."""
        return f"{self.account.id}:{self.event}"

    @property
    def provider(self) -> ProviderName:
        """The provider that sent it."""
        return self.account.provider


@dataclass(frozen=True, slots=True)
class ObjectUpdate:
    """The content of a webhook about a provider object, in our terms."""

    event: str
    type: str
    kinds: frozenset[Kind]  #: the kinds of operations that make such an object
    payment: str | None  #: our payment's id, as written on the object
    #: Our operations' ids, as written on the object; the closest one first.
    operations: tuple[str, ...] = ()
    refs: Mapping[str, str] = field(default_factory=dict)  #: the operation's object ids
    verdict: Verdict | None = None  #: the object's status; None: it exists
    #: The provider's id of the charge or capture, for a refund without our ids.
    parent_ref: str | None = None
    #: Minor units captured of the whole payment, where the webhook has them.
    captured: int | None = None


def find_operation(payment: Payment, update: ObjectUpdate) -> Operation | None:
    """The operation of ``payment`` that ``update`` is about, if any."""
    fitting = [one for one in payment.operations if one.kind in update.kinds]
    by_id = {one.id: one for one in fitting}
    found = next((by_id[name] for name in update.operations if name in by_id), None)
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
    """Whether others may have made the object at the provider."""
    return not update.kinds.isdisjoint({Kind.CAPTURE, Kind.REFUND})


def schedule_external_lookup(
    payment: Payment, update: ObjectUpdate, *, now: datetime
) -> Payment:
    """The payment with a status lookup due that finds changes made by others.

    The same payment where a lookup is due already.
    """
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


def is_claimed(payment: Payment, operation: Operation) -> bool:
    """Whether a worker has claimed ``operation``.

    A write now would make the worker's own write fail.
    """
    return payment.claim is not None and payment.claim.operation == operation.id


def schedule_lookup(
    payment: Payment, operation: Operation, update: ObjectUpdate, *, now: datetime
) -> Payment:
    """The payment with a status lookup of ``operation`` due, and its object ids stored.

    The same payment where nothing in ``update`` is new, or a lookup is due already. No
    operation changes its state.
    """
    if _is_of_another_object(operation, update):
        if update.verdict not in _MOVES:
            return payment  # an earlier key's object ended without moving money
        if operation.state is State.SUCCEEDED:
            return _with_lookup_due(
                payment, operation, update, now, reason=LookupReason.ANOTHER_OBJECT
            )
    elif _is_known(payment, operation, update):
        return payment
    if operation.state in UNSENT and update.verdict in _NOTHING_LEFT:
        return payment
    after = (
        operation
        if _is_lookup_due(operation, now)
        else operation.with_lookup_due(now=now)
    )
    after = replace(after, refs={**operation.refs, **update.refs})
    return (
        payment if after == operation else _with_lookup_due(payment, after, update, now)
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
    return next((one for one in voids if not one.is_terminal), None)


def _is_of_another_object(operation: Operation, update: ObjectUpdate) -> bool:
    return any(
        operation.refs.get(name, ref) != ref for name, ref in update.refs.items()
    )


def _is_lookup_due(operation: Operation, now: datetime) -> bool:
    is_lookup = operation.lookups_since is not None
    return is_lookup and operation.due_at is not None and operation.due_at <= now


def _is_known(payment: Payment, operation: Operation, update: ObjectUpdate) -> bool:
    """Whether the operation's state includes the content of ``update`` already."""
    if update.captured is not None and update.captured > payment.captured:
        return False
    verdict, state = update.verdict, operation.state
    has_refs = update.refs.items() <= dict(operation.refs).items()
    if verdict is None:
        return has_refs
    if verdict is Verdict.APPROVED:
        return operation.approved or state in TERMINAL
    if verdict in (Verdict.ACTION_REQUIRED, Verdict.PENDING) and state in TERMINAL:
        return has_refs
    if verdict in _NOTHING_LEFT and state is State.SUCCEEDED:
        # A webhook of a void shows the authorization that it released as canceled.
        if operation.kind is Kind.VOID:
            return True
        if operation.kind is Kind.AUTHORIZE:
            return payment.hold is not None and payment.hold.ended is not None
    return verdict in _VERDICTS_BY_STATE.get(state, ())
