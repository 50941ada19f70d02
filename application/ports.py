"""What the use cases need of the world: the only protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.answer import Answer
from domain.payment import Event, Payment
from domain.states import Status
from domain.submission import Mode, ProviderName


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
    created_from: datetime | None = None  #: inclusive, UTC
    created_before: datetime | None = None  #: exclusive, UTC
    before: str | None = None  #: a payment id: only older ones than it
    limit: int = 20


class PaymentStore(Protocol):
    """The truth. Every method raises StoreUnavailable where it cannot answer."""

    def insert_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """Stores each payment once for its scope and idempotency key.

        Returns, in order, what is stored under each key: the payment itself or an
        earlier one. What it returns is durable.
        """

    def load_due(self, ids: Sequence[str]) -> list[Payment]:
        """Those of ``ids`` on which work is owed and that nobody holds."""

    def claim_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """Writes each step with a lease, unless the payment has moved on.

        Returns those that are ours now, ``news`` stored and ``version`` raised.
        """

    def settle_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """Writes each step and gives its lease back, unless the lease was lost.

        Returns those that were written.
        """

    def renew(self, ids: Sequence[str]) -> None:
        """Prolongs the leases that this store's owner still holds on ``ids``."""

    def due_ids(self, limit: int) -> list[str]:
        """The payments on which work is owed now, longest first."""

    def get(self, scope: Scope, payment_id: str) -> Payment | None:
        """One payment, or None where ``scope`` has no such payment."""

    def page(self, scope: Scope, query: Query) -> list[Payment]:
        """At most ``query.limit`` payments, newest first."""

    def timeline(self, scope: Scope, payment_id: str) -> list[Event] | None:
        """A payment's events in order, or None where there is no such payment."""

    def versions(self, ids: Sequence[str]) -> Mapping[str, tuple[int, bool]]:
        """For each of ``ids`` its version and whether it is settled."""


class JobQueue(Protocol):
    """The doorbell. It may lose everything it is told."""

    def ring(self, ids: Sequence[str]) -> None:
        """Tells the workers of payments on which work is owed.

        Never waits for the broker and never raises.
        """

    def room(self) -> int:
        """How many more payments the queue should take now; 0 where it is full.

        Raises QueueUnavailable where the broker does not answer.
        """


class Provider(Protocol):
    """Stripe, PayPal, or a stand-in: it translates and decides nothing."""

    def prepare(self, payment: Payment) -> str:
        """The body (JSON) of the request that carries out the open operation.

        Pure. Raises InvalidPayment where the provider takes no such payment.
        """

    def send(self, payment: Payment) -> Answer:
        """Sends what ``payment.operation.send`` has written down.

        Raises NotSent or another NotExecuted where nothing happened, OutcomeUnknown
        where something may have, NeedsReview where a person must look, and no
        other error: whatever it does not understand is OutcomeUnknown.
        """
