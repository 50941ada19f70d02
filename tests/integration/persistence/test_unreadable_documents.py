"""Tests that unreadable documents are left out of lists and reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from bson.datetime_ms import DatetimeMS
from pymongo.database import Database

from application.cache import Cache
from application.ports.payments import Query
from domain.api_keys import Role
from domain.errors import DocumentUnreadable
from domain.payments.submission import Mode
from domain.replays import Search
from persistence import document_faults
from persistence.api_keys import MongoApiKeys
from persistence.codec import Document
from persistence.differences import MongoDifferences
from persistence.document_faults import DocumentFault
from persistence.encryption import KeySource, Pepper, Vault
from persistence.operator_queries import MongoOperatorView
from persistence.payments import MongoPayments
from persistence.reconciliations import Reconciliations
from persistence.replays import MongoReplayStore
from persistence.webhooks import MongoWebhooks
from runtime.container import clock
from tests.integration.persistence.test_differences import ALONE, ODD, report
from tests.suites.api_keys import created
from tests.suites.inbox import webhook
from tests.suites.replays import ODD as ODD_ANSWER, brought
from tests.suites.samples import insert_all, NOW, SHOP, payment
from tests.support.running_web import prepared_web, stripe_payment

#: Changes that make a payment unreadable.
BROKEN: Final[dict[str, Document]] = {
    "a seal that does not open": {"$set": {"personal_data": b"sealed by nobody"}},
    "an unknown member of an enum": {"$set": {"status": "?", "duplicate_policy": "?"}},
    "an unknown state": {"$set": {"operations.0.state": "?"}},
    "a missing field": {"$unset": {"operations": 1}},
    "an amount that is a text": {"$set": {"amount": "a lot"}},
    "a time that is a text": {"$set": {"created_at": "yesterday"}},
    "a time that is missing": {"$set": {"updated_at": None}},
    "a time beyond Python's calendar": {
        "$set": {"created_at": DatetimeMS(400_000_000_000_000)}
    },
    "an operation that is a number": {"$set": {"operations": [7]}},
    "no operation": {"$set": {"operations": []}},
    "operations of no list": {"$set": {"operations": {}}},
    "a due time that is a text": {"$set": {"operations.0.starts_at": "soon"}},
}


@pytest.fixture(autouse=True)
def always_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests share their database and the names in it."""
    short = Cache[tuple[str, str, str], bool](size=1, seconds=0.0)
    monkeypatch.setattr(document_faults, "_reported", short)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=list(BROKEN))
def test_an_unreadable_payment_is_skipped_by_lists_and_a_problem_alone(
    payments_db: Database[Document], vault: Vault, broken: Document
) -> None:
    store = MongoPayments(payments_db, vault, lease_holder="one")
    now = clock()
    insert_all(store, [payment(n, now=now) for n in range(1, 6)])
    bad = payment(4).id
    payments_db.payments.update_one({"_id": bad}, broken)
    assert [one.id for one in store.list_payments(SHOP, Query(limit=2))] == [
        payment(5).id,
        payment(3).id,
    ], "a page is full if more payments follow"
    behind = Query(before=payment(5).id, limit=10)
    assert [one.id for one in store.list_payments(SHOP, behind)] == [
        payment(number).id for number in (3, 2, 1)
    ]
    with pytest.raises(DocumentUnreadable):
        store.get(SHOP, bad)
    with pytest.raises(DocumentUnreadable):
        store.find_by_key(SHOP, "key-4")
    view = MongoOperatorView(payments_db, vault, Mode.TEST)
    assert len(view.load([payment(3).id, bad])) == 1
    [found] = document_faults.list_latest(payments_db, 10)
    assert (found.collection, found.id, found.fault) == (
        "payments",
        bad,
        DocumentFault.UNREADABLE,
    )
    assert document_faults.count_faults(payments_db) == {
        ("payments", DocumentFault.UNREADABLE): 1
    }


def test_a_list_of_mostly_unreadable_payments_ends(
    payments_db: Database[Document], vault: Vault
) -> None:
    store = MongoPayments(payments_db, vault, lease_holder="one")
    insert_all(store, [payment(n, now=clock()) for n in range(1, 102)])
    broken = {"_id": {"$gt": payment(1).id}}
    payments_db.payments.update_many(broken, {"$unset": {"version": 1}})
    assert [one.id for one in store.list_payments(SHOP, Query(limit=20))] == [
        payment(1).id
    ]


def test_a_search_of_operators_continues_after_an_unreadable_payment(
    payments_db: Database[Document], vault: Vault
) -> None:
    store = MongoPayments(payments_db, vault, lease_holder="one")
    found = [brought(store, number, ODD_ANSWER) for number in range(1, 5)]
    payments_db.payments.update_one(
        {"_id": found[3].id}, {"$set": {"operations.0.kind": "?"}}
    )
    view = MongoOperatorView(payments_db, vault, Mode.TEST)
    page = view.find(Search(), before=None, limit=2)
    assert [one.id for one in page] == [found[2].id, found[1].id]


def test_other_lists_skip_an_unreadable_document(
    payments_db: Database[Document], vault: Vault, key_source: KeySource
) -> None:
    now = clock()
    inbox = MongoWebhooks(payments_db, vault, Mode.TEST, clock=lambda: now)
    for number in (1, 2):
        inbox.add(replace(webhook(number), received_at=now, due_at=now))
    differences = MongoDifferences(payments_db, Mode.TEST)
    differences.record_report(report(ALONE, ODD))
    reports = Reconciliations(payments_db, Mode.TEST)
    reports.add_report(report())
    keys = MongoApiKeys(payments_db, Pepper(key_source))
    for _ in (1, 2):
        created(keys)
    lists: dict[str, Callable[[], Any]] = {
        "webhooks": lambda: inbox.find(status=None, since=None, limit=9),
        "reconciliation_differences": differences.list_open,
        "reconciliations": reports.list_last,
        "api_keys": keys.list,
    }
    before = {name: len(ask()) for name, ask in lists.items()}
    broken = {"$set": {"account": 7, "provider": "?", "type": 7, "role": "?"}}
    for name, ask in lists.items():
        payments_db[name].update_one({}, broken)
        assert len(ask()) == before[name] - 1, name
    assert inbox.load([webhook(1).id, webhook(2).id])
    assert len(inbox.find_due_ids(9)) == 1, "it waits for its next turn"
    counted = {
        collection for collection, _ in document_faults.count_faults(payments_db)
    }
    assert counted == set(lists)


def test_an_unreadable_replay_stops_no_other(
    payments_db: Database[Document],
) -> None:
    replays = MongoReplayStore(payments_db, Mode.TEST)
    payments_db.replays.insert_one(
        {"_id": "rpl_1", "mode": "test", "stage": "running", "next_at": NOW}
    )
    assert replays.claim_due() is None
    with pytest.raises(DocumentUnreadable):
        replays.get("rpl_1")


def test_a_merchants_list_continues_after_an_unreadable_payment_over_http(
    tmp_path: Path, mongo_url: str, redis_database: str
) -> None:
    with prepared_web(tmp_path, mongo_url, redis_database) as web:
        client = web.client()
        made = [client.submit(stripe_payment()).json()["id"] for _ in range(5)]
        bad = made[2]
        database = web.database()
        with database.client:
            broken = {"$set": {"updated_at": "yesterday", "amount": "much"}}
            database.payments.update_one({"_id": bad}, broken)
            seen, cursor = list[str](), ""
            while True:
                answer = client.get(f"/v1/payments?limit=2{cursor}")
                assert answer.status_code == 200
                seen += [one["id"] for one in answer.json()["data"]]
                if not answer.json()["next_cursor"]:
                    break
                cursor = f"&cursor={answer.json()['next_cursor']}"
            assert seen == [one for one in reversed(made) if one != bad]
            operator = web.client(Role.OPERATOR)
            for who in (client, operator):
                alone = who.get(f"/v1/payments/{bad}")
                assert (alone.status_code, alone.json()["code"]) == (
                    500,
                    "document_unreadable",
                )
                assert who.get(f"/v1/payments/{made[0]}").ok
            [named] = document_faults.list_latest(database, 9)
            assert named.id == bad
            assert named.last_at > clock() - timedelta(minutes=1)
