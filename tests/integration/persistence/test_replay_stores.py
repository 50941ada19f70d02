"""Tests of replays on MongoDB: the suite and the indexes of their queries."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo.database import Database

from application.operator_actions import (
    OperatorContext,
    preview_replay,
    run_replays,
    start_replay,
)
from domain.payments.states import State
from domain.payments.submission import Mode, ProviderName
from domain.replays import ItemOutcome, ReplayRun, Search, ReplayStage
from persistence.codec import Document
from persistence.encryption import Vault
from persistence.operator_queries import MongoOperatorView
from persistence.payments import MongoPayments
from persistence.replays import MongoReplayStore
from runtime.container import clock, new_id
from runtime.processes import wait_until
from tests.suites.replays import ODD, OperatorPorts, OperatorSuite, brought
from tests.suites.samples import SHOP
from tests.support.fakes import MemoryQueue


@pytest.fixture
def operator_ports(payments_db: Database[Document], vault: Vault) -> OperatorPorts:
    """The stores of replays on a real server."""
    return OperatorPorts(
        MongoPayments(payments_db, vault, lease_holder="one"),
        MongoOperatorView(payments_db, vault, Mode.TEST),
        MongoReplayStore(payments_db, Mode.TEST),
    )


class TestMongoOperatorStores(OperatorSuite):
    """The suite of all implementers."""


def test_replays_and_payments_of_another_mode_are_invisible(
    operator_ports: OperatorPorts, payments_db: Database[Document], vault: Vault
) -> None:
    one = brought(operator_ports.store, 1, ODD)
    live = MongoOperatorView(payments_db, vault, Mode.LIVE)
    assert live.load([one.id]) == []
    assert live.find(Search(), before=None, limit=10) == []


def test_an_unreadable_item_is_omitted(
    operator_ports: OperatorPorts, payments_db: Database[Document]
) -> None:
    one, two = (brought(operator_ports.store, number, ODD) for number in (1, 2))
    unread = {"$set": {"personal_data": b"not sealed"}}
    payments_db.payments.update_one({"_id": one.id}, unread)
    assert operator_ports.view.load([one.id, two.id]) == [two]


@pytest.mark.parametrize(
    ("search", "index"),
    [
        (Search(), "stuck"),
        (Search(state=State.DEAD, provider=ProviderName.STRIPE), "stuck"),
        (Search(merchant="shop", state=State.SUCCEEDED), "newest"),
        (Search(ids=("pay_1", "pay_2"), state=State.SUCCEEDED), "_id_"),
    ],
)
def test_a_search_reads_by_index_in_its_order(
    operator_ports: OperatorPorts,
    payments_db: Database[Document],
    search: Search,
    index: str,
) -> None:
    for number in range(1, 30):
        brought(operator_ports.store, number, ODD if number < 5 else None)
    payments_db.command("profile", 2)
    operator_ports.view.find(search, before="pay_2", limit=10)
    payments_db.command("profile", 0)
    [asked] = payments_db["system.profile"].find({"op": "query"})
    payments_db["system.profile"].drop()
    assert index in _indexes(asked["execStats"])
    assert not asked.get("hasSortStage"), asked


def _indexes(stage: Any) -> set[str]:
    """The names of the indexes that a plan reads."""
    found = {stage["indexName"]} if "indexName" in stage else set()
    below = [stage.get("inputStage"), *stage.get("inputStages", [])]
    return found.union(*(_indexes(one) for one in below if one))


def test_four_beats_at_once_replay_each_payment_once(
    operator_ports: OperatorPorts,
) -> None:
    ids = [brought(operator_ports.store, number, ODD).id for number in range(1, 21)]
    queue = MemoryQueue()
    context = OperatorContext(
        operator_ports.view, operator_ports.store, operator_ports.replays, queue, clock
    )
    replay = preview_replay(
        Search(), by="key_1", mode=Mode.TEST, new_id=new_id, context=context
    )
    start_replay(replay.id, ReplayRun("key_2", "why", 8, clock()), context=context)

    def beat(_: int) -> int:
        judged = 0

        def over() -> bool:
            nonlocal judged
            judged += run_replays(context)
            found = operator_ports.replays.get(replay.id)
            return found is not None and found.stage is ReplayStage.DONE

        assert wait_until(over, seconds=30)
        return judged

    began = time.monotonic()
    with ThreadPoolExecutor(4) as beats:
        assert sum(beats.map(beat, range(4))) == 20
    assert time.monotonic() - began > 2 * 0.9  # 8, a second, 8, a second, 4
    assert operator_ports.replays.count_outcomes(replay.id) == {
        ItemOutcome.REPLAYED: 20
    }
    assert sorted(queue.waiting) == sorted(ids)
    for one in ids:
        timeline = operator_ports.store.load_timeline(SHOP, one) or []
        assert [event.type for event in timeline].count("operation.replayed") == 1
