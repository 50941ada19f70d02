"""A PaymentStore in memory: small, exact and thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from application.dispatch import round_robin
from application.ports.payments import Query, Scope
from domain.errors import (
    IdempotencyMismatch,
    PaymentsError,
    ReferenceInProgress,
    StoreUnavailable,
)
from domain.payments.payment import WAKEUP_GRACE, LEASE, Event, Payment


@dataclass(slots=True)
class _Row:
    """A stored payment; during a lease ``due_at`` is its end."""

    payment: Payment
    timeline: tuple[Event, ...]
    due_at: datetime | None
    lease_holder: str | None = None


@dataclass(slots=True)
class _Table:
    """The data shared by the stores of several holders."""

    rows: dict[str, _Row] = field(default_factory=dict)
    keys: dict[tuple[str, str, str | None], str] = field(default_factory=dict)
    blocked_references: dict[tuple[str, str, str | None], str] = field(
        default_factory=dict
    )
    lock: threading.RLock = field(default_factory=threading.RLock)
    away: bool = False


class MemoryStore:
    """A PaymentStore. ``clock`` measures leases; ``away`` makes it unavailable."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        lease_holder: str = "one",
        table: _Table | None = None,
    ) -> None:
        self._clock = clock
        self._lease_holder = lease_holder
        self._table = table or _Table()

    def leased_by(self, lease_holder: str) -> MemoryStore:
        """The store of another process with the same payments."""
        return MemoryStore(self._clock, lease_holder=lease_holder, table=self._table)

    @property
    def table(self) -> _Table:
        """The data shared with the stores of other processes."""
        return self._table

    @property
    def away(self) -> bool:
        """Whether the database is unavailable."""
        return self._table.away

    @away.setter
    def away(self, away: bool) -> None:
        self._table.away = away

    def insert_many(self, payments: Sequence[Payment]) -> list[Payment | PaymentsError]:
        with self._rows() as rows:
            return [self._insert(payment, rows) for payment in payments]

    def amend(self, payment: Payment) -> Payment | None:
        with self._rows() as rows:
            row = rows.get(payment.id)
            if row is None or row.payment.version != payment.version:
                return None
            origins = (one.origin for one in payment.operations)
            for one in filter(None, origins):
                key = _key(payment, one.idempotency_key)
                if self._table.keys.setdefault(key, payment.id) != payment.id:
                    raise IdempotencyMismatch
            return self._store(row, payment, leased=row.lease_holder is not None)

    def load_due(self, ids: Sequence[str]) -> list[Payment]:
        now = self._clock()
        with self._rows() as rows:
            known = [rows[one] for one in dict.fromkeys(ids) if one in rows]
            return [
                row.payment
                for row in known
                if row.due_at is not None
                and row.due_at <= (now if row.lease_holder else now + WAKEUP_GRACE)
            ]

    def postpone(self, ids: Sequence[str], by: timedelta) -> None:
        now = self._clock()
        with self._rows() as rows:
            for row in (rows[one] for one in ids if one in rows):
                free = row.lease_holder is None or (row.due_at and row.due_at <= now)
                if row.due_at is not None and free:
                    row.due_at = max(row.due_at, now + by)

    def claim_many(self, payments: Sequence[Payment]) -> list[Payment]:
        return self._write(payments, lease=True)

    def settle_many(self, payments: Sequence[Payment]) -> list[Payment]:
        return self._write(payments, lease=False)

    def load_leased(self, payments: Sequence[Payment]) -> list[Payment]:
        fences = {one.id: one.claim.fence for one in payments if one.claim}
        with self._rows() as rows:
            now = [rows[one].payment for one in fences if one in rows]
        return [one for one in now if one.claim and one.claim.fence == fences[one.id]]

    def renew_leases(self, ids: Sequence[str]) -> None:
        with self._rows() as rows:
            for row in (rows[one] for one in ids if one in rows):
                if row.lease_holder == self._lease_holder:
                    row.due_at = self._clock() + LEASE

    def find_due_ids(self, limit: int) -> list[str]:
        now = self._clock()
        with self._rows() as rows:
            due = [
                (row.due_at, row.payment.id, row.payment.account.id)
                for row in rows.values()
                if row.due_at is not None and row.due_at <= now
            ]
        lines = []
        for account in sorted({account for _, _, account in due}):
            longest = [one for _, one, its in sorted(due) if its == account]
            lines.append(longest)
            if len(longest) >= limit:
                lines.append(longest[::-1])
        return round_robin(lines, limit)

    def next_due(self) -> datetime | None:
        """The next time of due work or of a lease's end; None without either."""
        with self._rows() as rows:
            due = [row.due_at for row in rows.values() if row.due_at is not None]
        return min(due, default=None)

    def get(self, scope: Scope, payment_id: str) -> Payment | None:
        with self._rows() as rows:
            row = rows.get(payment_id)
            return row.payment if row and _is_of(scope, row.payment) else None

    def find_by_key(self, scope: Scope, idempotency_key: str) -> Payment | None:
        with self._rows() as rows:
            name = (scope.merchant, scope.mode, idempotency_key)
            found = self._table.keys.get(name)
            return rows[found].payment if found else None

    def list_payments(self, scope: Scope, query: Query) -> list[Payment]:
        with self._rows() as rows:
            found = [
                row.payment
                for row in rows.values()
                if _is_of(scope, row.payment) and _matches(query, row.payment)
            ]
        return sorted(found, key=lambda one: one.id, reverse=True)[: query.limit]

    def load_timeline(self, scope: Scope, payment_id: str) -> list[Event] | None:
        with self._rows() as rows:
            row = rows.get(payment_id)
            return list(row.timeline) if row and _is_of(scope, row.payment) else None

    def all_payments(self) -> list[Payment]:
        """Every payment of all merchants."""
        with self._rows() as rows:
            return [row.payment for row in rows.values()]

    def find_settled(self, ids: Sequence[str]) -> set[str]:
        with self._rows() as rows:
            working = {one for one in ids if one in rows and not _done(rows[one])}
        return set(ids) - working

    def _insert(
        self, payment: Payment, rows: dict[str, _Row]
    ) -> Payment | PaymentsError:
        first = payment.first_operation.origin
        assert first is not None
        key = _key(payment, first.idempotency_key)
        if key in self._table.keys:
            return rows[self._table.keys[key]].payment
        if payment.blocks_reference:
            guard = _key(payment, payment.submission.reference)
            if guard in self._table.blocked_references:
                return ReferenceInProgress(self._table.blocked_references[guard])
            self._table.blocked_references[guard] = payment.id
        stored = _without_pending_events(payment)
        rows[payment.id] = _Row(stored, payment.pending_events, payment.due_at)
        self._table.keys[key] = payment.id
        return stored

    def _write(self, payments: Sequence[Payment], *, lease: bool) -> list[Payment]:
        written = []
        with self._rows() as rows:
            for payment in payments:
                row = rows.get(payment.id)
                if row is None or row.payment.version != payment.version:
                    continue
                leased = lease and payment.claim is not None
                row.lease_holder = self._lease_holder if leased else None
                row.due_at = self._clock() + LEASE if leased else None
                written.append(self._store(row, payment, leased=leased))
        return written

    def _store(self, row: _Row, payment: Payment, *, leased: bool) -> Payment:
        stored = replace(_without_pending_events(payment), version=payment.version + 1)
        row.payment, row.timeline = stored, row.timeline + payment.pending_events
        if not leased:
            row.due_at = payment.due_at
        guard = _key(payment, payment.submission.reference)
        if (
            self._table.blocked_references.get(guard) == payment.id
            and not payment.blocks_reference
        ):
            del self._table.blocked_references[guard]
        return stored

    @contextmanager
    def _rows(self) -> Iterator[dict[str, _Row]]:
        if self._table.away:
            raise StoreUnavailable
        with self._table.lock:
            yield self._table.rows


def _without_pending_events(payment: Payment) -> Payment:
    event_count = payment.event_count + len(payment.pending_events)
    return replace(payment, event_count=event_count, pending_events=())


def _is_of(scope: Scope, payment: Payment) -> bool:
    return (payment.merchant, payment.mode) == (scope.merchant, scope.mode)


def _matches(query: Query, payment: Payment) -> bool:
    asked, made = payment.submission, payment.created_at
    return (
        query.status in (None, payment.status)
        and query.provider in (None, payment.provider)
        and query.reference in (None, asked.reference)
        and query.disputed in (None, bool(payment.disputes))
        and (query.created_from is None or made >= query.created_from)
        and (query.created_before is None or made < query.created_before)
        and (query.before is None or payment.id < query.before)
    )


def _key(payment: Payment, name: str | None) -> tuple[str, str, str | None]:
    return payment.merchant, payment.mode, name


def _done(row: _Row) -> bool:
    return row.payment.is_settled
