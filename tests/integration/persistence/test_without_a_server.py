"""Tests that every call raises soon if MongoDB does not answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from pymongo.database import Database

from application.ports.payments import Query
from domain.errors import StoreUnavailable
from persistence import indexes, mongo, monitoring
from persistence.api_keys import MongoApiKeys
from persistence.codec import Document
from persistence.encryption import KeySource, Pepper, Vault
from persistence.group_commit import GroupCommitPayments
from persistence.payments import MongoPayments
from runtime.processes import free_port
from tests.suites.api_keys import created
from tests.suites.samples import insert_all, NOW, SHOP, payment, sending

#: Seconds; a slow machine gets one more.
BOUND: Final = mongo.OPERATION_TIMEOUT + 1


@pytest.fixture(params=["refusing", "silent"])
def unreachable(request: pytest.FixtureRequest) -> Iterator[Database[Document]]:
    """A database whose port refuses connections, or accepts them without answers."""
    with socket.socket() as silent:
        if request.param == "silent":
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            port = silent.getsockname()[1]
        else:
            port = free_port()
        opened = mongo.connect(f"mongodb://127.0.0.1:{port}", "test_unreachable")
        yield opened
        opened.client.close()


def test_every_call_raises_within_its_time_limit(
    unreachable: Database[Document], vault: Vault, tmp_path: Path
) -> None:
    store = MongoPayments(unreachable, vault, lease_holder="one")
    grouped = GroupCommitPayments(unreachable, vault, lease_holder="two")
    keys = MongoApiKeys(unreachable, Pepper(KeySource("p", tmp_path / "p")))
    new = payment()
    claim = sending(new, now=NOW)
    asked: list[Callable[[], object]] = [
        lambda: insert_all(store, [new]),
        lambda: insert_all(grouped, [new]),
        lambda: store.load_due([new.id]),
        lambda: store.claim_many([claim]),
        lambda: store.settle_many([claim]),
        lambda: store.renew_leases([new.id]),
        lambda: store.find_due_ids(10),
        lambda: store.get(SHOP, new.id),
        lambda: store.list_payments(SHOP, Query()),
        lambda: store.load_timeline(SHOP, new.id),
        lambda: store.find_settled([new.id]),
        lambda: store.amend(new),
        lambda: store.load_leased([claim]),
        lambda: store.postpone([new.id], timedelta(seconds=1)),
        lambda: keys.find("sk_test_1"),
        lambda: created(keys),
        lambda: keys.list(),
        lambda: keys.get("key_1"),
        lambda: keys.end("key_1", NOW, now=NOW),
        lambda: monitoring.count_backlog(unreachable),
        lambda: monitoring.report_alive(unreachable, "one", slots=1, busy=0),
        lambda: mongo.ping(unreachable),
        lambda: indexes.create_indexes(unreachable),
    ]

    def seconds(ask: Callable[[], object]) -> float:
        start = time.monotonic()
        with pytest.raises(StoreUnavailable):
            ask()
        return time.monotonic() - start

    with ThreadPoolExecutor(len(asked)) as pool:
        assert max(pool.map(seconds, asked)) < BOUND


def test_a_health_check_times_out_before_a_payment_does(
    unreachable: Database[Document],
) -> None:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        mongo.ping(unreachable)
    assert time.monotonic() - started < mongo.PING_TIMEOUT + 1 < mongo.OPERATION_TIMEOUT
