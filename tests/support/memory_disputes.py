"""A provider's disputes in memory, and a worker's context for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from application.disputes import DisputeContext
from application.ports.operators import OperatorView
from application.ports.payments import PaymentStore
from domain.errors import OutcomeUnknown, ProviderError
from domain.payments.dispute import DisputeUpdate, DisputeSnapshot
from domain.payments.submission import ProviderName
from tests.support.fakes import AdmitAll


@dataclass
class MemoryDisputes:
    """Disputes by the provider's id; ``raises`` makes every read fail."""

    shown: dict[str, DisputeSnapshot] = field(default_factory=dict)
    raises: ProviderError | None = None
    reads: int = 0

    def read(self, update: DisputeUpdate) -> DisputeSnapshot:
        self.reads += 1
        if self.raises is not None:
            raise self.raises
        if update.ref not in self.shown:
            raise OutcomeUnknown("read_refused")
        return self.shown[update.ref]


@dataclass
class CountedEvents:
    """Records events of disputes in place of metrics."""

    facts: list[tuple[ProviderName, str]] = field(default_factory=list)

    def __call__(self, provider: ProviderName, event: str) -> None:
        self.facts.append((provider, event))


def dispute_context(
    store: PaymentStore,
    disputes: MemoryDisputes,
    clock: Callable[[], datetime],
    *,
    view: OperatorView,
    admission: AdmitAll | None = None,
    count_event: CountedEvents | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> DisputeContext:
    """A context in which every provider has these disputes."""
    return DisputeContext(
        view=view,
        store=store,
        disputes=lambda account: disputes,
        admission=admission or AdmitAll(),
        clock=clock,
        count_event=count_event or CountedEvents(),
        sleep=sleep,
    )
