"""Tests that a refused write does not affect the others of its group."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import bson
import pytest
from pymongo import InsertOne, UpdateOne
from pymongo.database import Database

from application import attempt
from application.operator_actions import (
    OperatorContext,
    preview_replay,
    run_replays,
    start_replay,
)
from domain.errors import WriteRefused
from domain.payments.payment import LEASE, Payment
from domain.payments.states import State, Status
from domain.payments.submission import Mode, ProviderName
from domain.replays import ItemOutcome, ReplayRun, Search
from domain.webhooks import WebhookStatus
from persistence import document_faults
from persistence.codec import Document
from persistence.differences import MongoDifferences
from persistence.document_faults import DocumentFault, write_independently
from persistence.encryption import Vault
from persistence.group_commit import GroupCommitPayments
from persistence.operator_queries import MongoOperatorView
from persistence.payments import MongoPayments
from persistence.replays import MongoReplayStore
from persistence.webhooks import MongoWebhooks
from runtime import metrics
from runtime.container import clock, new_id
from runtime.processes import wait_until
from tests.integration.persistence.test_differences import ALONE, ODD, report
from tests.suites.inbox import webhook
from tests.suites.replays import ODD as ODD_ANSWER, brought
from tests.suites.samples import insert_all, NOW, SHOP, payment, sending
from tests.support.fakes import MemoryQueue, ScriptedProvider, AdmitAll
from tests.support.running_web import prepared_web, stripe_payment
from workers import exporter

#: Payments of a group: as many as in a message under load.
GROUP: Final = 32
REFUSED: Final = payment(7).id


@contextmanager
def validator(
    database: Database[Document], collection: str, rule: Document
) -> Iterator[None]:
    """Sets a validator that requires ``rule``, as an administrator would."""
    database.command({"collMod": collection, "validator": rule})
    try:
        yield
    finally:
        database.command({"collMod": collection, "validator": {}})


def all_but(name: str) -> Document:
    return {"_id": {"$ne": name}}


@pytest.fixture
def store(payments_db: Database[Document], vault: Vault) -> MongoPayments:
    return MongoPayments(payments_db, vault, lease_holder="one")


def group(store: MongoPayments) -> list[Payment]:
    now = clock() - timedelta(minutes=1)
    return insert_all(store, [payment(n, now=now) for n in range(1, GROUP + 1)])


def met(database: Database[Document]) -> list[tuple[str, str, DocumentFault, str]]:
    return [
        (one.collection, one.id, one.fault, one.code)
        for one in document_faults.list_latest(database, 10)
    ]


VALIDATION: Final = (
    "payments",
    REFUSED,
    DocumentFault.REFUSED,
    "DocumentValidationFailure",
)


def test_a_refused_payment_of_a_group_commit_gets_its_own_error_over_http(
    tmp_path: Path, mongo_url: str, redis_database: str
) -> None:
    with prepared_web(tmp_path, mongo_url, redis_database) as web:
        client, database = web.client(), web.database()
        with database.client:
            client.submit(stripe_payment())
            with validator(database, "payments", {"amount": {"$ne": 66_600}}):
                with ThreadPoolExecutor(GROUP) as pool:
                    amounts = [
                        66_600 if n % 16 == 7 else 1_000 + n for n in range(GROUP)
                    ]
                    answers = list(
                        pool.map(
                            lambda one: client.submit(stripe_payment(amount=one)),
                            amounts,
                        )
                    )
            for amount, answer in zip(amounts, answers, strict=True):
                if amount == 66_600:
                    problem = answer.json()
                    assert (answer.status_code, problem["code"]) == (
                        500,
                        "write_refused",
                    )
                else:
                    assert answer.status_code == 202
            assert database.payments.count_documents({}) == 1 + GROUP - 2
            codes = {
                (one.fault, one.code)
                for one in document_faults.list_latest(database, 10)
            }
            assert codes == {(DocumentFault.REFUSED, "DocumentValidationFailure")}
            # A follow-up of a payment that MongoDB refuses to change.
            accepted = next(one.json() for one in answers if one.status_code == 202)
            with validator(database, "payments", all_but(accepted["id"])):
                path = f"/v1/payments/{accepted['id']}/void"
                refused = client.send(
                    "POST",
                    path,
                    b"{}",
                    Idempotency_Key="v",
                    Content_Type="application/json",
                )
            assert (refused.status_code, refused.json()["code"]) == (
                500,
                "write_refused",
            )


def test_a_refused_insert_fails_alone_in_its_group(
    payments_db: Database[Document], vault: Vault
) -> None:
    store = GroupCommitPayments(payments_db, vault, lease_holder="web")
    now = clock()
    insert_all(store, [payment(99, now=now)])
    with validator(payments_db, "payments", all_but(REFUSED)):
        with ThreadPoolExecutor(GROUP) as pool:
            asked: list[Future[list[Payment]]] = [
                pool.submit(insert_all, store, [payment(n, now=now)])
                for n in range(1, GROUP + 1)
            ]
    errors = [one.exception() for one in asked]
    assert isinstance(errors.pop(6), WriteRefused)
    assert errors == [None] * (GROUP - 1)


def test_a_refused_claim_is_reported_and_postponed_longer_each_time(
    payments_db: Database[Document], store: MongoPayments
) -> None:
    group(store)
    with validator(payments_db, "payments", all_but(REFUSED)):
        due = store.load_due(store.find_due_ids(GROUP))
        assert len(due) == GROUP
        won = store.claim_many([sending(one, now=clock()) for one in due])
        assert {one.id for one in due} - {one.id for one in won} == {REFUSED}
        assert met(payments_db) == [VALIDATION]
        assert store.find_due_ids(GROUP) == [], "it is not retried every second"
        waits = []
        for _ in range(3):
            found = payments_db.document_faults.find_one() or {}
            waits.append((found["until"] - found["last_at"]).total_seconds())
            [again] = store.load_due([REFUSED])
            assert store.claim_many([sending(again, now=clock())]) == []
        assert waits == [10, 20, 40]
    [again] = store.load_due([REFUSED])
    assert store.claim_many([sending(again, now=clock())])


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({"timeline": "a text"}, "TypeMismatch"),
        ({"padding": None}, "BSONObjectTooLarge"),
    ],
)
def test_a_document_that_fits_no_step_is_refused_alone(
    payments_db: Database[Document], store: MongoPayments, broken: Document, code: str
) -> None:
    due = group(store)
    if "padding" in broken:  # just under the largest document
        size = len(bson.encode(payments_db.payments.find_one({"_id": REFUSED}) or {}))
        broken = {"padding": "x" * (16 * 1024 * 1024 - size - 100)}
    payments_db.payments.update_one({"_id": REFUSED}, {"$set": broken})
    won = store.claim_many([sending(one, now=clock()) for one in due])
    assert {one.id for one in due} - {one.id for one in won} == {REFUSED}
    assert met(payments_db) == [("payments", REFUSED, DocumentFault.REFUSED, code)]


def test_a_refused_settle_leaves_its_lease_to_run_out_and_pays_once(
    payments_db: Database[Document], store: MongoPayments
) -> None:
    ids = [one.id for one in group(store)]
    provider = ScriptedProvider()
    rule = {"$or": [all_but(REFUSED), {"status": {"$ne": "captured"}}]}
    with ThreadPoolExecutor(GROUP) as calls:
        tools = attempt.AttemptContext(
            store=store,
            queue=MemoryQueue(),
            providers=lambda account: provider,
            admission=AdmitAll(),
            executors=dict.fromkeys(ProviderName, calls),
            clock=clock,
            jitter=lambda: 0.0,
            leased_ids=set(),
        )
        with validator(payments_db, "payments", rule):
            settled = [one for some in attempt.run(ids, tools) for one in some]
        assert {one.payment.id for one in settled} == set(ids) - {REFUSED}
        assert met(payments_db) == [VALIDATION]
        left = store.get(SHOP, REFUSED)
        assert left is not None and left.first_operation.state is State.RUNNING
        assert tools.leased_ids == set(), "its lease is not renewed"
        # The lease expires.
        past = clock() - timedelta(seconds=1)
        payments_db.payments.update_one({"_id": REFUSED}, {"$set": {"due_at": past}})
        [[again]] = attempt.run([REFUSED], tools)
    assert again.payment.status is Status.CAPTURED
    assert len(provider.ledger) == GROUP, "the provider has each charge once"


def test_a_lease_is_renewed_beside_a_refused_one(
    payments_db: Database[Document], store: MongoPayments
) -> None:
    due = group(store)
    won = store.claim_many([sending(one, now=clock()) for one in due])
    ids = [one.id for one in won]
    old = clock() - timedelta(hours=1)
    payments_db.payments.update_many({}, {"$set": {"due_at": old}})
    with validator(payments_db, "payments", all_but(REFUSED)):
        store.renew_leases(ids)
        store.postpone(ids, LEASE)
    renewed = {"due_at": {"$gt": clock()}}
    assert payments_db.payments.count_documents(renewed) == GROUP - 1
    assert VALIDATION in met(payments_db)


def test_a_refused_webhook_waits_and_the_others_are_handled(
    payments_db: Database[Document], vault: Vault
) -> None:
    now = clock()
    inbox = MongoWebhooks(payments_db, vault, Mode.TEST, clock=lambda: now)
    kept = [
        replace(webhook(n), received_at=now, due_at=now, starts_at=now)
        for n in range(3)
    ]
    for one in kept:
        inbox.add(one)
    bad = kept[1].id
    done = [replace(one, status=WebhookStatus.HANDLED, due_at=None) for one in kept]
    with validator(payments_db, "webhooks", all_but(bad)):
        inbox.save_results(done)
        assert inbox.find_due_ids(10) == []
        assert met(payments_db)[0][:2] == ("webhooks", bad)
        assert inbox.reprocess([one.id for one in kept], now=now) == 2
        with pytest.raises(WriteRefused):
            with validator(payments_db, "webhooks", {"type": "none"}):
                inbox.add(webhook(9))
    waiting = payments_db.webhooks.find({"status": "waiting"})
    assert {one["_id"] for one in waiting} == {one.id for one in kept}


def test_a_refused_outcome_does_not_end_a_run(
    payments_db: Database[Document], store: MongoPayments, vault: Vault
) -> None:
    view = MongoOperatorView(payments_db, vault, Mode.TEST)
    replays = MongoReplayStore(payments_db, Mode.TEST)
    context = OperatorContext(view, store, replays, MemoryQueue(), clock)
    for number in (1, 2, 3):
        brought(store, number, ODD_ANSWER)

    def previewed() -> Any:
        return preview_replay(
            Search(), by="key_1", mode=Mode.TEST, new_id=new_id, context=context
        )

    with validator(payments_db, "replay_items", {"number": {"$ne": 2}}):
        with pytest.raises(WriteRefused):
            previewed()
    replay = previewed()
    start_replay(replay.id, ReplayRun("key_2", "back", 1, clock()), context=context)
    with validator(payments_db, "replay_items", {"number": {"$ne": 2}}):

        def is_done() -> bool:
            run_replays(context)
            found = replays.get(replay.id)
            return found is not None and found.ended_at is not None

        assert wait_until(is_done, seconds=20)
    came = [one.outcome for one in replays.list_items(replay.id, after=0, limit=9)]
    assert came == [ItemOutcome.REPLAYED, None, ItemOutcome.REPLAYED]
    assert met(payments_db)[0][:2] == ("replay_items", f"{replay.id}:2")


def test_a_refused_difference_does_not_affect_the_others(
    payments_db: Database[Document],
) -> None:
    differences = MongoDifferences(payments_db, Mode.TEST)
    differences.record_report(report(ALONE, ODD))
    first, second = (one.id for one in differences.list_open())
    payments_db.reconciliation_differences.delete_many({})
    with validator(payments_db, "reconciliation_differences", all_but(first)):
        differences.record_report(report(ALONE, ODD))
        assert [one.id for one in differences.list_open()] == [second]
        assert met(payments_db)[0][:2] == ("reconciliation_differences", first)
    differences.record_report(report(ALONE, ODD))
    with validator(payments_db, "reconciliation_differences", all_but(first)):
        closed = differences.close([first, second], by="ann", reason="seen", now=NOW)
    assert closed == [second]


def test_a_write_that_the_driver_cannot_send_fails_alone(
    payments_db: Database[Document],
) -> None:
    numbers = payments_db.numbers
    written = write_independently(
        numbers,
        [
            InsertOne({"_id": "1"}),
            InsertOne({"_id": "2", "n": 2**70}),
            InsertOne({"_id": "1"}),
            InsertOne({"_id": "3", "text": "\ud800"}),
            InsertOne({"_id": "4", "text": "x" * 17_000_000}),
            UpdateOne({"_id": "1"}, {"$set": {"n": 1}}),
        ],
    )
    assert set(written.refused) == {1, 3, 4}
    assert written.refused[1] == "OverflowError"
    assert (written.matched, set(written.duplicates)) == (1, {2})
    payments_db.drop_collection("numbers")


def test_a_faulty_document_is_counted_and_named_to_operators(
    payments_db: Database[Document], store: MongoPayments
) -> None:
    due = group(store)
    with validator(payments_db, "payments", all_but(REFUSED)):
        store.claim_many([sending(one, now=clock()) for one in due])
    exporter.show_faults(document_faults.count_faults(payments_db))
    gauge = metrics.FAULTY_DOCUMENTS
    assert gauge.labels("payments", DocumentFault.REFUSED)._value.get() == 1
    assert gauge.labels("webhooks", DocumentFault.REFUSED)._value.get() == 0
    [index] = [
        one
        for one in payments_db.document_faults.list_indexes()
        if one["name"] == "old"
    ]
    assert index["expireAfterSeconds"] == 0
