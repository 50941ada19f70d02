"""Breakers shared by several worker processes, on real MongoDB and Redis."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from application.admission import MIN_RETRY_DELAY, SharedAdmissionControl
from domain.circuit_breaker import (
    MIN_FAILURES,
    FIRST_PROBE_DELAY,
    MAX_MISCONFIGURED_PROBE_DELAY,
    PROBE_TIMEOUT,
    TripReason,
)
from domain.errors import Misconfigured, NotSent
from domain.payments.answer import Answer, Verdict
from domain.payments.submission import ProviderName
from local_stack import embedded_servers
from persistence.circuit_breakers import MongoBreakerStore
from persistence.codec import Document
from persistence.redis_limiter import RedisRateLimiter
from runtime import container, processes
from runtime.queue.wakeups import connect_redis
from runtime.settings import Settings
from tests.support.fake_breakers import Charges, Counts

STRIPE = ProviderName.STRIPE
WELL = Answer(Verdict.SUCCEEDED)
#: Processes that share the account.
PROCESSES = 6


class Fleet:
    """The admission control of several workers, each with its own connections."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = container.open_database(settings)
        self.counts = Counts()
        self._clients = [self.database]

    def process(self) -> Charges:
        """The admission control of one more process, without a cache of breakers."""
        database = container.open_database(self.settings)
        self._clients.append(database)
        seconds = iter(range(10**9))
        shared = SharedAdmissionControl(
            breakers=MongoBreakerStore(database),
            limiter=RedisRateLimiter(
                connect_redis(self.settings),
                self.settings.rates().__getitem__,
                workers=lambda: PROCESSES,
            ),
            watch=self.counts,
            by=f"worker-{len(self._clients) - 1}",
            jitter=random.random,
            clock=lambda: float(next(seconds)),
        )
        return Charges(shared)

    def pass_time(self, by: timedelta) -> None:
        """Makes the next probe due earlier."""
        earlier = {"$subtract": ["$probe_at", by // timedelta(milliseconds=1)]}
        self.database.circuit_breakers.update_many(
            {"probe_at": {"$type": "date"}}, [{"$set": {"probe_at": earlier}}]
        )

    def stored(self) -> Document:
        """Stripe's stored breaker."""
        found = self.database.circuit_breakers.find_one({"_id": "stripe"})
        assert found is not None
        return found

    def close(self) -> None:
        """Closes every connection."""
        for one in self._clients:
            one.client.close()


@pytest.fixture
def fleet(settings: Settings) -> Iterator[Fleet]:
    """A fleet on the session's servers."""
    with closing(Fleet(settings)) as running:
        yield running


def admitted_at_once(workers: list[Charges], wanted: int = 8) -> list[int]:
    """The number of calls granted to each process in concurrent requests."""
    with ThreadPoolExecutor(len(workers)) as pool:
        asked = pool.map(lambda one: one.admit(STRIPE, wanted).granted, workers)
        return list(asked)


def fail(workers: Charges) -> None:
    """Records an outage in the process."""
    workers.admit(STRIPE, MIN_FAILURES)
    workers.record(STRIPE, [NotSent()] * MIN_FAILURES)


def test_a_breaker_opens_for_all_processes_and_admits_one_probe_at_a_time(
    fleet: Fleet,
) -> None:
    workers = [fleet.process() for _ in range(PROCESSES)]
    assert admitted_at_once(workers) == [8] * PROCESSES
    fail(workers[0])
    assert admitted_at_once(workers) == [0] * PROCESSES
    for probes in range(1, 4):
        fleet.pass_time(PROBE_TIMEOUT)
        granted = [n for _ in range(5) for n in admitted_at_once(workers)]
        assert sum(granted) == 1, "the others wait for its result or its timeout"
        assert fleet.counts.probes[STRIPE] == fleet.stored()["probe_number"] == probes


def test_a_successful_probe_closes_the_breaker_for_all_processes(fleet: Fleet) -> None:
    workers = [fleet.process() for _ in range(PROCESSES)]
    fail(workers[0])
    fleet.pass_time(PROBE_TIMEOUT)
    [prober] = [one for one in workers if one.admit(STRIPE, 8).granted == 1]
    prober.record(STRIPE, [WELL])
    assert admitted_at_once(workers) == [8] * PROCESSES
    assert [one["state"] for one in fleet.stored()["changes"]] == ["open", "closed"]


def test_a_breaker_opens_once_if_all_processes_see_the_outage(fleet: Fleet) -> None:
    workers = [fleet.process() for _ in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(fail, workers))
    assert fleet.counts.opens == {(STRIPE, TripReason.FAILING): 1}
    assert len(fleet.stored()["changes"]) == 1


def test_refused_credentials_stop_the_account_until_a_probe_succeeds(
    fleet: Fleet,
) -> None:
    workers = [fleet.process() for _ in range(PROCESSES)]
    workers[0].admit(STRIPE, 3)
    workers[0].record(STRIPE, [WELL, Misconfigured("token_refused"), WELL])
    admissions = [one.admit(STRIPE, 8) for one in workers]
    assert {one.granted for one in admissions} == {0}
    for one in admissions:
        assert MIN_RETRY_DELAY <= one.retry_in <= 2 * FIRST_PROBE_DELAY
    fleet.pass_time(MAX_MISCONFIGURED_PROBE_DELAY)
    assert sum(admitted_at_once(workers)) == 1
    assert fleet.stored()["trip_reason"] == "misconfigured"


def test_an_operators_pause_survives_probes_new_workers_and_an_empty_redis(
    fleet: Fleet,
) -> None:
    workers = [fleet.process() for _ in range(PROCESSES)]
    operator = MongoBreakerStore(fleet.database)
    operator.open(STRIPE, trip_reason=TripReason.OPERATOR, reason="audit", by="ann")
    connect_redis(fleet.settings).flushdb()
    fleet.pass_time(timedelta(days=1))
    workers[0].record(STRIPE, [WELL])
    fail(workers[1])
    assert admitted_at_once([*workers, fleet.process()]) == [0] * (PROCESSES + 1)
    stored = fleet.stored()
    assert (stored["trip_reason"], stored["reason"], stored["by"]) == (
        "operator",
        "audit",
        "ann",
    )
    operator.close(STRIPE, reason="done", by="ann")
    assert admitted_at_once(workers) == [8] * PROCESSES


def test_a_breaker_works_without_redis_and_keeps_its_state_without_mongodb(
    settings: Settings, tmp_path: Path
) -> None:
    redis = embedded_servers.redis(tmp_path / "r", processes.free_port())
    mongo = embedded_servers.mongo(tmp_path / "m", processes.free_port())
    settings = replace(
        settings, redis_url=redis.url, mongo_url=mongo.url, stripe_rate=60
    )
    fleet = Fleet(settings)
    workers = fleet.process()
    with embedded_servers.running(mongo):
        with embedded_servers.running(redis):
            assert workers.admit(STRIPE, 30).granted == 30
        # Without Redis: a sixth of 60 a second, within three quarters of one.
        assert 1 <= workers.admit(STRIPE, 30).granted <= 8
        fail(workers)
    assert workers.admit(STRIPE, 30).granted == 0
    with embedded_servers.running(mongo):
        assert fleet.stored()["trip_reason"] == "failing"
        fleet.close()
