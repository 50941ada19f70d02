"""Limiter: one bucket an account in Redis, and a share of it where Redis is away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import RedisError, ResponseError

from domain import rate_limit
from domain.rate_limit import TokenGrant

log = logging.getLogger(__name__)

#: Seconds that a broken Redis is left alone before it is asked again.
REDIS_BACKOFF: Final = 1.0
#: Seconds that the number of workers is believed, where Redis is away.
WORKER_COUNT_TTL: Final = 5.0
_MILLISECONDS: Final = 1_000
_MICROSECONDS: Final = 1_000_000

#: Seconds by which Redis may postpone a payment in MongoDB. The next look finds out
#: whether it still says so; whoever can write to Redis delays nothing for longer.
MAX_BUCKET_AGE: Final = 5.0

#: ``domain.rate_limit.take`` by Redis's own clock, in microseconds. The first key
#: holds the moment until which the bucket is full, and ends with it. The second key
#: lives as long as a pause. A bucket that is fuller than ours ever get (a forged
#: value, a clock that was set back) is empty, and a pause that is longer than ours
#: is none.
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
#: ``domain.rate_limit.pause``, likewise, in milliseconds.
_PAUSE: Final = """
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[2], '', 'PX', ARGV[1])
end
"""


class LocalRateLimiter:
    """A RateLimiter for one process alone.

    ``rates`` gives an account's calls a second by its id, 0: no limit; it never raises.
    """

    def __init__(
        self,
        rates: Callable[[str], float],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates = rates
        self._clock = clock
        self._full_until: dict[str, float] = {}  # one an account
        self._lock = threading.Lock()

    def acquire(
        self, account: str, wanted: int, within: float, *, share: float = 1.0
    ) -> TokenGrant:
        """See RateLimiter. ``share`` is this process's part of the rate."""
        rate = self._rates(account) * share  # may be read: others do not wait for it
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
    """A RateLimiter for all processes on ``redis``; ``rates`` as with LocalRateLimiter.

    Where that is away, each takes its share: one part of as many as ``workers`` counts,
    which is asked every few seconds then and must not raise.
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
        found = self._ask(
            self._take,
            account,
            wanted,
            rate_limit.token_interval(rate) * _MICROSECONDS,
            (within + burst) * _MICROSECONDS,
            (rate_limit.MAX_LEAD + burst) * _MICROSECONDS,
            (rate_limit.MAX_PAUSE + burst) * _MICROSECONDS,
        )
        if found is None:
            return self._local.acquire(account, wanted, within, share=self._our_share())
        granted, full_for = found
        taken = TokenGrant.from_bucket(
            wanted, granted, full_for=full_for / _MICROSECONDS, rate=rate
        )
        return replace(taken, retry_in=min(taken.retry_in, MAX_BUCKET_AGE))

    def pause(self, account: str, by: float) -> None:
        """See RateLimiter; kept here as well, should Redis go away or forget."""
        by = min(by, rate_limit.MAX_PAUSE)
        self._local.pause(account, by)
        full_for = by + rate_limit.burst_seconds(self._rates(account))
        self._ask(self._pause, account, int(full_for * _MILLISECONDS))

    def _ask(self, script: Script, account: str, *numbers: float) -> Any:
        """What the script answers; None where Redis is away, or was just now."""
        if self._clock() < self._away_until:
            return None
        bucket = f"payments:limit:{account}"
        keys = [bucket, f"{bucket}:paused"]
        try:
            try:
                # redis-py types every answer as one that may also be awaited.
                return script(keys=keys, args=numbers) or ()
            except ResponseError:
                # No bucket, whatever it is: without it the account begins with a burst.
                self._redis.delete(*keys)
                log.error("limit_deleted", extra={"account": account})
                return None
        except RedisError as error:
            self._away_until = self._clock() + REDIS_BACKOFF
            log.warning("limit_not_shared", extra={"error": type(error).__name__})
            return None

    def _our_share(self) -> float:
        now = self._clock()
        if now >= self._share_until:
            self._share_until = now + WORKER_COUNT_TTL
            self._share = 1 / max(1, self._workers())
        return self._share
