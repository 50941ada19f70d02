"""A payment: the request of a web app, and its progress.

Values are frozen. Each step returns a new payment with the step's events in
``pending_events``; the store writes both at once. Totals are computed from the
operations and never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from domain.account import Account
from domain.errors import PaymentNotFound
from domain.money import Fee
from domain.payments.answer import Failure, NextAction, SavedMethod
from domain.payments.dispute import Dispute, DisputeState
from domain.payments.event_types import EventType
from domain.payments.operation import Claim, Hold, HoldEnd, Kind, Operation
from domain.payments.states import State, Status, Trigger, move
from domain.payments.submission import DuplicatePolicy, Mode, ProviderName, Submission
from domain.provider_rules import RULES

#: The time that a new payment's wake-up message has before recovery takes over. A claim
#: may come earlier by as much, so that clocks may differ by as much.
WAKEUP_GRACE: Final = timedelta(seconds=2)

#: A worker renews its leases every third of this; after it a dead worker's payments are
#: taken over. A shorter lease would expire in a long pause of a live worker, and cost a
#: resend.
LEASE: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the timeline; ``seq`` counts from 1 without a gap."""

    seq: int
    type: str  #: an EventType; a stored one may be of a later version
    at: datetime
    data: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Payment:
    """The aggregate: one document, one version, one timeline."""

    id: str
    merchant: str
    mode: Mode
    submission: Submission
    account: Account  #: the account that carries it out
    operations: tuple[Operation, ...]  #: the first charges or authorizes
    created_at: datetime
    updated_at: datetime
    #: The next accounts to try, should this one not carry it out.
    route: tuple[Account, ...] = ()
    routes_on: tuple[str, ...] = ()  #: decline codes that reroute it
    hold: Hold | None = None  #: of an authorization that succeeded
    claim: Claim | None = None  #: of the worker that is working on it
    next_action: NextAction | None = None
    last_error: Failure | None = None
    disputes: tuple[Dispute, ...] = ()  #: see ``apply_dispute``
    saved_method: SavedMethod | None = None  #: for later payments
    version: int = 1  #: raised by every write of a step
    event_count: int = 0  #: events on the stored timeline
    pending_events: tuple[Event, ...] = ()  #: events not stored yet

    @property
    def provider(self) -> ProviderName:
        """The provider of its account."""
        return self.account.provider

    @property
    def first_operation(self) -> Operation:
        """The charge, or the authorization, that the payment began with."""
        return self.operations[0]

    @property
    def claimed_operation(self) -> Operation:
        """The operation that the claim names. Raises PaymentNotFound without one."""
        if self.claim is None:
            raise PaymentNotFound("no worker has claimed this payment")
        return self.get_operation(self.claim.operation)

    def get_operation(self, operation_id: str) -> Operation:
        """One operation by its id. Raises PaymentNotFound where there is none."""
        for one in self.operations:
            if one.id == operation_id:
                return one
        raise PaymentNotFound("there is no such operation")

    def find_by_key(self, idempotency_key: str) -> Operation | None:
        """The operation that a request with this key made, if any."""
        for one in self.operations:
            if one.origin and one.origin.idempotency_key == idempotency_key:
                return one
        return None

    @property
    def next_operation(self) -> Operation | None:
        """The operation that is due first, if any."""
        due = [one for one in self.operations if one.due_at is not None]
        return min(due, key=lambda one: one.due_at or one.starts_at, default=None)

    @property
    def due_at(self) -> datetime | None:
        """Work is owed from then on, leases aside; None: no work is owed."""
        upcoming = [one.due_at for one in self.operations if one.due_at is not None]
        if self.hold is not None and self.hold.next_at is not None:
            upcoming.append(self.hold.next_at)
        return min(upcoming, default=None)

    @property
    def refs(self) -> Mapping[str, str]:
        """The provider object ids of all operations, the last one of each name."""
        return {name: ref for one in self.operations for name, ref in one.refs.items()}

    @property
    def authorized(self) -> int:
        """The authorized or charged amount, in minor units as all amounts here."""
        return self.first_operation.moved

    @property
    def captured(self) -> int:
        """The captured amount; refunds are not subtracted."""
        return self._sum_moved(*_COLLECTING_KINDS)

    @property
    def capture_reserved(self) -> int:
        """The amount that captures under way may yet take."""
        left = max(0, self.authorized - self.captured)
        return min(left, self._sum_reserved(Kind.CAPTURE))

    @property
    def capturable(self) -> int:
        """The amount that a new capture may take."""
        if self.hold is None or self.hold.ended is not None or self._is_closing:
            return 0
        return max(0, self.authorized - self.captured - self.capture_reserved)

    @property
    def refunded(self) -> int:
        """The refunded amount."""
        return self._sum_moved(Kind.REFUND)

    @property
    def refund_reserved(self) -> int:
        """The amount that refunds under way may yet give back."""
        left = max(0, self.captured - self.refunded)
        return min(left, self._sum_reserved(Kind.REFUND))

    def refundable_amount(self, target: Operation) -> int:
        """The amount that a new refund of one charge or capture may give back.

        Money taken by a lost dispute cannot be refunded. Captures may share one charge
        at the provider. A dispute, or a refund made by others, is of the whole charge
        and reduces the amount of all its captures.
        """
        if target.kind not in _COLLECTING_KINDS:
            return 0
        shared = sum(self._net_amount(one) for one in self.operations_of_charge(target))
        left = min(self._net_amount(target), shared)
        lost = [one for one in self.disputes if one.state is DisputeState.LOST]
        for ref in {one.ref for one in lost}:
            cost = sum(self._dispute_cost(one) for one in lost if one.ref == ref)
            named = {one.operation for one in lost if one.ref == ref}
            disputed = [
                one
                for one in self.operations
                if one.kind in _COLLECTING_KINDS
                and (one.id in named or ref in one.refs.values())
            ]
            if target in disputed:
                left = min(left, sum(self._net_amount(one) for one in disputed) - cost)
        return max(0, left)

    def operations_of_charge(self, target: Operation) -> list[Operation]:
        """The charges and captures with the same provider charge as ``target``."""
        charge = self._charge_id(target)
        return [
            one
            for one in self.operations
            if one.kind in _COLLECTING_KINDS and self._charge_id(one) == charge
        ]

    def unrefunded_amount(self, target: Operation) -> int:
        """The amount of the charge of ``target`` that has not been refunded."""
        group = self.operations_of_charge(target)
        names = {one.id for one in group}
        back = (one.moved for one in self.operations if one.target in names)
        return sum(one.moved for one in group) - sum(back)

    @property
    def disputed(self) -> int:
        """The amount of open and lost disputes; a part of the captured amount."""
        return sum(
            one.money.minor
            for one in self.disputes
            if one.is_at_risk and one.money.currency == self.submission.amount.currency
        )

    @property
    def may_capture_in_parts(self) -> bool:
        """Whether a capture may leave the rest on hold."""
        if RULES[self.provider].captures_in_parts:
            return True
        return self.hold is not None and self.hold.multicapture

    @property
    def fee(self) -> Fee | None:
        """The known fees of the provider; None also for several currencies."""
        fees = [one.fee for one in self.operations if one.fee is not None]
        currencies = {fee.currency for fee in fees}
        if len(currencies) != 1:
            return None
        return Fee(sum(fee.minor for fee in fees), currencies.pop())

    @property
    def is_settled(self) -> bool:
        """Whether no worker has anything more to do."""
        return not any(one.has_work for one in self.operations)

    @property
    def status(self) -> Status:
        """The payment's state for its merchant."""
        held = self.hold is not None and self.hold.ended is None
        if self.refunded:
            whole = self.refunded >= self.captured and not held
            return Status.REFUNDED if whole else Status.PARTIALLY_REFUNDED
        if self.captured:
            return Status.PARTIALLY_CAPTURED if held else Status.CAPTURED
        if self.hold is not None and self.first_operation.state is State.SUCCEEDED:
            return _STATUS_BY_HOLD_END[self.hold.ended]
        return _STATUS_BY_FIRST_STATE.get(self.first_operation.state, Status.PROCESSING)

    @property
    def blocks_reference(self) -> bool:
        """Whether it blocks another payment of its reference."""
        policy = self.submission.duplicate_policy
        if self.submission.reference is None or policy is DuplicatePolicy.NONE:
            return False
        is_held = self.hold is not None and self.hold.ended is None
        is_collecting = any(
            one.collects_money and not one.is_terminal for one in self.operations
        )
        is_paid = policy is DuplicatePolicy.PAID and self.captured > self.refunded
        return is_held or is_collecting or is_paid

    def transition(
        self,
        operation: Operation,
        trigger: Trigger,
        event: EventType,
        *,
        now: datetime,
        data: Mapping[str, str | int] | None = None,
    ) -> Payment:
        """The payment with ``operation`` in its next state, and an event.

        ``operation`` has the id and the state of the stored one, and may have other
        fields changed. Raises IllegalTransition.
        """
        after = replace(operation, state=move(operation.state, trigger))
        return self.with_event(
            after, event, now=now, previous=operation.state, data=data
        )

    def with_event(
        self,
        operation: Operation,
        event: EventType,
        *,
        now: datetime,
        previous: State | None = None,
        data: Mapping[str, str | int] | None = None,
    ) -> Payment:
        """The payment with ``operation`` replaced or added, and an event.

        ``previous`` is its state before, where that has changed.
        """
        event_data: dict[str, str | int] = {"operation": operation.id}
        if previous is not None:
            event_data["from"] = previous.value
        event_data |= {"to": operation.state.value, **(data or {})}
        others = tuple(
            operation if one.id == operation.id else one for one in self.operations
        )
        known = any(one.id == operation.id for one in self.operations)
        seq = self.event_count + len(self.pending_events) + 1
        return replace(
            self,
            operations=others if known else (*others, operation),
            updated_at=now,
            pending_events=(*self.pending_events, Event(seq, event, now, event_data)),
        )

    @property
    def _is_closing(self) -> bool:
        """Whether a void, or a capture that releases the rest, is under way."""
        return any(
            not one.is_terminal and (one.kind is Kind.VOID or one.final)
            for one in self.operations
        )

    def _charge_id(self, operation: Operation) -> str:
        """The provider's id of the object that took the money, else our own."""
        charge_ref = RULES[self.provider].charge_ref
        return operation.refs.get(charge_ref, operation.id)

    def _net_amount(self, target: Operation) -> int:
        """The amount of a charge or capture less its refunds and reserved refunds."""
        refunds = [one for one in self.operations if one.target == target.id]
        return target.moved - sum(one.moved or one.reserved_amount for one in refunds)

    def _dispute_cost(self, lost: Dispute) -> int:
        """The cost of a lost dispute; in another currency, all that was captured."""
        if lost.money.currency == self.submission.amount.currency:
            return lost.withdrawn
        return self.captured if lost.withdrawn else 0

    def _sum_moved(self, *kinds: Kind) -> int:
        return sum(one.moved for one in self.operations if one.kind in kinds)

    def _sum_reserved(self, kind: Kind) -> int:
        return sum(one.reserved_amount for one in self.operations if one.kind is kind)


_COLLECTING_KINDS: Final = frozenset({Kind.CHARGE, Kind.CAPTURE})
_STATUS_BY_FIRST_STATE: Final = {
    State.REQUIRES_ACTION: Status.REQUIRES_ACTION,
    State.DECLINED: Status.FAILED,
    State.REJECTED: Status.FAILED,
    State.CANCELED: Status.CANCELED,
    State.EXPIRED: Status.EXPIRED,
}
_STATUS_BY_HOLD_END: Final = {
    None: Status.AUTHORIZED,
    HoldEnd.CAPTURED: Status.CAPTURED,
    HoldEnd.VOIDED: Status.VOIDED,
    HoldEnd.EXPIRED: Status.EXPIRED,
}
