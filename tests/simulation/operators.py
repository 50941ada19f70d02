"""Operators who replay and resolve stuck operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from application import operator_actions
from application.operator_actions import OperatorContext
from domain.errors import Conflict
from domain.payments.operator_actions import Evidence, Intervention
from domain.payments.submission import Mode
from domain.replays import (
    ItemOutcome,
    ReplayItem,
    ReplayRun,
    ReplaySet,
    ReplayStage,
    Search,
)
from tests.simulation.scheduler import Actor, Process, Scheduler
from tests.simulation.world import World
from tests.support.operator_fakes import MemoryReplays, MemoryView

_OPERATOR: Final = Intervention("operator", "simulated")


def start_replay(world: World, search: Search) -> Actor:
    """Starts an operator who previews and starts a replay of ``search``."""
    process = Process("operator")
    context = operator_context(world, process)

    def replay() -> None:
        found = operator_actions.preview_replay(
            search,
            by=_OPERATOR.by,
            mode=Mode.TEST,
            new_id=world.new_id,
            context=context,
        )
        operator_actions.start_replay(
            found.id,
            ReplayRun(_OPERATOR.by, _OPERATOR.reason, 10, world.now),
            context=context,
        )

    return world.start(process, replay)


def run_replays(world: World) -> Actor:
    """Starts the beat, which runs the started replays."""
    process = Process("beat")
    context = operator_context(world, process)
    return world.start(process, lambda: operator_actions.run_replays(context))


def resolve_operation(
    world: World, payment_id: str, operation_id: str, found: Evidence
) -> Actor:
    """Starts an operator who resolves an operation by the provider's books."""
    process = Process("operator")
    context = operator_context(world, process)

    def resolve() -> None:
        try:
            operator_actions.resolve(
                payment_id, operation_id, found, _OPERATOR, context=context
            )
        except Conflict:
            pass  # its state has changed meanwhile

    return world.start(process, resolve)


def operator_context(world: World, process: Process) -> OperatorContext:
    return OperatorContext(
        view=MemoryView(world.table),
        store=world.open_store(process),
        replays=WatchedReplays(world.replays, world.scheduler),
        queue=world.wakeups,
        clock=world.clock,
    )


class WatchedReplays:
    """A ReplayStore whose writes pass boundaries."""

    def __init__(self, replays: MemoryReplays, scheduler: Scheduler) -> None:
        self._replays = replays
        self._scheduler = scheduler
        self.get = replays.get
        self.list_items = replays.list_items
        self.count_outcomes = replays.count_outcomes

    def add(self, replay: ReplaySet, items: Sequence[ReplayItem]) -> None:
        self._scheduler.boundary("stores a replay")
        self._replays.add(replay, items)

    def update_stage(self, replay: ReplaySet, *, was: ReplayStage) -> bool:
        self._scheduler.boundary(f"changes a replay from {was} to {replay.stage}")
        return self._replays.update_stage(replay, was=was)

    def claim_due(self) -> ReplaySet | None:
        self._scheduler.boundary("claims a due replay")
        return self._replays.claim_due()

    def record_outcomes(
        self, replay_id: str, verdicts: Mapping[int, ItemOutcome]
    ) -> None:
        self._scheduler.boundary("records outcomes of a replay")
        self._replays.record_outcomes(replay_id, verdicts)
