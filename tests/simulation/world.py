"""Workers, recovery and web processes around one database, and the time they share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

from application.attempt import AttemptContext, run
from application.dispatch import dispatch_due
from domain.account import Account
from domain.errors import Conflict, QueueUnavailable, StoreUnavailable
from domain.payments.operator_actions import Intervention, request_lookup
from domain.payments.routing import Candidate, Routes
from domain.payments.submission import ProviderName
from tests.simulation.chance import Chance, Healthy
from tests.simulation.dashboard import Dashboard
from tests.simulation.oracle import Oracle
from tests.simulation.ports import Inline, LossyQueue, WatchedStore
from tests.simulation.provider import SimulatedProvider
from tests.simulation.scheduler import Actor, Process, Scheduler, Violation
from tests.suites.samples import NOW, SHOP
from tests.support.fakes import MemoryQueue, AdmitAll
from tests.support.memory_store import MemoryStore
from tests.support.operator_fakes import MemoryReplays

#: Recovery looks that often.
_BEAT: Final = timedelta(seconds=1)
#: Rounds in which all must be quiet once nothing goes wrong any more.
_ROUNDS: Final = 2_000
_INLINE: Final = Inline()
#: What was refunded in a dashboard has come back by then, if it does.
_LATER: Final = timedelta(days=1)


class World:
    """One history: everything there is, and who acts in it."""

    def __init__(
        self,
        provider: ProviderName,
        chance: Chance,
        *,
        workers: int = 2,
        crash_at: Collection[int] = (),
        onward: ProviderName | None = None,
    ) -> None:
        """``onward``: whose is the account that payments may go on to, if there is."""
        self.now = NOW
        self.chance = chance
        self.scheduler = Scheduler(crash_at)
        self.table = MemoryStore(self.clock)
        self.queue = MemoryQueue()
        self.accounts = [Account.own(provider)]
        if onward is not None:
            self.accounts.append(Account("acct_onward", onward))
        moved = dict[str, int]()
        self.providers = {
            account.id: SimulatedProvider(
                account,
                moved=moved,
                scheduler=self.scheduler,
                chance=chance,
                clock=self.clock,
                arrived=lambda payment, call: self.oracle.arrived(payment, call),
            )
            for account in self.accounts
        }
        self.provider = self.providers[provider]
        self.oracle = Oracle(self.providers, moved)
        self.admission = AdmitAll()
        self.replays = MemoryReplays(self.clock)
        self.dashboard: Dashboard | None = None  #: in which a person acts without us
        self.workers = [Process(f"worker{one}") for one in range(1, workers + 1)]
        self._spawned = workers
        self._ids = 0

    def clock(self) -> datetime:
        """The database's time, and the providers'."""
        return self.now

    @property
    def routes(self) -> Routes:
        """What the merchant has chosen."""
        if len(self.accounts) == 1:
            return Routes()
        first, then = self.accounts
        both = (Candidate(first), Candidate(then, weight=0))
        return Routes(both, decline_codes=("declined",))

    def has(self, chance: Chance) -> None:
        """Lets ``chance`` decide from now on."""
        self.chance = chance
        for provider in self.providers.values():
            provider.chance = chance

    def advance(self, by: timedelta) -> None:
        """Lets time pass."""
        self.now += by
        self.scheduler.log.append(("time", f"+{by}"))

    @property
    def wakeups(self) -> LossyQueue:
        """The queue as processes reach it."""
        return LossyQueue(
            self.queue, scheduler=self.scheduler, chance=lambda: self.chance
        )

    def start(self, process: Process, task: Callable[[], object]) -> Actor:
        """``task``, which ``process`` gives up where the database or broker is away."""

        def attempted() -> None:
            try:
                task()
            except (StoreUnavailable, QueueUnavailable):
                pass

        return self.scheduler.start(process.name, process, attempted)

    def store_of(self, process: Process) -> WatchedStore:
        """The database as ``process`` reaches it."""
        return WatchedStore(
            self.table.leased_by(process.name),
            scheduler=self.scheduler,
            chance=lambda: self.chance,
            oracle=self.oracle,
        )

    def work(self, worker: int, ids: list[str]) -> Actor:
        """A worker process gets a message of ``ids``."""
        process = self._living(worker)
        tools = AttemptContext(
            store=self.store_of(process),
            providers=lambda account: self.providers[account.id],
            admission=self.admission,
            executors=dict.fromkeys(ProviderName, _INLINE),
            clock=self._clock_of(process),
            jitter=self.chance.fraction,
            leased_ids=process.held,
        )
        return self.start(process, lambda: list(run(ids, tools)))

    def beat(self, worker: int) -> Actor:
        """A worker process renews its leases."""
        process = self._living(worker)
        store, held = self.store_of(process), list(process.held)
        return self.start(process, lambda: store.renew_leases(held))

    def recover(self) -> Actor:
        """Recovery notifies the workers of due payments."""
        process = Process("recovery")
        store = self.store_of(process)
        return self.start(
            process, lambda: dispatch_due(store=store, queue=self.wakeups)
        )

    def crash(self, worker: int) -> None:
        """A worker process dies; another one takes its place."""
        self.scheduler.crash(self.workers[worker])
        self._living(worker)

    def finish(self, *actors: Actor) -> None:
        """Lets ``actors``, or all there are, go on to their ends, one by one."""
        for actor in actors or list(self.scheduler.actors):
            while not actor.turns.dead and actor in self.scheduler.actors:
                self.scheduler.resume(actor)

    def heal(self) -> None:
        """Nothing goes wrong any more; time passes until nothing is owed."""
        self.has(Healthy())
        self.admission.granted = None
        self.admission.open.clear()
        for one in self.providers.values():
            one.bank.decide()
        self.finish()
        compared = self.dashboard is None
        for _ in range(_ROUNDS):
            due = self.table.next_due()
            if due is None:
                for provider in self.providers.values():
                    provider.settle()
                if compared:
                    return
                compared = True
                self.finish(self.compare())
                continue
            self.now = max(self.now + _BEAT, due)
            self.finish(self.recover())
            self.finish(self.work(0, self.queue.take(1000)))
        raise Violation("it never comes to rest")

    def others_act(self) -> None:
        """Somebody does something in the dashboard of an account."""
        if self.dashboard is not None:
            for account, provider in self.providers.items():
                done = self.dashboard.act(provider.bank)
                if done is not None:
                    self.scheduler.log.append((f"dashboard of {account}", done))

    def compare(self) -> Actor:
        """A comparison finds external changes, and makes lookups of the payments due.

        What comes back later than it has come back by then.
        """
        self.now += _LATER
        for provider in self.providers.values():
            provider.bank.pass_time()
        process = Process("comparison")
        store, who = self.store_of(process), Intervention("reconciliation", "differs")

        def ask_for_looks() -> None:
            for payment in list(self.oracle.known.values()):
                try:
                    step = request_lookup(
                        payment, payment.first_operation, who, now=self.now
                    )
                except Conflict:
                    continue
                store.amend(step)

        return self.start(process, ask_for_looks)

    def judge(self) -> None:
        """Raises Violation where a promise was broken."""
        self.oracle.judge(
            {
                one: self.table.load_timeline(SHOP, one) or []
                for one in self.oracle.known
            }
        )

    def new_id(self, kind: str) -> str:
        """An id, later ones are higher."""
        self._ids += 1
        return f"{kind}_{self._ids}"

    def _living(self, worker: int) -> Process:
        """The process in this place; a fresh one where it is dead."""
        process = self.workers[worker]
        if process.dead:
            self._spawned += 1
            process = Process(f"worker{self._spawned}")
            self.workers[worker] = process
        return process

    def _clock_of(self, process: Process) -> Callable[[], datetime]:
        if not process.skew:
            return self.clock
        skew = timedelta(seconds=process.skew)
        return lambda: self.now + skew
