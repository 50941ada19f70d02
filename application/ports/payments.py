"""Stored payments and the queue of their work, as the use cases need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain.payments.payment import Event, Payment
from domain.payments.states import Status
from domain.payments.submission import Mode, ProviderName


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose payments: a merchant sees its own alone, in one mode."""

    merchant: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class Query:
    """Which payments to list; every given field must match."""

    status: Status | None = None
    provider: ProviderName | None = None
    reference: str | None = None
    disputed: bool | None = None  #: whether it has a dispute, open or ended
    created_from: datetime | None = None  #: inclusive, UTC
    created_before: datetime | None = None  #: exclusive, UTC
    before: str | None = None  #: a payment id: only older ones than it
    limit: int = 20


class PaymentStore(Protocol):
    """The truth. Every method raises StoreUnavailable where it cannot answer."""

    def insert_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """Stores each payment once for its scope and idempotency key.

        Returns, in order, what is stored under each key: the payment itself or an
        earlier one. What it returns is durable. Raises ReferenceInProgress where
        another payment guards the reference of one of them; the others are stored.
        """

    def amend(self, payment: Payment) -> Payment | None:
        """Writes a step of somebody who holds no lease, and leaves a lease alone.

        Returns what is stored now; None where the payment has moved on meanwhile.
        Raises IdempotencyMismatch where the idempotency key of one of its operations
        is another payment's.
        """

    def load_due(self, ids: Sequence[str]) -> list[Payment]:
        """Those of ``ids`` on which work is owed and that nobody holds."""

    def postpone(self, ids: Sequence[str], by: timedelta) -> None:
        """Lets work on ``ids`` be owed ``by`` from now at the earliest.

        Only where nobody holds them; no step, and nothing on the timeline.
        """

    def claim_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """Writes each step, with a lease where it has a claim, unless it moved on.

        Returns those that are ours now, ``news`` stored and ``version`` raised.
        """

    def settle_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """Writes each step and gives its lease back, unless the payment moved on.

        Returns those that were written.
        """

    def load_held(self, payments: Sequence[Payment]) -> list[Payment]:
        """Those of ``payments`` whose claim still stands, as they are stored now."""

    def renew_leases(self, ids: Sequence[str]) -> None:
        """Prolongs the leases that this store's owner still holds on ``ids``."""

    def find_due_ids(self, limit: int) -> list[str]:
        """At most ``limit`` payments on which work is owed now.

        Each account's in turn, what waited longest first. Of a long backlog every
        other one is what became due last: nothing waits for the whole of it.
        """

    def get(self, scope: Scope, payment_id: str) -> Payment | None:
        """One payment, or None where ``scope`` has no such payment."""

    def find_by_key(self, scope: Scope, idempotency_key: str) -> Payment | None:
        """The payment of which a request had this key, or None where none had."""

    def list_payments(self, scope: Scope, query: Query) -> list[Payment]:
        """At most ``query.limit`` payments, newest first."""

    def load_timeline(self, scope: Scope, payment_id: str) -> list[Event] | None:
        """A payment's events in order, or None where there is no such payment."""

    def find_settled(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` on which no work is owed, or that are not there."""


class DueWorkSource(Protocol):
    """Where work is owed. Raises StoreUnavailable."""

    def find_due_ids(self, limit: int) -> list[str]:
        """What work is owed on now, ``limit`` at most."""


class JobQueue(Protocol):
    """The wake-up message. It may lose everything it is told."""

    def notify(self, ids: Sequence[str]) -> None:
        """Tells the workers of payments, or webhooks, on which work is owed.

        Never waits for the broker and never raises.
        """

    def free_slots(self) -> int:
        """How many more ids the queue should take now; 0 where it is full.

        Raises QueueUnavailable where the broker does not answer.
        """
