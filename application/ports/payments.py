"""The ports of payments: their store, and the queue of wake-up messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain.errors import PaymentsError
from domain.payments.payment import Event, Payment
from domain.payments.states import Status
from domain.payments.submission import Mode, ProviderName


@dataclass(frozen=True, slots=True)
class Scope:
    """The payments of one merchant in one mode."""

    merchant: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class Query:
    """A query for payments; every given field must match."""

    status: Status | None = None
    provider: ProviderName | None = None
    reference: str | None = None
    disputed: bool | None = None  #: with or without disputes, open or ended
    created_from: datetime | None = None  #: inclusive, UTC
    created_before: datetime | None = None  #: exclusive, UTC
    before: str | None = None  #: a payment id: all results are older than it
    limit: int = 20


class PaymentStore(Protocol):
    """The durable store of payments. Every method raises StoreUnavailable."""

    def insert_many(self, payments: Sequence[Payment]) -> list[Payment | PaymentsError]:
        """Stores each payment once for its scope and idempotency key.

        Returns, in order, the stored payment of each key: the given one or an earlier
        one. All of them are durable. A payment that is not stored has its error there:
        ReferenceInProgress where another payment blocks its reference, or
        StoreUnavailable. After a raised error any of them may be stored.
        """

    def amend(self, payment: Payment) -> Payment | None:
        """Writes a step that needs no lease; a lease of a worker stays.

        Returns the stored payment; None where the payment has changed meanwhile.
        Raises IdempotencyMismatch where the idempotency key of one of its operations
        is another payment's.
        """

    def load_due(self, ids: Sequence[str]) -> list[Payment]:
        """The payments of ``ids`` that are due and have no lease."""

    def postpone(self, ids: Sequence[str], by: timedelta) -> None:
        """Makes the payments of ``ids`` without a lease due ``by`` from now, at least.

        It is no step and adds no event.
        """

    def claim_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """Writes each step unless its payment changed, with a lease if it has a claim.

        Returns the written payments, with their events stored and ``version`` raised.
        """

    def settle_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """Writes each step and ends its lease, unless the payment changed.

        Returns the written payments.
        """

    def load_leased(self, payments: Sequence[Payment]) -> list[Payment]:
        """The given payments whose claim is still valid, as they are stored now."""

    def renew_leases(self, ids: Sequence[str]) -> None:
        """Renews the leases that this process still has on ``ids``."""

    def find_due_ids(self, limit: int) -> list[str]:
        """At most ``limit`` ids of due payments.

        Accounts take turns, and the longest wait comes first. In a long backlog every
        second id is one that became due last, so that it need not wait for the others.
        """

    def get(self, scope: Scope, payment_id: str) -> Payment | None:
        """One payment, or None where ``scope`` has no such payment."""

    def find_by_key(self, scope: Scope, idempotency_key: str) -> Payment | None:
        """The payment with a request of this key, or None."""

    def list_payments(self, scope: Scope, query: Query) -> list[Payment]:
        """At most ``query.limit`` payments, newest first."""

    def load_timeline(self, scope: Scope, payment_id: str) -> list[Event] | None:
        """A payment's events in order, or None where there is no such payment."""

    def find_settled(self, ids: Sequence[str]) -> set[str]:
        """The ids of ``ids`` without work for a worker, or without a payment."""


class DueWorkSource(Protocol):
    """A source of due work. Raises StoreUnavailable."""

    def find_due_ids(self, limit: int) -> list[str]:
        """At most ``limit`` ids of due work."""


class JobQueue(Protocol):
    """The queue of wake-up messages. It may lose any message."""

    def notify(self, ids: Sequence[str]) -> None:
        """Sends the workers a wake-up message for payments or webhooks.

        It never waits for the broker and never raises.
        """

    def free_slots(self) -> int:
        """The number of ids that the queue has room for; 0 where it is full.

        Raises QueueUnavailable where the broker does not answer.
        """
