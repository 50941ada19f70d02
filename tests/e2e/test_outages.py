"""Outages of the broker and the database, which cost only time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from local_stack import embedded_servers
from runtime import processes
from tests.support.running_stack import running_stack
from tests.support.stack_shop import Shop

#: Seconds for a payment after the end of the outage.
RETURN = 30.0


class Crashable:
    """A server that can be killed and restarted at the same address."""

    def __init__(self, server: embedded_servers.Server) -> None:
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
    with Crashable(
        embedded_servers.redis(home, processes.free_port())
    ).running() as server:
        yield server


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashable]:
    home = tmp_path_factory.mktemp("mongo")
    with Crashable(
        embedded_servers.mongo(home, processes.free_port())
    ).running() as server:
        yield server


@pytest.fixture(scope="module")
def shop(
    redis: Crashable, mongo: Crashable, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """A shop of a stack whose servers the tests can kill."""
    with running_stack(
        tmp_path_factory.mktemp("outages"),
        PAYMENTS_REDIS_URL=redis.server.url,
        PAYMENTS_MONGO_URL=mongo.server.url,
    ) as stack:
        yield Shop(stack)


def test_every_payment_is_accepted_without_redis_and_captured_later(
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


def test_payments_are_refused_without_mongodb_and_accepted_after_its_return(
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

    def is_accepted() -> bool:
        return shop.pay(key=key).status_code == 202

    assert processes.wait_until(is_accepted, seconds=RETURN)
    payment_id = str(shop.pay(key=key).json()["id"])
    assert shop.settled(payment_id, seconds=RETURN)["status"] == "captured"
    assert len(shop.movements("stripe", payment_id)) == 1
    assert _pids(shop) == processes_before


def test_an_unexpected_message_stops_no_worker(shop: Shop, redis: Crashable) -> None:
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


#: Malformed messages: not JSON, or with missing or foreign parts.
GARBAGE: Final = (
    b"\xff\x00garbage",
    b"",
    b"null",
    b"[]",
    b"{}",
    b"[" * 100_000,
    b'{"__type__": "decimal", "__value__": "x"}',
    b'{"headers": {"task": ["x"]}, "body": "W10=", "properties": {}}',
    b'{"headers": {"task": "payments.attempt"}, "body": 7}',
    b'{"headers": {"task": "payments.attempt"}, "body": "not base64"}',
    b'{"headers": {"task": "payments.attempt", "eta": "never"}, "body": "W1tdXQ=="}',
    b'{"headers": {"task": "payments.attempt", "compression": "zlib"},'
    b' "body": "e30=", "properties": {"delivery_tag": {}}}',
)


@pytest.mark.parametrize("queue", ["payments", "payments.due", "payments.webhooks"])
def test_a_malformed_message_is_dropped_and_ends_no_worker(
    shop: Shop, redis: Crashable, queue: str
) -> None:
    processes_before, dropped_before = _pids(shop), _counted(shop, "messages_dropped")
    with Redis.from_url(redis.server.url) as client:
        client.lpush(queue, *GARBAGE)
        assert processes.wait_until(lambda: not client.exists(queue), seconds=RETURN)
    payment_id = shop.accepted()
    assert shop.settled(payment_id, seconds=RETURN)["status"] == "captured"
    assert _pids(shop) == processes_before
    dropped = _counted(shop, "messages_dropped") - dropped_before
    assert dropped == len(GARBAGE)


@pytest.mark.parametrize("queue", ["payments", "payments.due", "payments.webhooks"])
def test_a_queue_without_a_list_is_counted_and_deleted(
    shop: Shop, redis: Crashable, queue: str
) -> None:
    processes_before, deleted_before = _pids(shop), _counted(shop, "queues_deleted")
    with Redis.from_url(redis.server.url) as client:
        client.set(queue, "no list")
        payment_id = shop.accepted()
        assert shop.settled(payment_id, seconds=RETURN)["status"] == "captured"
        assert processes.wait_until(
            lambda: client.type(queue) != b"string", seconds=RETURN
        )
    assert _counted(shop, "queues_deleted") > deleted_before
    assert _pids(shop) == processes_before


def test_unexpected_values_in_celerys_own_keys_stop_no_worker(
    shop: Shop, redis: Crashable
) -> None:
    with Redis.from_url(redis.server.url) as client:
        for name in ("unacked", "unacked_index", "_kombu.binding.payments"):
            client.set(name, "nothing of ours")
        worker = shop.stack.processes()["worker"]["pid"]
        os.kill(worker, signal.SIGKILL)
        assert processes.wait_until(
            lambda: _pids(shop)["worker"] != worker, seconds=RETURN
        )
        payment_id = shop.accepted()
        assert shop.settled(payment_id, seconds=RETURN)["status"] == "captured"
        assert client.get("unacked") == b"nothing of ours"


def test_an_account_with_a_malformed_bucket_still_pays(
    shop: Shop, redis: Crashable
) -> None:
    with Redis.from_url(redis.server.url) as client:
        client.lpush("payments:limit:stripe", "no number")
        payment_id = shop.accepted()
        assert shop.settled(payment_id, seconds=RETURN)["status"] == "captured"
        assert client.type("payments:limit:stripe") != b"list"


def _counted(shop: Shop, name: str) -> float:
    """The sum of a counter over all processes of the stack."""
    return sum(
        sample.value
        for process in shop.stack.processes().values()
        if process.get("metrics_url")
        for family in text_string_to_metric_families(
            requests.get(process["metrics_url"], timeout=5).text
        )
        for sample in family.samples
        if sample.name == f"payments_{name}_total"
    )


def _pids(shop: Shop) -> dict[str, int]:
    return {name: process["pid"] for name, process in shop.stack.processes().items()}
