"""Breakers on a real MongoDB, a limit on a real Redis, and gates of both."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

import pytest
from pymongo.database import Database
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from application.ports import Breakers
from domain.breaker import FIRST_REST, Why
from domain.submission import ProviderName
from persistence.breakers import MongoBreakers
from persistence.codec import Document
from providers.limiter import RedisLimiter
from tests.suites.breakers import BreakersSetup, BreakersSuite

STRIPE: Final = ProviderName.STRIPE


class _Mongo:
    """Breakers on a real server; time passes by moving what is due."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def breakers(self) -> Breakers:
        return MongoBreakers(self._database)

    def pass_time(self, by: timedelta) -> None:
        earlier = {"$subtract": ["$probe_at", int(by / timedelta(milliseconds=1))]}
        self._database.gates.update_many(
            {"probe_at": {"$type": "date"}}, [{"$set": {"probe_at": earlier}}]
        )


@pytest.fixture
def shared(payments_db: Database[Document]) -> BreakersSetup:
    payments_db.gates.delete_many({})
    return _Mongo(payments_db)


class TestMongoBreakers(BreakersSuite):
    """The suite of all breakers."""

    def test_of_many_who_want_the_probe_at_once_one_has_it(
        self, shared: BreakersSetup
    ) -> None:
        shared.breakers().open(STRIPE, why=Why.FAILING, reason="r", by="w")
        shared.pass_time(FIRST_REST)
        with ThreadPoolExecutor(8) as threads:
            taken = list(
                threads.map(lambda _: shared.breakers().take_probe(STRIPE), range(8))
            )
        assert sum(gate is not None for gate in taken) == 1


def _limiter(url: str, *, workers: int = 2, rate: float = 50) -> RedisLimiter:
    client = Redis.from_url(
        url,
        socket_connect_timeout=0.5,
        socket_timeout=1.0,
        retry=Retry(NoBackoff(), 0),
    )
    rates = dict.fromkeys(ProviderName, rate)
    return RedisLimiter(client, rates, workers=lambda: workers)


def test_many_processes_together_keep_the_rate(redis_database: str) -> None:
    began, granted = time.monotonic(), 0
    limiters = [_limiter(redis_database) for _ in range(4)]
    while time.monotonic() < began + 1.0:
        granted += sum(one.take(STRIPE, 10, 0.0).granted for one in limiters)
    passed = time.monotonic() - began
    assert 0.8 * 50 * passed <= granted <= 50 * (passed + 0.3) + 1


def test_a_pause_is_felt_by_all(redis_database: str) -> None:
    one, other = _limiter(redis_database), _limiter(redis_database, rate=0)
    one.pause(STRIPE, 30)
    assert other.take(STRIPE, 5, 0.25).granted == 0
    assert other.take(STRIPE, 5, 0.25).again_in > 20
    assert one.take(ProviderName.PAYPAL, 5, 0.25).granted == 5


def test_without_redis_each_takes_its_share(unused_redis: str) -> None:
    limiter = _limiter(unused_redis, workers=10, rate=100)
    taken = limiter.take(STRIPE, 100, 0.0)
    assert 1 <= taken.granted <= 4, "a tenth of the rate, for a quarter of a second"
    limiter.pause(STRIPE, 30)
    assert limiter.take(STRIPE, 100, 0.0).granted == 0


@pytest.fixture
def unused_redis() -> str:
    """An address where no Redis is."""
    return "redis://127.0.0.1:9/0"
