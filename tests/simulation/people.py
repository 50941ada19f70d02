"""Clients that repeat their requests, and operators who replay operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from application import operator_actions
from application.accept import Accepted, accept_payment, accept_request
from application.operator_actions import OperatorContext
from domain.errors import (
    Conflict,
    IdempotencyMismatch,
    PaymentNotFound,
    ReferenceInProgress,
    StoreUnavailable,
)
from domain.money import Money
from domain.payments import follow_ups
from domain.payments.operation import Origin
from domain.payments.operator_actions import Evidence, Intervention
from domain.payments.payment import Payment
from domain.payments.submission import (
    CaptureMethod,
    DuplicatePolicy,
    Mode,
    ProviderName,
    Submission,
)
from domain.replays import (
    ItemOutcome,
    ReplayItem,
    ReplaySet,
    ReplayRun,
    Search,
    ReplayStage,
)
from tests.simulation.scheduler import Actor, Process, Scheduler
from tests.simulation.world import World
from tests.suites.samples import SHOP
from tests.support.operator_fakes import MemoryReplays, MemoryView

Asking = Callable[[Payment, Origin], Payment]

#: What every payment is about.
PRICE: Final = Money(100, "USD")

#: Times that a client repeats a request whose answer it did not get.
_TRIES: Final = 3
_REFUSALS: Final = (
    Conflict,
    IdempotencyMismatch,
    PaymentNotFound,
    ReferenceInProgress,
)
_WHO: Final = Intervention("operator", "as the simulation goes")


def submission(
    provider: ProviderName | None,
    *,
    manual: bool,
    several: bool = False,
    reference: str | None = None,
) -> Submission:
    """A payment of 1.00; ``several`` captures of it are wanted."""
    return Submission(
        amount=PRICE,
        provider=provider,
        capture=CaptureMethod.MANUAL if manual else CaptureMethod.AUTOMATIC,
        payment_method="pm_card",
        multicapture=several,
        reference=reference,
        duplicate_policy=DuplicatePolicy.PAID if reference else DuplicatePolicy.NONE,
    )


def capture(world: World, amount: int | None, *, final: bool) -> Asking:
    """Asks for a capture of ``amount``; None: of all."""
    return lambda payment, origin: follow_ups.capture(
        payment,
        amount=amount,
        final=final,
        id=world.new_id("op"),
        origin=origin,
        now=world.now,
    )


def refund(world: World, amount: int | None) -> Asking:
    """Asks for a refund of ``amount``; None: of all."""
    return lambda payment, origin: follow_ups.refund(
        payment,
        amount=amount,
        target=None,
        id=world.new_id("op"),
        origin=origin,
        now=world.now,
    )


def void(world: World) -> Asking:
    """Asks for a void."""
    return lambda payment, origin: follow_ups.void(
        payment, id=world.new_id("op"), origin=origin, now=world.now
    )


def submit(world: World, key: str, asked: Submission, fingerprint: str) -> Actor:
    """A client asks for a payment, again where it hears nothing."""
    process = Process(f"client {key}")
    store = world.store_of(process)
    origin = Origin(key, fingerprint)
    return _client(
        world,
        process,
        origin,
        lambda: accept_payment(
            asked,
            origin,
            scope=SHOP,
            routes=world.routes,
            draw=world.chance.fraction(),
            store=store,
            queue=world.wakeups,
            clock=world.clock,
            new_id=world.new_id,
        ),
    )


def follow_up(
    world: World, key: str, payment_id: str, asking: Asking, fingerprint: str
) -> Actor:
    """A client asks for more to be done with a payment."""
    process = Process(f"client {key}")
    store = world.store_of(process)
    origin = Origin(key, fingerprint)
    return _client(
        world,
        process,
        origin,
        lambda: accept_request(
            payment_id,
            lambda payment: asking(payment, origin),
            origin,
            scope=SHOP,
            store=store,
            queue=world.wakeups,
        ),
    )


def _client(
    world: World, process: Process, origin: Origin, use_case: Callable[[], Accepted]
) -> Actor:
    log = world.scheduler.log

    def ask() -> None:
        for _ in range(_TRIES):
            try:
                accepted = use_case()
            except StoreUnavailable:
                continue
            except _REFUSALS as error:
                log.append((process.name, f"gets {error.code}"))
                return
            key, operation = origin.idempotency_key, accepted.operation.id
            world.oracle.promise(key, origin.fingerprint, operation)
            log.append((process.name, f"gets {operation} accepted"))
            return

    return world.start(process, ask)


def has_replayed(world: World, search: Search) -> Actor:
    """An operator freezes what ``search`` finds, and has it replayed."""
    process = Process("operator")
    desk = _desk(world, process)

    def replay() -> None:
        found = operator_actions.preview_replay(
            search, by=_WHO.by, mode=Mode.TEST, new_id=world.new_id, context=desk
        )
        operator_actions.start_replay(
            found.id, ReplayRun(_WHO.by, _WHO.reason, 10, world.now), context=desk
        )

    return world.start(process, replay)


def carries_out_replays(world: World) -> Actor:
    """The beat goes on with what operators have started."""
    process = Process("beat")
    desk = _desk(world, process)
    return world.start(process, lambda: operator_actions.run_replays(desk))


def resolves(
    world: World, payment_id: str, operation_id: str, found: Evidence
) -> Actor:
    """An operator writes down what the provider's books say of an operation."""
    process = Process("operator")
    desk = _desk(world, process)

    def resolve() -> None:
        try:
            operator_actions.resolve(
                payment_id, operation_id, found, _WHO, context=desk
            )
        except Conflict:
            pass  # it has moved on

    return world.start(process, resolve)


def _desk(world: World, process: Process) -> OperatorContext:
    return OperatorContext(
        view=MemoryView(world.table),
        store=world.store_of(process),
        replays=_WatchedReplays(world.replays, world.scheduler),
        queue=world.wakeups,
        clock=world.clock,
    )


class _WatchedReplays:
    """Replays whose writes pass boundaries."""

    def __init__(self, replays: MemoryReplays, scheduler: Scheduler) -> None:
        self._replays = replays
        self._scheduler = scheduler
        self.get = replays.get
        self.list_items = replays.list_items
        self.count_outcomes = replays.count_outcomes

    def add(self, replay: ReplaySet, items: Sequence[ReplayItem]) -> None:
        """See Replays."""
        self._scheduler.boundary("freezes a set")
        self._replays.add(replay, items)

    def update_stage(self, replay: ReplaySet, *, was: ReplayStage) -> bool:
        """See Replays."""
        self._scheduler.boundary(f"moves a set from {was} to {replay.stage}")
        return self._replays.update_stage(replay, was=was)

    def claim_due(self) -> ReplaySet | None:
        """See Replays."""
        self._scheduler.boundary("takes the turn of a set")
        return self._replays.claim_due()

    def record_outcomes(
        self, replay_id: str, verdicts: Mapping[int, ItemOutcome]
    ) -> None:
        """See Replays."""
        self._scheduler.boundary("marks items of a set")
        self._replays.record_outcomes(replay_id, verdicts)
