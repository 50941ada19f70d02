"""The rate limit of an account's API calls."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

#: Largest rate, in calls a second; no client of a simulator is as fast.
MAX_RATE: Final = 100_000
#: Accounts with a count; the longest idle one is forgotten.
MAX_ACCOUNTS: Final = 10_000


class RateLimit:
    """A token bucket per account, by real time: it holds a second's calls.

    Stripe's has the same size (https://stripe.com/blog/rate-limiters).
    """

    def __init__(self, per_second: float = 0.0) -> None:
        self._per_second = 0.0
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.set(per_second)

    @property
    def per_second(self) -> float:
        """Calls a second and account; 0: no limit."""
        return self._per_second

    def set(self, per_second: float) -> None:
        """Set the limit, with full buckets. Raises ``ValueError`` out of bounds."""
        if not 0 <= per_second <= MAX_RATE:
            raise ValueError(f"per_second must be between 0 and {MAX_RATE}")
        self._per_second = float(per_second)
        self._buckets.clear()

    def take(self, account: str) -> float | None:
        """Take a token, or return the seconds until the next one."""
        if not self._per_second:
            return None
        now, most = time.monotonic(), max(1.0, self._per_second)
        tokens, at = self._buckets.pop(account, (most, now))
        tokens = min(most, tokens + (now - at) * self._per_second)
        wait = None if tokens >= 1 else (1 - tokens) / self._per_second
        self._buckets[account] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > MAX_ACCOUNTS:
            self._buckets.popitem(last=False)
        return wait
