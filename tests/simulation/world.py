"""Workers, recovery and web processes with one database and one clock."""

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
from tests.simulation.chance import Chance, NoFaults
from tests.simulation.dashboard import Dashboard
from tests.simulation.oracle import Oracle
from tests.simulation.ports import InlineExecutor, LossyQueue, WatchedStore
from tests.simulation.provider import SimulatedProvider
from tests.simulation.scheduler import Actor, Process, Scheduler, Violation
from tests.suites.samples import NOW, SHOP
from tests.support.fakes import MemoryQueue, AdmitAll
from tests.support.memory_store import MemoryStore
from tests.support.operator_fakes import MemoryReplays

#: The interval of recovery.
_BEAT: Final = timedelta(seconds=1)
#: Rounds without faults until all work must have ended.
_ROUNDS: Final = 2_000
_INLINE: Final = InlineExecutor()
#: Longer than the time until an external refund fails.
_LATER: Final = timedelta(days=1)


class World:
    """All processes, providers and data of one history."""

    def __init__(
        self,
        provider: ProviderName,
        chance: Chance,
        *,
        workers: int = 2,
        crash_at: Collection[int] = (),
        second_provider: ProviderName | None = None,
    ) -> None:
        """``second_provider`` has the second account, if there is one."""
        self.now = NOW
        self.chance = chance
        self.scheduler = Scheduler(crash_at)
        self.table = MemoryStore(self.clock)
        self.queue = MemoryQueue()
        self.accounts = [Account.own(provider)]
        if second_provider is not None:
            self.accounts.append(Account("acct_second", second_provider))
        moved = dict[str, int]()
        self.providers = {
            account.id: SimulatedProvider(
                account,
                moved=moved,
                scheduler=self.scheduler,
                chance=chance,
                clock=self.clock,
                on_arrival=lambda payment, call: self.oracle.check_arrival(
                    payment, call
                ),
            )
            for account in self.accounts
        }
        self.provider = self.providers[provider]
        self.oracle = Oracle(self.providers, moved)
        self.admission = AdmitAll()
        self.replays = MemoryReplays(self.clock)
        self.dashboard: Dashboard | None = (
            None  #: external changes, if the history has them
        )
        self.workers = [Process(f"worker{one}") for one in range(1, workers + 1)]
        self._spawned = workers
        self._ids = 0

    def clock(self) -> datetime:
        """The time of the database and of the providers."""
        return self.now

    @property
    def routes(self) -> Routes:
        """The merchant's choice of accounts."""
        if len(self.accounts) == 1:
            return Routes()
        first, then = self.accounts
        both = (Candidate(first), Candidate(then, weight=0))
        return Routes(both, decline_codes=("declined",))

    def use_chance(self, chance: Chance) -> None:
        """Replaces the source of decisions."""
        self.chance = chance
        for provider in self.providers.values():
            provider.chance = chance

    def advance(self, by: timedelta) -> None:
        """Moves the clock forward."""
        self.now += by
        self.scheduler.log.append(("time", f"+{by}"))

    @property
    def wakeups(self) -> LossyQueue:
        """The queue as processes see it, with losses."""
        return LossyQueue(
            self.queue, scheduler=self.scheduler, chance=lambda: self.chance
        )

    def start(self, process: Process, task: Callable[[], object]) -> Actor:
        """Starts ``task``; it ends if the database or the broker is unavailable."""

        def attempted() -> None:
            try:
                task()
            except (StoreUnavailable, QueueUnavailable):
                pass

        return self.scheduler.start(process.name, process, attempted)

    def open_store(self, process: Process) -> WatchedStore:
        """Returns the store of ``process``."""
        return WatchedStore(
            self.table.leased_by(process.name),
            scheduler=self.scheduler,
            chance=lambda: self.chance,
            oracle=self.oracle,
        )

    def work(self, worker: int, ids: list[str]) -> Actor:
        """Starts a worker's attempt at the message ``ids``."""
        process = self._live_process(worker)
        context = AttemptContext(
            store=self.open_store(process),
            queue=self.wakeups,
            providers=lambda account: self.providers[account.id],
            admission=self.admission,
            executors=dict.fromkeys(ProviderName, _INLINE),
            clock=self._clock_of(process),
            jitter=self.chance.fraction,
            leased_ids=process.held,
        )
        return self.start(process, lambda: list(run(ids, context)))

    def renew_leases(self, worker: int) -> Actor:
        """Starts the renewal of a worker's leases."""
        process = self._live_process(worker)
        store, held = self.open_store(process), list(process.held)
        return self.start(process, lambda: store.renew_leases(held))

    def recover(self) -> Actor:
        """Starts recovery, which notifies workers of due payments."""
        process = Process("recovery")
        store = self.open_store(process)
        return self.start(
            process, lambda: dispatch_due(store=store, queue=self.wakeups)
        )

    def crash(self, worker: int) -> None:
        """Crashes a worker process and replaces it."""
        self.scheduler.crash(self.workers[worker])
        self._live_process(worker)

    def run_to_end(self, *actors: Actor) -> None:
        """Runs ``actors``, by default all, to their ends, one by one."""
        for actor in actors or list(self.scheduler.actors):
            while not actor.execution.dead and actor in self.scheduler.actors:
                self.scheduler.resume(actor)

    def heal(self) -> None:
        """Stops all faults, and lets time pass until no work is due."""
        self.use_chance(NoFaults())
        self.admission.granted = None
        self.admission.open_breakers.clear()
        for one in self.providers.values():
            one.bank.refuse_open_actions()
        self.run_to_end()
        compared = self.dashboard is None
        for _ in range(_ROUNDS):
            due = self.table.next_due()
            if due is None:
                for provider in self.providers.values():
                    provider.finish_in_flight()
                if compared:
                    return
                compared = True
                self.run_to_end(self.reconcile())
                continue
            self.now = max(self.now + _BEAT, due)
            self.run_to_end(self.recover())
            self.run_to_end(self.work(0, self.queue.take(1000)))
        raise Violation("work is still due after the last round")

    def act_in_dashboard(self) -> None:
        """Makes a change in the dashboard of each account."""
        if self.dashboard is not None:
            for account, provider in self.providers.items():
                done = self.dashboard.act(provider.bank)
                if done is not None:
                    self.scheduler.log.append((f"dashboard of {account}", done))

    def reconcile(self) -> Actor:
        """Starts a comparison, which makes lookups of all payments due.

        All refunds that fail later have failed by then.
        """
        self.now += _LATER
        for provider in self.providers.values():
            provider.bank.pass_time()
        process = Process("comparison")
        store, intervention = self.open_store(process), Intervention(
            "reconciliation", "differs"
        )

        def request_lookups() -> None:
            for payment in list(self.oracle.known.values()):
                try:
                    step = request_lookup(
                        payment, payment.first_operation, intervention, now=self.now
                    )
                except Conflict:
                    continue
                store.amend(step)

        return self.start(process, request_lookups)

    def judge(self) -> None:
        """Checks the end of the history. Raises Violation if a promise was broken."""
        self.oracle.check_end(
            {
                one: self.table.load_timeline(SHOP, one) or []
                for one in self.oracle.known
            }
        )

    def new_id(self, kind: str) -> str:
        """Returns an id; later ones are higher."""
        self._ids += 1
        return f"{kind}_{self._ids}"

    def _live_process(self, worker: int) -> Process:
        """Returns a worker's process, a new one if it is dead."""
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
