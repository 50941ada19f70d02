"""Breakers as several worker processes have them, on real MongoDB and Redis."""

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
    MISCONFIGURED_PROBE_DELAY,
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
    """Worker processes' breakers; each has connections of its own, and no time to
    wait.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = container.open_database(settings)
        self.counts = Counts()
        self._clients = [self.database]

    def gates(self) -> Charges:
        """Those of one more process, which reads the breakers whenever it is asked."""
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
        """Brings the next probe nearer."""
        earlier = {"$subtract": ["$probe_at", by // timedelta(milliseconds=1)]}
        self.database.circuit_breakers.update_many(
            {"probe_at": {"$type": "date"}}, [{"$set": {"probe_at": earlier}}]
        )

    def stored(self) -> Document:
        """Stripe's breaker as the database has it."""
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


def admitted_at_once(gates: list[Charges], wanted: int = 8) -> list[int]:
    """What each process is granted when all ask at the same moment."""
    with ThreadPoolExecutor(len(gates)) as pool:
        asked = pool.map(lambda one: one.admit(STRIPE, wanted).granted, gates)
        return list(asked)


def fail(gates: Charges) -> None:
    """Has the process meet a provider that is away."""
    gates.admit(STRIPE, MIN_FAILURES)
    gates.record(STRIPE, [NotSent()] * MIN_FAILURES)


def test_one_process_opens_the_gate_for_all_and_one_probe_at_a_time_goes_through(
    fleet: Fleet,
) -> None:
    gates = [fleet.gates() for _ in range(PROCESSES)]
    assert admitted_at_once(gates) == [8] * PROCESSES
    fail(gates[0])
    assert admitted_at_once(gates) == [0] * PROCESSES
    for probes in range(1, 4):
        fleet.pass_time(PROBE_TIMEOUT)
        granted = [n for _ in range(5) for n in admitted_at_once(gates)]
        assert sum(granted) == 1, "the others wait until it is heard of, or dead"
        assert fleet.counts.probes[STRIPE] == fleet.stored()["probe"] == probes


def test_a_probe_closes_the_gate_for_all(fleet: Fleet) -> None:
    gates = [fleet.gates() for _ in range(PROCESSES)]
    fail(gates[0])
    fleet.pass_time(PROBE_TIMEOUT)
    [prober] = [one for one in gates if one.admit(STRIPE, 8).granted == 1]
    prober.record(STRIPE, [WELL])
    assert admitted_at_once(gates) == [8] * PROCESSES
    assert [one["state"] for one in fleet.stored()["changes"]] == ["open", "closed"]


def test_processes_that_all_see_it_fail_open_it_once(fleet: Fleet) -> None:
    gates = [fleet.gates() for _ in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(fail, gates))
    assert fleet.counts.opens == {(STRIPE, TripReason.FAILING): 1}
    assert len(fleet.stored()["changes"]) == 1


def test_refused_credentials_park_the_account_until_a_probe_a_minute_works(
    fleet: Fleet,
) -> None:
    gates = [fleet.gates() for _ in range(PROCESSES)]
    gates[0].admit(STRIPE, 3)
    gates[0].record(STRIPE, [WELL, Misconfigured("token_refused"), WELL])
    admissions = [one.admit(STRIPE, 8) for one in gates]
    assert {one.granted for one in admissions} == {0}
    for one in admissions:
        assert MIN_RETRY_DELAY <= one.again_in <= 2 * FIRST_PROBE_DELAY
    fleet.pass_time(MISCONFIGURED_PROBE_DELAY)
    assert sum(admitted_at_once(gates)) == 1
    assert fleet.stored()["trip_reason"] == "misconfigured"


def test_an_operators_gate_survives_probes_new_workers_and_an_empty_redis(
    fleet: Fleet,
) -> None:
    gates = [fleet.gates() for _ in range(PROCESSES)]
    operator = MongoBreakerStore(fleet.database)
    operator.open(STRIPE, trip_reason=TripReason.OPERATOR, reason="audit", by="ann")
    connect_redis(fleet.settings).flushdb()
    fleet.pass_time(timedelta(days=1))
    gates[0].record(STRIPE, [WELL])
    fail(gates[1])
    assert admitted_at_once([*gates, fleet.gates()]) == [0] * (PROCESSES + 1)
    stored = fleet.stored()
    assert (stored["trip_reason"], stored["reason"], stored["by"]) == (
        "operator",
        "audit",
        "ann",
    )
    operator.close(STRIPE, reason="done", by="ann")
    assert admitted_at_once(gates) == [8] * PROCESSES


def test_a_gate_goes_on_without_redis_and_stays_as_it_was_without_mongodb(
    settings: Settings, tmp_path: Path
) -> None:
    redis = embedded_servers.redis(tmp_path / "r", processes.free_port())
    mongo = embedded_servers.mongo(tmp_path / "m", processes.free_port())
    settings = replace(
        settings, redis_url=redis.url, mongo_url=mongo.url, stripe_rate=60
    )
    fleet = Fleet(settings)
    gates = fleet.gates()
    with embedded_servers.running(mongo):
        with embedded_servers.running(redis):
            assert gates.admit(STRIPE, 30).granted == 30
        # Without Redis: a sixth of 60 a second, within three quarters of one.
        assert 1 <= gates.admit(STRIPE, 30).granted <= 8
        fail(gates)
    assert gates.admit(STRIPE, 30).granted == 0
    with embedded_servers.running(mongo):
        assert fleet.stored()["trip_reason"] == "failing"
        fleet.close()
