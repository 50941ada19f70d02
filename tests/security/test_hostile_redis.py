"""An attacker with write access to Redis delays payments by seconds at most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from redis import Redis

from application import attempt
from local_stack.initialise import initialise
from runtime import container
from runtime.settings import Settings
from tests.suites.samples import SHOP
from tests.support.worker_processes import fleet, submitted, work_off

BUCKET = "payments:limit:stripe"
DAYS = timedelta(days=10)
#: The latest due time: the longest accepted delay from Redis, and the jitter.
SOON = timedelta(seconds=11)

Forge = Callable[["Redis"], object]


def _microseconds(redis: Redis, ahead: timedelta) -> int:
    seconds, microseconds = redis.time()
    return int((seconds + ahead.total_seconds()) * 1_000_000) + int(microseconds)


FORGERIES: dict[str, Forge] = {
    "ten days": lambda redis: redis.set(BUCKET, _microseconds(redis, DAYS)),
    "two seconds": lambda redis: redis.set(
        BUCKET, _microseconds(redis, timedelta(seconds=2))
    ),
    "text": lambda redis: redis.set(BUCKET, "no bucket"),
    "infinity": lambda redis: redis.set(BUCKET, "inf"),
    "a list": lambda redis: redis.lpush(BUCKET, "x"),
    "a hash": lambda redis: redis.hset(BUCKET, "x", "y"),
    "an endless pause": lambda redis: redis.set(f"{BUCKET}:paused", "x"),
    "a pause of days": lambda redis: redis.set(f"{BUCKET}:paused", "x", ex=DAYS),
    "a pause that is a list": lambda redis: redis.lpush(f"{BUCKET}:paused", "x"),
    "a pause of a minute": lambda redis: redis.set(f"{BUCKET}:paused", "x", ex=60),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_limit_postpones_no_payment_for_more_than_seconds(
    settings: Settings, forge: Forge
) -> None:
    settings = replace(settings, stripe_rate=100)
    initialise(settings)
    with (
        fleet(settings, with_admission=True) as workers,
        Redis.from_url(settings.redis_url) as redis,
    ):
        store = workers[0].store
        ids = submitted(store, 40)
        for context in workers:
            forge(redis)
            for _ in attempt.run(ids[:8], context):
                pass
        assert _latest(workers[0], ids) <= container.clock() + SOON
        redis.flushdb()
        work_off(ids, workers)
        assert store.find_settled(ids) == set(ids)


def _latest(context: attempt.AttemptContext, ids: list[str]) -> datetime:
    """When the last of the payments is due."""
    found = [context.store.get(SHOP, one) for one in ids]
    return max(one.due_at for one in found if one and one.due_at)
