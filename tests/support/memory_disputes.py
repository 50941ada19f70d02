"""A provider's disputes in memory, and the desk of a worker that reads them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from application.disputes import Desk
from application.ports.operators import OperatorView
from application.ports.payments import PaymentStore
from domain.errors import OutcomeUnknown, ProviderError
from domain.payments.dispute import Hint, Reading
from domain.payments.submission import ProviderName
from tests.support.fakes import Ungated


@dataclass
class MemoryDisputes:
    """Disputes, as a test has them by the provider's id; ``raises`` cuts it off."""

    shown: dict[str, Reading] = field(default_factory=dict)
    raises: ProviderError | None = None
    reads: int = 0

    def read(self, hint: Hint) -> Reading:
        """See Disputes."""
        self.reads += 1
        if self.raises is not None:
            raise self.raises
        if hint.ref not in self.shown:
            raise OutcomeUnknown("read_refused")
        return self.shown[hint.ref]


@dataclass
class Told:
    """Counts facts, as a worker's metrics do."""

    facts: list[tuple[ProviderName, str]] = field(default_factory=list)

    def __call__(self, provider: ProviderName, event: str) -> None:
        self.facts.append((provider, event))


def dispute_desk(
    store: PaymentStore,
    disputes: MemoryDisputes,
    clock: Callable[[], datetime],
    *,
    view: OperatorView,
    gates: Ungated | None = None,
    told: Told | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Desk:
    """A desk for which every provider shows these disputes."""
    return Desk(
        view=view,
        store=store,
        disputes=lambda account: disputes,
        gates=gates or Ungated(),
        clock=clock,
        told=told or Told(),
        sleep=sleep,
    )
