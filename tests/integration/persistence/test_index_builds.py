"""Tests of index builds on large collections while the service runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pymongo
import pytest
import requests
from pymongo import ASCENDING, IndexModel, MongoClient
from pymongo.database import Database

from application.ports.payments import Query
from cli.commands import doctor
from cli.findings import FAIL, OK, WARN, Finding
from domain.errors import StoreUnavailable
from domain.payments.settle import settle
from domain.payments.submission import Mode
from domain.replays import Search
from local_stack import embedded_servers
from local_stack.initialise import initialise
from persistence import indexes, mongo, monitoring
from persistence.codec import Document
from persistence.encryption import Vault
from persistence.indexes import Index, IndexNotBuilt, BuildProgress, UniqueIndexes
from persistence.operator_queries import MongoOperatorView
from persistence.payments import MongoPayments
from runtime import metrics, processes
from runtime.container import clock
from runtime.settings import Settings
from tests.suites.samples import insert_all, SHOP, payment, sending
from tests.support.fakes import pay
from tests.support.running_web import TIMEOUT, prepared_web
from workers import exporter

#: Payments that an upgrade finds.
MANY: Final = 120_000
#: Seconds for one operation, in place of four.
LOWERED: Final = 1.5
#: Seconds for one operation of another process.
NOT_LOWERED: Final = mongo.OPERATION_TIMEOUT
#: Seconds to wait for a condition.
WAIT: Final = 30.0

#: A build stops here, with all documents read.
HANG: Final = "hangAfterStartingIndexBuild"
NEWEST: Final = Index("payments", "newest")


@pytest.fixture(scope="module")
def slow_mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A MongoDB whose index builds can be paused."""
    home = tmp_path_factory.mktemp("slow")
    server = embedded_servers.mongo(home, processes.free_port())
    held_up = (*server.command, "--setParameter", "enableTestCommands=1")
    with embedded_servers.running(replace(server, command=held_up)) as url:
        yield url


@pytest.fixture
def large(
    slow_mongo_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database[Document]]:
    """MANY payments without an index, behind a client that has LOWERED seconds."""
    monkeypatch.setattr(mongo, "OPERATION_TIMEOUT", LOWERED)
    opened = mongo.connect(slow_mongo_url, f"test_{uuid.uuid4().hex[:16]}")
    with MongoClient[Document](slow_mongo_url) as client:
        _fill(client[opened.name])
        yield opened
        _hold_up(opened, "off")
        client.drop_database(opened.name)
    opened.client.close()


def _fill(database: Database[Document]) -> None:
    """By the server alone, which takes a second."""
    number = {"$toString": "$number"}
    database.aggregate(
        [
            {
                "$documents": {
                    "$map": {"input": {"$range": [0, MANY]}, "in": {"number": "$$this"}}
                }
            },
            {
                "$project": {
                    "_id": {"$concat": ["pay_", number]},
                    "merchant": "old",
                    "mode": "test",
                    "provider": "stripe",
                    "status": "captured",
                    "keys": [number],
                }
            },
            {"$merge": "payments"},
        ]
    )


def _hold_up(database: Database[Document], mode: str) -> None:
    database.client.admin.command({"configureFailPoint": HANG, "mode": mode})


@contextmanager
def held_up(database: Database[Document]) -> Iterator[None]:
    """Pauses builds until the block ends."""
    _hold_up(database, "alwaysOn")
    try:
        yield
    finally:
        _hold_up(database, "off")


def builds(database: Database[Document]) -> list[Document]:
    """The builds that the server runs now."""
    asked: list[Document] = [
        {"$currentOp": {"allUsers": True}},
        {"$match": {"desc": {"$regex": "^IndexBuildsCoordinator"}}},
    ]
    return list(database.client.admin.aggregate(asked))


def wait_until(holds: Callable[[], object]) -> None:
    assert processes.wait_until(lambda: bool(holds()), seconds=WAIT)


def only(*names: str) -> dict[str, list[IndexModel]]:
    """Some of the payments' indexes, in the form of INDEXES."""
    models = [
        model
        for model in indexes.INDEXES["payments"]
        if model.document["name"] in names
    ]
    assert len(models) == len(names)
    return {"payments": models}


def test_a_build_outlasts_the_limit_of_an_operation_and_reports_progress(
    large: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "INDEXES", only("keys", "newest"))
    reports: list[BuildProgress] = []
    with ThreadPoolExecutor(1) as pool, held_up(large):
        building = pool.submit(
            indexes.create_indexes, large, on_progress=reports.append
        )
        wait_until(
            lambda: reports
            and reports[-1].seconds > 3 * LOWERED
            and reports[-1].done_count == MANY
        )
        assert indexes.compare_indexes(large).building == (
            Index("payments", "keys", True),
        )
        assert "payments.keys: 100%, " in reports[-1].description
        _hold_up(large, "off")
        assert building.result(WAIT) == [Index("payments", "keys", True), NEWEST]
    assert any(one.done_count == one.total == MANY for one in reports)
    assert indexes.compare_indexes(large).missing == ()


def test_a_build_runs_once_for_concurrent_requests(
    large: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "INDEXES", only("newest"))
    with ThreadPoolExecutor(3) as pool:
        with held_up(large):
            asked: list[Future[list[Index]]] = [
                pool.submit(indexes.create_indexes, large) for _ in range(3)
            ]
            wait_until(lambda: len(_requests(large)) == 3)
            assert len(builds(large)) == 1
        for one in asked:
            one.result(WAIT)
    assert indexes.compare_indexes(large).missing == ()


def _requests(database: Database[Document]) -> list[Document]:
    asked: list[Document] = [
        {"$currentOp": {"allUsers": True}},
        {"$match": {"command.createIndexes": "payments", "connectionId": {"$gt": 0}}},
    ]
    return list(database.client.admin.aggregate(asked))


def _seconds(database: Database[Document]) -> list[float]:
    """How long each request for an index has run by the server's clock."""
    return [one["microsecs_running"] / 1e6 for one in _requests(database)]


def test_a_killed_init_is_continued_by_the_next(
    large: Database[Document], tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "PAYMENTS_HOME": str(tmp_path / "home"),
        "PAYMENTS_MONGO_URL": _url(large),
        "PAYMENTS_MONGO_DATABASE": large.name,
    }
    command = [sys.executable, "-m", "cli", "init"]
    with held_up(large):
        first = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        wait_until(lambda: builds(large))
        [before] = builds(large)
        first.kill()
        first.communicate()
        second = subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        wait_until(lambda: len(_requests(large)) == 2)
        assert [one["opid"] for one in builds(large)] == [before["opid"]]
        # No request was ended by the limit of other operations and sent again.
        wait_until(lambda: min(_seconds(large), default=0) > NOT_LOWERED + 1)
        assert second.poll() is None
    output, errors = second.communicate(timeout=WAIT)
    assert second.returncode == 0, errors
    assert b"payments.keys, payments.blocked_reference: 100%, " in errors
    assert b"payments.keys was built." in output
    assert indexes.compare_indexes(large).missing == ()
    again = subprocess.run([*command, "--json"], env=environment, capture_output=True)
    assert json.loads(again.stdout) == {"built": [], "unwanted": []}
    assert not again.stderr


def _url(database: Database[Document]) -> str:
    host, port = next(iter(database.client.nodes))
    return f"mongodb://{host}:{port}/?replicaSet={embedded_servers.REPLICA_SET}"


def test_an_impossible_unique_index_is_named_without_a_value(
    large: Database[Document],
) -> None:
    large.payments.update_many(
        {"_id": {"$in": ["pay_7", "pay_8"]}}, {"$set": {"keys": ["secret-7"]}}
    )
    with pytest.raises(IndexNotBuilt) as raised:
        indexes.create_indexes(large)
    words = str(raised.value)
    assert "The unique index payments.keys cannot be built" in words
    assert "the same merchant, mode, keys" in words
    assert "secret-7" not in words
    missing = indexes.compare_indexes(large).missing
    assert missing == (Index("payments", "keys", True),), "the others are built"


def test_an_index_with_other_options_is_named(large: Database[Document]) -> None:
    with pymongo.timeout(WAIT):
        large.payments.create_index([("open", ASCENDING)], name="moved")
    with pytest.raises(IndexNotBuilt, match=r"payments\.moved \(moved_at\).*dropIndex"):
        indexes.create_indexes(large)
    assert indexes.compare_indexes(large).missing == (Index("payments", "moved"),)


def test_a_killed_build_is_not_a_missing_primary(
    large: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "INDEXES", only("newest"))
    with ThreadPoolExecutor(1) as pool, held_up(large):
        building = pool.submit(indexes.create_indexes, large)
        wait_until(lambda: builds(large))
        for one in _requests(large):
            large.client.admin.command("killOp", op=one["opid"])
        _hold_up(large, "off")
        with pytest.raises(
            IndexNotBuilt, match=r"payments\.newest .*(Abort|Interrupt)"
        ):
            building.result(WAIT)


def test_an_unused_index_is_named_and_stays(
    large: Database[Document],
) -> None:
    with pymongo.timeout(WAIT):  # an operator's shell waits for as long as it takes
        large.payments.create_index([("amount", ASCENDING)], name="mine")
    indexes.create_indexes(large)
    [unwanted] = indexes.compare_indexes(large).unwanted
    assert str(unwanted) == "payments.mine"
    assert "mine" in large.payments.index_information()
    found = verdict(large, "unused indexes")
    assert (found.verdict, found.words) == (WARN, "payments.mine used by no query")
    assert 'db.payments.dropIndex("mine")' in found.advice


def verdict(database: Database[Document], name: str) -> Finding:
    settings = Settings(mongo_url=_url(database), database=database.name)
    found = {one.name: one for one in doctor._mongodb(settings)}
    return found[name]


def test_the_service_runs_while_an_index_is_built(
    large: Database[Document], vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexes.create_indexes(large)
    large.payments.drop_index("open")
    large.payments.drop_index("stuck")
    large.payments.drop_index("lines")
    store = MongoPayments(large, vault, lease_holder="one")
    view = MongoOperatorView(large, vault, Mode.TEST)
    with ThreadPoolExecutor(1) as pool, held_up(large):
        building = pool.submit(indexes.create_indexes, large)
        wait_until(lambda: builds(large))
        [new] = insert_all(store, [payment(now=clock())])
        assert store.list_payments(SHOP, Query()) == [new]
        assert not view.find(Search(), before=None, limit=10)
        assert store.find_due_ids(10) == []
        [won] = store.claim_many([sending(new, now=clock())])
        assert monitoring.count_backlog(large).open == {("stripe", "running"): 1}
        [done] = store.settle_many([settle(won, pay(won), now=clock(), jitter=0)])
        assert store.get(SHOP, new.id) == done
        assert UniqueIndexes(large).is_complete()
        assert verdict(large, "indexes").words.startswith("payments.lines")
        _hold_up(large, "off")
        building.result(WAIT)
    assert verdict(large, "indexes").verdict == OK


def test_the_exporter_names_a_missing_index_and_shows_the_rest(
    large: Database[Document], vault: Vault
) -> None:
    indexes.create_indexes(large)
    large.payments.drop_index("open")
    large.webhooks.drop_index("due")
    stop = threading.Event()
    settings = Settings(mongo_url=_url(large), database=large.name)
    insert_all(MongoPayments(large, vault, lease_holder="one"), [payment(now=clock())])
    metrics.OLDEST_DUE.set(-1)
    metrics.WEBHOOKS_WAITING.set(-1)
    running = threading.Thread(target=exporter.run, args=(settings, stop))
    running.start()
    try:
        wait_until(lambda: _gauge(metrics.INDEX_MISSING, "payments", "open") == 1)
    finally:
        stop.set()
        running.join(WAIT)
    assert _gauge(metrics.INDEX_MISSING, "webhooks", "due") == 1
    assert _gauge(metrics.INDEX_MISSING, "payments", "keys") == 0
    assert _gauge(metrics.OPEN, "stripe", "queued") == 1
    assert metrics.WEBHOOKS_WAITING._value.get() == 0


def _gauge(gauge: Any, *labels: str) -> float:
    return float(gauge.labels(*labels)._value.get())


def test_a_failed_query_does_not_affect_the_exporters_others() -> None:
    def fails(error: Exception) -> Callable[[], None]:
        def question() -> None:
            raise error

        return question

    exporter.run_update(fails(StoreUnavailable()))
    exporter.run_update(fails(ValueError()))


def test_a_web_process_is_not_ready_without_the_unique_index_of_keys(
    tmp_path: Path, mongo_url: str, redis_database: str
) -> None:
    with prepared_web(tmp_path, mongo_url, redis_database) as web:
        database = web.database()
        with database.client:
            database.payments.drop_index("keys")
            answer = requests.get(f"{web.health}/readyz", timeout=TIMEOUT)
            assert answer.status_code == 503
            assert "a unique index is missing" in answer.text
            found = verdict(database, "indexes")
            assert found.verdict == FAIL
            assert found.words.startswith("payments.keys missing")
            initialise(web.settings)
            assert requests.get(f"{web.health}/readyz", timeout=TIMEOUT).ok
