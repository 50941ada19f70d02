"""Rate limiters: one bucket per account in Redis, or a share of it without Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import RedisError, ResponseError

from application.logs import get_logger
from domain import rate_limit
from domain.rate_limit import TokenGrant

log = get_logger(__name__)

#: Seconds without a call to Redis after one failed.
REDIS_BACKOFF: Final = 1.0
#: Seconds that the number of workers is cached.
WORKER_COUNT_TTL: Final = 5.0
_MILLISECONDS: Final = 1_000
_MICROSECONDS: Final = 1_000_000

#: Longest delay in seconds that Redis can cause for a payment. The bucket is read again
#: after it, so forged values in Redis cannot delay payments for longer.
MAX_RETRY_IN: Final = 5.0

#: ``domain.rate_limit.take_tokens`` by Redis's clock, in microseconds. The first key
#: has the time until which the bucket is full, and expires then. The second key exists
#: during a pause. Values that the service never writes (forged ones, or after a clock
#: was set back) count as an empty bucket and as no pause.
_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wanted, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1])) or now
if not (full > now and full <= now + tonumber(ARGV[4])) then
  full = now
end
local pause = redis.call('PTTL', KEYS[2]) * 1000
if pause <= tonumber(ARGV[5]) then
  full = math.max(full, now + pause)
else
  redis.call('DEL', KEYS[2])
end
local room = now + tonumber(ARGV[3]) - full
local granted = 0
if interval > 0 then
  granted = math.max(0, math.min(wanted, math.floor(room / interval + 0.0001)))
elseif room >= 0 then
  granted = wanted
end
local later = full + granted * interval
if later > full then
  local lasts = math.ceil((later - now) / 1000)
  redis.call('SET', KEYS[1], string.format('%.0f', later), 'PX', lasts)
end
return {granted, later - now}
"""
#: ``domain.rate_limit.pause_bucket`` by Redis's clock, in milliseconds.
_PAUSE: Final = """
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[2], '', 'PX', ARGV[1])
end
"""


class LocalRateLimiter:
    """A RateLimiter for a single process.

    ``rates`` returns an account's calls per second (0: no limit) and must not raise.
    """

    def __init__(
        self,
        rates: Callable[[str], float],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates = rates
        self._clock = clock
        self._full_until: dict[str, float] = {}  # by account
        self._lock = threading.Lock()

    def acquire(
        self, account: str, wanted: int, within: float, *, share: float = 1.0
    ) -> TokenGrant:
        """``share`` is this process's part of the rate."""
        rate = self._rates(account) * share  # may read MongoDB, so not under the lock
        with self._lock:
            now = self._clock()
            full_for = max(0.0, self._full_until.get(account, 0.0) - now)
            taken = rate_limit.take_tokens(
                full_for, wanted=wanted, rate=rate, within=within
            )
            self._full_until[account] = now + taken.full_for
        return taken

    def pause(self, account: str, by: float) -> None:
        rate = self._rates(account)
        with self._lock:
            now = self._clock()
            full_for = max(0.0, self._full_until.get(account, 0.0) - now)
            self._full_until[account] = now + rate_limit.pause_bucket(
                full_for, by=by, rate=rate
            )


class RedisRateLimiter:
    """A RateLimiter shared by all processes on ``redis``.

    Without Redis each process limits itself to an equal share of the rate. ``workers``
    returns the number of processes and must not raise; ``rates`` is that of
    LocalRateLimiter.
    """

    def __init__(
        self,
        redis: Redis,
        rates: Callable[[str], float],
        *,
        workers: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates = rates
        self._local = LocalRateLimiter(rates, clock=clock)
        self._redis = redis
        self._take = redis.register_script(_TAKE)
        self._pause = redis.register_script(_PAUSE)
        self._workers = workers
        self._clock = clock
        self._away_until = 0.0
        self._share, self._share_until = 1.0, 0.0

    def acquire(self, account: str, wanted: int, within: float) -> TokenGrant:
        rate = self._rates(account)
        burst, within = rate_limit.burst_seconds(rate), min(within, rate_limit.MAX_LEAD)
        result = self._run(
            self._take,
            account,
            wanted,
            rate_limit.token_interval(rate) * _MICROSECONDS,
            (within + burst) * _MICROSECONDS,
            (rate_limit.MAX_LEAD + burst) * _MICROSECONDS,
            (rate_limit.MAX_PAUSE + burst) * _MICROSECONDS,
        )
        if result is None:
            return self._local.acquire(account, wanted, within, share=self._our_share())
        granted, full_for = result
        taken = TokenGrant.from_bucket(
            wanted, granted, full_for=full_for / _MICROSECONDS, rate=rate
        )
        return replace(taken, retry_in=min(taken.retry_in, MAX_RETRY_IN))

    def pause(self, account: str, by: float) -> None:
        """Pauses the local bucket as well, in case Redis fails or loses its data."""
        by = min(by, rate_limit.MAX_PAUSE)
        self._local.pause(account, by)
        full_for = by + rate_limit.burst_seconds(self._rates(account))
        self._run(self._pause, account, int(full_for * _MILLISECONDS))

    def _run(self, script: Script, account: str, *numbers: float) -> Any:
        """The script's result; None if Redis does not answer or failed just before."""
        if self._clock() < self._away_until:
            return None
        bucket = f"payments:limit:{account}"
        keys = [bucket, f"{bucket}:paused"]
        try:
            try:
                # redis-py types every result as possibly awaitable.
                return script(keys=keys, args=numbers) or ()
            except ResponseError:
                # The keys do not hold a bucket: the account begins with a new one.
                self._redis.delete(*keys)
                log.error("limit_deleted", account=account)
                return None
        except RedisError as error:
            self._away_until = self._clock() + REDIS_BACKOFF
            log.warning("limit_not_shared", error=type(error).__name__)
            return None

    def _our_share(self) -> float:
        now = self._clock()
        if now >= self._share_until:
            self._share_until = now + WORKER_COUNT_TTL
            self._share = 1 / max(1, self._workers())
        return self._share
