"""What the use cases need of the world: the protocols that most of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain.answer import Answer
from domain.breaker import Call, Gate, Why
from domain.errors import ProviderError
from domain.limit import Taken
from domain.operation import Operation
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

    def put_off(self, ids: Sequence[str], by: timedelta) -> None:
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

    def held(self, payments: Sequence[Payment]) -> list[Payment]:
        """Those of ``payments`` whose claim still stands, as they are stored now."""

    def renew(self, ids: Sequence[str]) -> None:
        """Prolongs the leases that this store's owner still holds on ``ids``."""

    def due_ids(self, limit: int) -> list[str]:
        """At most ``limit`` payments on which work is owed now.

        Each account's in turn, what waited longest first. Of a long backlog every
        other one is what became due last: nothing waits for the whole of it.
        """

    def get(self, scope: Scope, payment_id: str) -> Payment | None:
        """One payment, or None where ``scope`` has no such payment."""

    def made_by(self, scope: Scope, idempotency_key: str) -> Payment | None:
        """The payment of which a request had this key, or None where none had."""

    def page(self, scope: Scope, query: Query) -> list[Payment]:
        """At most ``query.limit`` payments, newest first."""

    def timeline(self, scope: Scope, payment_id: str) -> list[Event] | None:
        """A payment's events in order, or None where there is no such payment."""

    def settled(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` on which no work is owed, or that are not there."""


class Owing(Protocol):
    """Where work is owed. Raises StoreUnavailable."""

    def due_ids(self, limit: int) -> list[str]:
        """What work is owed on now, ``limit`` at most."""


class JobQueue(Protocol):
    """The doorbell. It may lose everything it is told."""

    def ring(self, ids: Sequence[str]) -> None:
        """Tells the workers of payments, or webhooks, on which work is owed.

        Never waits for the broker and never raises.
        """

    def room(self) -> int:
        """How many more ids the queue should take now; 0 where it is full.

        Raises QueueUnavailable where the broker does not answer.
        """


class Provider(Protocol):
    """Stripe, PayPal, or a stand-in: it translates and decides nothing.

    ``send`` and ``look`` raise NotSent or another NotExecuted where the call was not
    carried out, LookNeeded or another OutcomeUnknown where it may have been,
    NeedsReview where a person must look, and no other error.
    """

    def prepare(self, payment: Payment, operation: Operation) -> str:
        """The body (JSON) of the request that carries ``operation`` out.

        Pure. Raises InvalidPayment where the provider takes no such payment.
        """

    def send(self, payment: Payment) -> Answer:
        """Sends what ``payment.working.send`` has written down."""

    def look(self, payment: Payment) -> Answer:
        """What became of ``payment.working``; it changes nothing at the provider.

        ABSENT only where a read that cannot lag proves that it never arrived.
        """


@dataclass(frozen=True, slots=True)
class Admission:
    """Which calls may be made now, and when the others may ask again."""

    granted: Sequence[Call]
    again_in: timedelta
    after: float = 0.0  #: seconds to wait before these calls, half a second at most
    #: Those behind an open gate: waiting is for nobody knows how long. What is neither
    #: here nor granted waits for the account's limit.
    stopped: Sequence[Call] = ()


class Gates(Protocol):
    """Stands before each account, by its id: at most so many calls, or none.

    Whoever is admitted waits as long as it says, makes the calls and tells of each.
    Neither method raises, whatever it depends on is doing.
    """

    def admit(
        self, account: str, calls: Sequence[Call], *, urgent: bool = True
    ) -> Admission:
        """Takes leave for ``calls``, each of another operation.

        What is not ``urgent`` leaves room for what is.
        """

    def tell(
        self, account: str, outcomes: Sequence[tuple[Call, Answer | ProviderError]]
    ) -> None:
        """Says what came of calls."""


class Breakers(Protocol):
    """The gates of all accounts, shared by all workers and kept for good.

    Every method raises StoreUnavailable where it cannot answer.
    """

    def gates(self) -> Mapping[str, Gate]:
        """The gates that moved, and the deployment's own accounts', by ``gate_name``.

        Whatever is not among them is closed.
        """

    def open(
        self,
        name: str,
        *,
        why: Why,
        reason: str,
        by: str,
        probed: Gate | None = None,
        tried: Sequence[str] = (),
    ) -> Gate | None:
        """Opens the gate; None where that was not to be done.

        An operator's word stands: nobody else changes that. Being misconfigured comes
        before failing, and what is open for a reason is not opened for it again.
        ``probed`` is the gate whose probe failed: if no later probe was taken, it stays
        open for this reason, and rests for longer. ``tried`` are the operations that
        were refused, or whose probe it was; the last CHANGES are kept.
        """

    def close(
        self,
        name: str,
        *,
        reason: str,
        by: str,
        probed: Gate | None = None,
    ) -> Gate | None:
        """Closes the gate; None where that was not to be done.

        ``probed`` is the gate whose probe succeeded: that closes it if no later probe
        was taken, and no operator opened it. What opened a misconfigured gate stays
        known then: it was refused for a reason of its own.
        """

    def take_probe(self, name: str) -> Gate | None:
        """The gate with a new probe, for the one caller whose it is; else None."""


class Limiter(Protocol):
    """Each account's bucket of calls, shared by all workers; never raises."""

    def take(self, account: str, wanted: int, within: float) -> Taken:
        """As many of ``wanted`` calls as there are ``within`` so many seconds."""

    def pause(self, account: str, by: float) -> None:
        """Gives nothing for ``by`` seconds."""


class GateWatch(Protocol):
    """Counts what the gates do."""

    def opened(self, gate: Gate, why: Why) -> None:
        """This process opened a gate."""

    def probed(self, gate: Gate) -> None:
        """It sends a probe."""

    def put_off(self, account: str, count: int) -> None:
        """So many payments were not admitted."""
