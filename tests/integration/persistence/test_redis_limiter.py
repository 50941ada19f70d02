"""Tests of the shared limiter, with and without Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from local_stack import embedded_servers
from persistence import redis_limiter
from persistence.redis_limiter import RedisRateLimiter
from runtime import processes
from runtime.queue.wakeups import connect_redis
from runtime.settings import Settings
from tests.suites.limiter import (
    BURST,
    RATES,
    STRIPE,
    LimiterSetup,
    LimiterSuite,
    limiter,
)

__all__ = ["limiter"]

BUCKET = f"payments:limit:{STRIPE}"
#: Workers that share the rate without Redis.
WORKERS = 4


class _Redis:
    """Limiters on a real server; buckets are moved to pass time."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._redis = connect_redis(settings)

    def limiter(self) -> RedisRateLimiter:
        redis = connect_redis(self.settings)
        return RedisRateLimiter(redis, RATES.__getitem__, workers=lambda: WORKERS)

    def pass_time(self, seconds: float) -> None:
        for key in self._redis.scan_iter("payments:limit:*"):
            if key.endswith(b":paused"):
                left: Any = self._redis.pttl(key)
                self._redis.pexpire(key, int(left - seconds * 1_000))
            else:
                self._redis.incrby(key, -int(seconds * 1_000_000))


@pytest.fixture
def setup(redis_database: str) -> LimiterSetup:
    """Limiters with full buckets."""
    return _Redis(replace(Settings(), redis_url=redis_database))


class TestRedisLimiter(LimiterSuite):
    """The suite of all limiters."""


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[embedded_servers.Server]:
    """A Redis for this test that is not started yet."""
    yield embedded_servers.redis(tmp_path, processes.free_port())


def redis_now(redis: Redis) -> int:
    """Redis's clock in microseconds."""
    seconds, microseconds = redis.time()
    return int(seconds) * 1_000_000 + int(microseconds)


def test_many_processes_take_from_one_bucket(setup: LimiterSetup) -> None:
    several = [setup.limiter() for _ in range(8)]
    began = time.monotonic()
    with ThreadPoolExecutor(len(several)) as pool:
        taken = list(pool.map(lambda one: one.acquire(STRIPE, 3, 0.0), several))
    passed = time.monotonic() - began
    granted = sum(one.granted for one in taken)
    assert BURST <= granted <= BURST + 1 + passed * RATES[STRIPE]


def test_a_pause_is_shared_by_all_processes(setup: LimiterSetup) -> None:
    one, other = setup.limiter(), setup.limiter()
    one.pause(STRIPE, 30.0)
    assert other.acquire(STRIPE, 1, 0.25).granted == 0


def test_a_flushed_redis_grants_one_extra_burst_and_a_bucket_expires(
    setup: LimiterSetup, redis_database: str
) -> None:
    limiter, redis = setup.limiter(), Redis.from_url(redis_database)
    limiter.acquire(STRIPE, BURST, 0.0)
    redis.flushall()
    redis.script_flush()
    assert limiter.acquire(STRIPE, 32, 0.0).granted == BURST
    [key] = redis.keys("payments:limit:*")
    remaining = redis.pttl(key)
    assert isinstance(remaining, int) and 0 < remaining <= 251
    redis.close()


def test_a_list_is_deleted_and_the_bucket_counted_anew(
    setup: LimiterSetup, redis_database: str
) -> None:
    limiter = setup.limiter()
    with Redis.from_url(redis_database) as redis:
        redis.lpush(BUCKET, "no bucket")
        # The first answer is this process's share: a quarter of the rate.
        assert limiter.acquire(STRIPE, 32, 0.0).granted == 1
        assert limiter.acquire(STRIPE, 32, 0.0).granted == BURST
        assert redis.type(BUCKET) == b"string"


#: Microseconds, as seen by Redis's clock.
HOUR = 3600 * 1_000_000


@pytest.mark.parametrize("ahead", [2_000_000, HOUR, 240 * HOUR, -HOUR])
def test_a_bucket_fuller_than_the_maximum_is_empty(
    setup: LimiterSetup, redis_database: str, ahead: int
) -> None:
    """A forged value, or a real one after Redis's clock was set back."""
    limiter = setup.limiter()
    with Redis.from_url(redis_database) as redis:
        redis.set(BUCKET, redis_now(redis) + ahead)
        assert limiter.acquire(STRIPE, 32, 0.0).granted == BURST
        assert limiter.acquire(STRIPE, 32, 0.0).granted in (
            0,
            1,
        ), "it is a bucket again"


@pytest.mark.parametrize("text", ["no bucket", "nan", "inf", "-inf", "1e300", ""])
def test_a_malformed_time_is_an_empty_bucket(
    setup: LimiterSetup, redis_database: str, text: str
) -> None:
    limiter = setup.limiter()
    with Redis.from_url(redis_database) as redis:
        redis.set(BUCKET, text)
    assert limiter.acquire(STRIPE, 32, 0.0).granted == BURST
    assert limiter.acquire(STRIPE, 32, 0.0).granted in (0, 1)


def test_a_pause_longer_than_the_maximum_is_ignored(
    setup: LimiterSetup, redis_database: str
) -> None:
    limiter = setup.limiter()
    with Redis.from_url(redis_database) as redis:
        for forged in ({}, {"ex": 864_000}):
            redis.set(f"{BUCKET}:paused", "", **forged)
            assert limiter.acquire(STRIPE, 1, 0.25).granted == 1
    limiter.pause(STRIPE, 3600.0)
    assert (
        limiter.acquire(STRIPE, 1, 0.25).granted == 0
    ), "our pauses are cut to the maximum"


def test_a_pause_in_redis_lasts_a_few_seconds_at_most(
    setup: LimiterSetup,
) -> None:
    limiter = setup.limiter()
    limiter.pause(STRIPE, 50.0)
    taken = limiter.acquire(STRIPE, 32, 0.25)
    assert (taken.granted, taken.retry_in) == (0, redis_limiter.MAX_RETRY_IN)


def test_each_process_takes_its_share_without_redis(
    own_redis: embedded_servers.Server,
) -> None:
    settings = replace(Settings(), redis_url=own_redis.url)
    now, counted = [1000.0], threading.Event()

    def workers() -> int:
        counted.set()
        return WORKERS

    limiter = RedisRateLimiter(
        connect_redis(settings),
        RATES.__getitem__,
        workers=workers,
        clock=lambda: now[0],
    )
    with embedded_servers.running(own_redis):
        assert limiter.acquire(STRIPE, 32, 0.0).granted == BURST
        assert not counted.is_set()
    # A quarter of 20 a second allows one at once, the smallest bucket.
    assert limiter.acquire(STRIPE, 32, 0.0).granted == 1
    assert counted.is_set()
    now[0] += redis_limiter.REDIS_BACKOFF / 2
    assert limiter.acquire(STRIPE, 32, 0.0).granted == 1
    with embedded_servers.running(own_redis), Redis.from_url(own_redis.url) as redis:
        redis.flushall()  # a bucket that was full may still be full
        assert limiter.acquire(STRIPE, 32, 0.0).granted == 0, "it is unchanged"
        now[0] += redis_limiter.REDIS_BACKOFF
        assert limiter.acquire(STRIPE, 32, 0.0).granted == BURST


def test_a_pause_that_redis_did_not_store_is_kept_locally(
    own_redis: embedded_servers.Server,
) -> None:
    settings = replace(Settings(), redis_url=own_redis.url)
    limiter = RedisRateLimiter(
        connect_redis(settings), RATES.__getitem__, workers=lambda: 1
    )
    limiter.pause(STRIPE, 30.0)
    taken = limiter.acquire(STRIPE, 1, 0.25)
    assert taken.granted == 0 and taken.retry_in > 25
