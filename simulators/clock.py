"""The simulator's clock, which can be moved forward."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Final

#: One move of the clock may not pass ten years, in seconds: dates stay printable.
MAX_ADVANCE: Final = 10 * 365 * 86400.0


class Clock:
    """Real time plus an offset, and scheduled work.

    Due work runs before each API call and at each advance, never by a timer, so
    state changes only while a request is handled.
    """

    def __init__(self) -> None:
        self.offset = 0.0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def now(self) -> float:
        """Return seconds since the Unix epoch, by the simulator's clock."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Move forward, then run the due actions.

        Raises ``ValueError`` for a negative step or one over ``MAX_ADVANCE``.
        """
        if not 0 <= seconds <= MAX_ADVANCE:
            raise ValueError(
                f"advance_seconds must be between 0 and {int(MAX_ADVANCE)}"
            )
        self.offset += seconds
        self.run_due()

    def schedule(self, delay: float, action: Callable[[], None]) -> None:
        """Run ``action`` once ``delay`` seconds have passed on this clock."""
        heapq.heappush(self._agenda, (self.now() + delay, next(self._order), action))

    def run_due(self) -> None:
        """Run, in order, every scheduled action whose time has come."""
        while self._agenda and self._agenda[0][0] <= self.now():
            heapq.heappop(self._agenda)[2]()


def rfc3339(at: float) -> str:
    """Format seconds since the epoch as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
