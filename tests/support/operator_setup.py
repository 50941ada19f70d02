"""Steps of operators: previews, replays and their outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from application import operator_actions
from application.operator_actions import OperatorContext
from domain.errors import NeedsReview
from domain.payments.event_types import EventType
from domain.payments.operator_actions import Intervention
from domain.payments.payment import Payment
from domain.payments.submission import Mode
from domain.replays import ItemOutcome, ReplaySet, ReplayRun, Search
from runtime import container
from tests.suites.replays import brought
from tests.suites.samples import NOW
from tests.support.memory_store import MemoryStore
from tests.unit.application.conftest import World

OPERATOR: Final = Intervention("key_2", "the bank is back")


class Interrupted(MemoryStore):
    """A store with a concurrent write before each of the first amendments."""

    def __init__(self, store: MemoryStore, times: int) -> None:
        super().__init__(lambda: NOW, table=store._table)
        self._times = times

    def amend(self, payment: Payment) -> Payment | None:
        if self._times:
            self._times -= 1
            [now] = [one for one in self.all_payments() if one.id == payment.id]
            super().amend(
                now.with_event(
                    now.first_operation, EventType.OPERATION_ACCEPTED, now=NOW
                )
            )
        return super().amend(payment)


def preview(context: OperatorContext, search: Search | None = None) -> ReplaySet:
    """Previews a replay of ``search``, by default of all stuck operations."""
    return operator_actions.preview_replay(
        search or Search(),
        by="key_1",
        mode=Mode.TEST,
        new_id=container.new_id,
        context=context,
    )


def run(context: OperatorContext, replay: ReplaySet, *, rate: int = 10) -> ReplaySet:
    """Starts the replay as ``OPERATOR``, with ``rate`` operations a second."""
    asked = ReplayRun(OPERATOR.by, OPERATOR.reason, rate, context.clock())
    return operator_actions.start_replay(replay.id, asked, context=context)


def verdicts(context: OperatorContext, replay: ReplaySet) -> list[ItemOutcome | None]:
    """The outcome of each item."""
    items = context.replays.list_items(replay.id, after=0, limit=100)
    return [item.outcome for item in items]


def reviews(world: World, numbers: Sequence[int]) -> list[str]:
    """Stores a payment in manual review for each number; returns their ids."""
    odd = NeedsReview("odd")
    return [brought(world.store, number, odd).id for number in numbers]
