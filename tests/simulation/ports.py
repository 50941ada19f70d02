"""The product's ports for one process. Each call passes two boundaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from datetime import timedelta
from typing import Any, TypeVar

from application.ports.payments import Query, Scope
from domain.errors import PaymentsError, StoreUnavailable
from domain.payments.payment import Event, Payment
from tests.simulation.chance import Chance
from tests.simulation.oracle import Oracle
from tests.simulation.scheduler import Scheduler
from tests.support.fakes import MemoryQueue
from tests.support.memory_store import MemoryStore

T = TypeVar("T")


class WatchedStore:
    """A PaymentStore of one process. The oracle sees every write as it happens."""

    def __init__(
        self,
        store: MemoryStore,
        *,
        scheduler: Scheduler,
        chance: Callable[[], Chance],
        oracle: Oracle,
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._chance = chance
        self._oracle = oracle

    def insert_many(self, payments: Sequence[Payment]) -> list[Payment | PaymentsError]:
        def insert() -> list[Payment | PaymentsError]:
            results = self._store.insert_many(payments)
            new = {payment.id for payment in payments}
            stored = [one for one in results if isinstance(one, Payment)]
            self._oracle.record_write([one for one in stored if one.id in new])
            return results

        return self._call("inserts", insert)

    def amend(self, payment: Payment) -> Payment | None:
        def amend() -> Payment | None:
            stored = self._store.amend(payment)
            self._oracle.record_write([stored] if stored is not None else [])
            return stored

        return self._call("amends", amend)

    def load_due(self, ids: Sequence[str]) -> list[Payment]:
        return self._call("loads", lambda: self._store.load_due(ids))

    def postpone(self, ids: Sequence[str], by: timedelta) -> None:
        self._call("postpones", lambda: self._store.postpone(ids, by))

    def claim_many(self, payments: Sequence[Payment]) -> list[Payment]:
        def claim() -> list[Payment]:
            won = self._store.claim_many(payments)
            self._oracle.record_write(won)
            self._oracle.record_claims(won, self._scheduler.current)
            return won

        return self._call("claims", claim)

    def settle_many(self, payments: Sequence[Payment]) -> list[Payment]:
        def settle() -> list[Payment]:
            done = self._store.settle_many(payments)
            self._oracle.check_settlement(done, self._scheduler.current)
            self._oracle.record_write(done)
            return done

        return self._call("settles", settle)

    def load_leased(self, payments: Sequence[Payment]) -> list[Payment]:
        return self._call(
            "loads leased payments", lambda: self._store.load_leased(payments)
        )

    def renew_leases(self, ids: Sequence[str]) -> None:
        self._call("renews", lambda: self._store.renew_leases(ids))

    def find_due_ids(self, limit: int) -> list[str]:
        return self._call("finds due payments", lambda: self._store.find_due_ids(limit))

    def get(self, scope: Scope, payment_id: str) -> Payment | None:
        return self._call("reads", lambda: self._store.get(scope, payment_id))

    def find_by_key(self, scope: Scope, idempotency_key: str) -> Payment | None:
        return self._call(
            "reads", lambda: self._store.find_by_key(scope, idempotency_key)
        )

    def list_payments(self, scope: Scope, query: Query) -> list[Payment]:
        return self._call("lists", lambda: self._store.list_payments(scope, query))

    def load_timeline(self, scope: Scope, payment_id: str) -> list[Event] | None:
        return self._call("reads", lambda: self._store.load_timeline(scope, payment_id))

    def find_settled(self, ids: Sequence[str]) -> set[str]:
        return self._call(
            "finds settled payments", lambda: self._store.find_settled(ids)
        )

    def _call(self, step: str, call: Callable[[], T]) -> T:
        """Makes a call. It may fail before its effect or after it."""
        self._scheduler.boundary(step)
        chance = self._chance()
        if chance.fails("store"):
            raise StoreUnavailable
        answer = call()
        self._scheduler.boundary(f"{step}: done")
        if chance.fails("store"):
            raise StoreUnavailable
        return answer


class LossyQueue:
    """A JobQueue that loses and repeats messages."""

    def __init__(
        self,
        queue: MemoryQueue,
        *,
        scheduler: Scheduler,
        chance: Callable[[], Chance],
    ) -> None:
        self._queue = queue
        self._scheduler = scheduler
        self._chance = chance

    def notify(self, ids: Sequence[str]) -> None:
        self._scheduler.boundary("notifies")
        chance = self._chance()
        if not chance.fails("notify"):
            self._queue.notify(ids)
            if chance.fails("echo"):
                self._queue.notify(ids)
        self._scheduler.boundary("notifies: done")

    def free_slots(self) -> int:
        return self._queue.free_slots()


class InlineExecutor(Executor):
    """Carries a call out at once, in the caller's actor."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Returns a finished future. It does not catch a crash of the caller."""
        done: Future[T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done
