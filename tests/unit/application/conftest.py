"""Fixtures of the use cases: fakes at the ports, and a clock set by tests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

import pytest

from application.attempt import AttemptResult, AttemptContext, run
from application.operator_actions import OperatorContext
from application.ports.provider import Provider
from domain.payments.operation import Send
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from tests.suites.samples import insert_all, NOW, SHOP, sending
from tests.support.fakes import Act, MemoryQueue, ScriptedProvider, AdmitAll
from tests.support.memory_store import MemoryStore
from tests.support.operator_fakes import MemoryReplays, MemoryView


class Stopping(Event):
    """The stop event of a worker; a wait moves the clock of its world."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def wait(self, timeout: float | None = None) -> bool:
        """Lets the time pass; returns whether the worker has to stop."""
        if timeout:
            self._world.waited.append(timeout)
            self._world.now += timedelta(seconds=timeout)
        return self.is_set()


@dataclass
class World:
    """One worker with its store, queue, provider and clock."""

    calls: ThreadPoolExecutor
    now: datetime = NOW
    queue: MemoryQueue = field(default_factory=MemoryQueue)
    provider: ScriptedProvider = field(default_factory=ScriptedProvider)
    admission: AdmitAll = field(default_factory=AdmitAll)
    waited: list[float] = field(default_factory=list)
    store: MemoryStore = field(init=False)
    context: AttemptContext = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self._providers: dict[ProviderName, Provider] = {
            ProviderName.STRIPE: self.provider
        }
        self.context = AttemptContext(
            store=self.store,
            queue=self.queue,
            providers=lambda account: self._providers[account.provider],
            admission=self.admission,
            executors={name: self.calls for name in ProviderName},
            clock=self.clock,
            jitter=lambda: 1.0,
            leased_ids=set(),
            stopping=Stopping(self),
        )

    def clock(self) -> datetime:
        """The time, here and at the store."""
        return self.now

    def put(self, provider: Provider) -> None:
        """Puts ``provider`` in Stripe's place."""
        self._providers[ProviderName.STRIPE] = provider

    def script(self, *acts: Act, method: str = "pm_card_visa") -> None:
        """Has Stripe do ``acts`` for the next sends of ``method``."""
        self.provider = ScriptedProvider({method: acts})
        self.put(self.provider)

    def insert(self, *payments: Payment) -> list[str]:
        """Stores new payments; returns their ids."""
        return [one.id for one in insert_all(self.store, payments)]

    def attempt(self, *ids: str) -> dict[str, AttemptResult]:
        """Runs ``ids`` to the end; returns the settled results by id."""
        groups = list(run(ids, self.context))
        return {one.payment.id: one for group in groups for one in group}

    def stored(self, payment_id: str) -> Payment:
        """The payment as it is stored now."""
        found = self.store.get(SHOP, payment_id)
        assert found is not None
        return found


@pytest.fixture(scope="package")
def calls() -> Iterator[ThreadPoolExecutor]:
    """The threads that carry provider calls."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def world(calls: ThreadPoolExecutor) -> World:
    """A fresh world."""
    return World(calls)


@pytest.fixture
def operator_context(world: World) -> OperatorContext:
    """The operator's context of the world."""
    return OperatorContext(
        view=MemoryView(world.store),
        store=world.store,
        replays=MemoryReplays(world.clock),
        queue=world.queue,
        clock=world.clock,
    )


def die_after_the_call(world: World, payment_id: str) -> Send:
    """Returns the send of a worker that dies between its call and the settle."""
    dying = world.store.leased_by("dead")
    [found] = dying.load_due([payment_id])
    body = world.provider.prepare(found, found.first_operation)
    sent = sending(found, now=world.now, body=body)
    [won] = dying.claim_many([sent])
    world.provider.send(won)
    assert won.first_operation.send is not None
    return won.first_operation.send
