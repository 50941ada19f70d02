"""A broker or a database that goes away, and what it costs: time, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from runtime.stack import embedded, processes
from tests.e2e.shop import Shop
from tests.running_stack import running_stack

#: Seconds that a captured payment may take once what was missing is back.
RETURN = 30.0


class Crashable:
    """A server that is killed and started again at the same address."""

    def __init__(self, server: embedded.Server) -> None:
        self.server = server
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = processes.start(
            self.server.command, environment=os.environ, log=self.server.log
        )
        assert processes.wait_until(self.server.ready, seconds=60)

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    @contextmanager
    def running(self) -> Iterator[Crashable]:
        self.start()
        try:
            yield self
        finally:
            if self._process is not None:
                processes.stop(self._process, seconds=10)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashable]:
    home = tmp_path_factory.mktemp("redis")
    with Crashable(embedded.redis(home, processes.free_port())).running() as server:
        yield server


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashable]:
    home = tmp_path_factory.mktemp("mongo")
    with Crashable(embedded.mongo(home, processes.free_port())).running() as server:
        yield server


@pytest.fixture(scope="module")
def shop(
    redis: Crashable, mongo: Crashable, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """A shop of a stack whose servers are ours to kill."""
    with running_stack(
        tmp_path_factory.mktemp("outages"),
        PAYMENTS_REDIS_URL=redis.server.url,
        PAYMENTS_MONGO_URL=mongo.server.url,
    ) as stack:
        yield Shop(stack)


def test_with_redis_killed_and_wiped_every_payment_is_taken_and_later_captured(
    shop: Shop, redis: Crashable
) -> None:
    before = [shop.accepted() for _ in range(3)]
    redis.kill()
    during = [shop.accepted(provider="paypal", token="vault_ada") for _ in range(5)]
    during += [shop.accepted() for _ in range(5)]
    redis.start()
    with Redis.from_url(redis.server.url) as client:
        client.flushall()
    for payment_id in before + during:
        assert shop.settled(payment_id, seconds=RETURN)["status"] == "captured"
    assert all(len(shop.movements("paypal", one)) == 1 for one in during[:5])
    assert all(len(shop.movements("stripe", one)) == 1 for one in before + during[5:])


def test_a_flush_while_payments_are_queued_loses_none_of_them(
    shop: Shop, redis: Crashable
) -> None:
    worker = shop.stack.processes()["worker"]["pid"]
    os.kill(worker, signal.SIGSTOP)
    try:
        queued = [shop.accepted() for _ in range(5)]
        with Redis.from_url(redis.server.url) as client:
            client.flushall()
    finally:
        os.kill(worker, signal.SIGCONT)
    for payment_id in queued:
        assert shop.settled(payment_id, seconds=RETURN)["status"] == "captured"
        assert len(shop.movements("stripe", payment_id)) == 1


def test_with_mongodb_stopped_nothing_is_promised_and_all_goes_on_when_it_is_back(
    shop: Shop, mongo: Crashable
) -> None:
    processes_before = _pids(shop)
    key = "while-mongodb-is-away"
    mongo.kill()
    refused = shop.pay(key=key)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["Content-Type"] == "application/problem+json"
    mongo.start()

    def taken() -> bool:
        return shop.pay(key=key).status_code == 202

    assert processes.wait_until(taken, seconds=RETURN)
    payment_id = str(shop.pay(key=key).json()["id"])
    assert shop.settled(payment_id, seconds=RETURN)["status"] == "captured"
    assert len(shop.movements("stripe", payment_id)) == 1
    assert _pids(shop) == processes_before


def test_a_message_that_no_task_expects_stops_no_worker(
    shop: Shop, redis: Crashable
) -> None:
    processes_before = _pids(shop)
    forged = (
        "import sys, celery;"
        "app = celery.Celery(broker=sys.argv[1]);"
        "app.conf.task_serializer = 'pickle';"
        "app.send_task('payments.attempt', args=[['x']], queue='payments');"
        "app.conf.task_serializer = 'json';"
        "app.send_task('payments.attempt', args=[{'$ne': 1}], queue='payments');"
        "app.send_task('no.such.task', queue='payments')"
    )
    subprocess.run([sys.executable, "-c", forged, redis.server.url], check=True)
    payment_id = shop.accepted()
    assert shop.settled(payment_id, seconds=RETURN)["status"] == "captured"
    assert _pids(shop) == processes_before


def _pids(shop: Shop) -> dict[str, int]:
    return {name: process["pid"] for name, process in shop.stack.processes().items()}
