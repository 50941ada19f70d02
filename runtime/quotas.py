"""Quotas of requests for keys, merchants and addresses.

Each process counts for itself, so that no request waits for Redis. A thread shares
counts above a tenth of the quota twice a second. A quota can therefore be exceeded, in
each process, by a tenth of it and by the requests of half a second. Without Redis each
process applies the quota to its own count.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Final

from redis import Redis

from application.logs import get_logger
from runtime import settings_checks as checks

if TYPE_CHECKING:
    from limits.storage import RedisStorage

log = get_logger(__name__)

#: Names counted in one window; further names are not counted. A name takes some hundred
#: bytes.
MAX_NAMES: Final = 20_000
#: A process counts one part in so many of a quota before it shares the count. No value
#: in Redis, forged or true, makes it refuse a request within that part.
UNSHARED_PART: Final = 10
#: Seconds between two times that a process shares its counts, and names each time.
SHARE_PERIOD: Final = 0.5
MAX_SHARED: Final = 1_000


class QuotaName(StrEnum):
    """The kind of requester that a quota counts."""

    KEY = "key"  #: an API key's
    MERCHANT = "merchant"  #: all keys of a merchant
    ADDRESS = "address"  #: without a valid key, of one network address
    WEBHOOKS = "webhooks"  #: webhooks, of one network address


@dataclass(frozen=True, slots=True)
class Quota:
    """``amount`` requests in each window of ``seconds``."""

    name: str
    amount: int
    seconds: int

    @classmethod
    def parse(cls, name: str, text: str) -> Quota | None:
        """Parses a setting; None means off. Raises ValueError."""
        found = checks.parse_quota(text)
        return None if found is None else cls(name, *found)


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a quota is left in the current window."""

    quota: Quota
    used: int
    resets_in: int  #: seconds until the window ends, at least one

    @property
    def remaining(self) -> int:
        """Requests left in the window."""
        return max(0, self.quota.amount - self.used)

    @property
    def is_exceeded(self) -> bool:
        """Whether the last request was over the quota."""
        return self.used > self.quota.amount


@dataclass(slots=True)
class _Count:
    own: int = 0  #: of this process
    shared: int = 0  #: the part of ``own`` that Redis has
    others: int = 0  #: of all other processes, by the last answer of Redis


class QuotaCounter:
    """Counts names against one quota; thread-safe."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self._lock = threading.Lock()
        self._window = -1
        self._counts: dict[str, _Count] = {}

    def hit(self, name: str, now: float, *, requests: int = 1) -> Usage:
        """Counts ``requests`` of ``name``; 0 only reads. ``now`` is Unix time."""
        window = int(now // self.quota.seconds)
        reset_in = max(1, round((window + 1) * self.quota.seconds - now))
        with self._lock:
            if window != self._window:
                self._window, self._counts = window, {}
            count = self._counts.get(name)
            if count is None:
                count = _Count()
                if requests and len(self._counts) < MAX_NAMES:
                    self._counts[name] = count
            count.own += requests
            return Usage(self.quota, count.own + count.others, reset_in)

    def unshared(self) -> tuple[int, Mapping[str, int]]:
        """The window, and its counts by name that Redis does not have yet."""
        least = self.quota.amount // UNSHARED_PART
        with self._lock:
            found = (
                (name, count.own - count.shared)
                for name, count in self._counts.items()
                if count.own > least and count.own > count.shared
            )
            return self._window, dict(islice(found, MAX_SHARED))

    def record_shared(self, window: int, name: str, requests: int, total: int) -> None:
        """Records that Redis took ``requests`` of ``name`` and now has ``total``."""
        with self._lock:
            count = self._counts.get(name)
            if window == self._window and count is not None:
                count.shared += requests
                count.others = max(0, total - count.shared)


class Quotas:
    """The quotas of a deployment, and the thread that shares their counts.

    ``texts`` are the settings by the quota's name; ``clock`` gives Unix time.
    """

    def __init__(
        self,
        texts: Mapping[QuotaName, str],
        redis: Redis,
        *,
        clock: Callable[[], float],
        share_period: float = SHARE_PERIOD,
    ) -> None:
        parsed = {name: Quota.parse(name, text) for name, text in texts.items()}
        self._counters = {
            name: QuotaCounter(quota) for name, quota in parsed.items() if quota
        }
        self._redis = redis
        self._clock = clock
        self._share_period = share_period
        self._starting = threading.Lock()
        self._sharer: threading.Thread | None = None

    def hit(self, quota: QuotaName, name: str) -> Usage | None:
        """Counts a request of ``name``; None if the quota is off."""
        return self._count(quota, name, 1)

    def read_usage(self, quota: QuotaName, name: str) -> Usage | None:
        """The usage of ``name``; None if the quota is off."""
        return self._count(quota, name, 0)

    def _count(self, quota: QuotaName, name: str, requests: int) -> Usage | None:
        counter = self._counters.get(quota)
        if counter is None:
            return None
        usage = counter.hit(name, self._clock(), requests=requests)
        if usage.used > counter.quota.amount // UNSHARED_PART and self._sharer is None:
            self._start()
        return usage

    def _start(self) -> None:
        """Starts the thread on first use, because a thread does not survive a fork."""
        with self._starting:
            if self._sharer is None:
                self._sharer = threading.Thread(
                    target=self._share, name="quotas", daemon=True
                )
                self._sharer.start()

    def _share(self) -> None:
        pause = threading.Event()
        failing = False
        while not pause.wait(self._share_period):
            try:
                self.share_once()
            # After any error this process continues with its own counts.
            except Exception as error:
                if not failing:  # one line per outage
                    name = type(error).__name__
                    log.warning("quotas_not_shared", error=name)
                failing = True
            else:
                if failing:
                    log.info("quotas_shared_again")
                failing = False

    def share_once(self) -> None:
        """Sends new counts to Redis and reads the totals. Raises errors of Redis."""
        storage = self._storage
        for counter in self._counters.values():
            window, counted = counter.unshared()
            for name, requests in counted.items():
                key = f"{counter.quota.name}:{name}:{window}"
                expiry = 2 * counter.quota.seconds
                total = storage.incr(key, expiry, amount=requests)
                counter.record_shared(window, name, requests, total)

    @cached_property
    def _storage(self) -> RedisStorage:
        # Slow to import, and needed only in a process with many requests.
        from limits.storage import RedisStorage

        return RedisStorage(
            "redis://",
            connection_pool=self._redis.connection_pool,
            key_prefix="payments:quota",
        )
