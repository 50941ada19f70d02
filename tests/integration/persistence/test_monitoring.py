"""Tests of the counts of metrics."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pymongo.database import Database

from domain.payments.settle import settle
from domain.payments.payment import WAKEUP_GRACE
from domain.payments.submission import ProviderName
from domain.payments.apply_answer import escalate
from persistence import monitoring
from persistence.codec import Document
from persistence.encryption import Vault
from persistence.payments import MongoPayments
from runtime.container import clock
from tests.suites.samples import insert_all, payment, sending, submission
from tests.support.fakes import pay


def test_an_empty_database_has_no_backlog(payments_db: Database[Document]) -> None:
    assert monitoring.count_backlog(payments_db) == monitoring.Backlog({}, {}, 0)


def test_the_backlog_has_the_open_and_due_work_and_its_age(
    payments_db: Database[Document], vault: Vault
) -> None:
    store, now = MongoPayments(payments_db, vault, lease_holder="one"), clock()
    paypal = submission(provider=ProviderName.PAYPAL)
    later = submission(execute_at=now + timedelta(hours=1))
    new = insert_all(
        store,
        [
            payment(1, now=now - timedelta(minutes=1)),
            payment(2, submitted=later, now=now),
            payment(3, submitted=paypal, now=now - WAKEUP_GRACE),
            payment(4, now=now),
            payment(5, now=now),
            payment(6, now=now),
        ],
    )
    [running, done, review] = store.claim_many(
        [sending(one, now=now) for one in new[3:]]
    )
    store.settle_many(
        [
            settle(done, pay(done), now=now, jitter=0),
            replace(
                escalate(review, review.first_operation, "why", now=now), claim=None
            ),
        ]
    )
    backlog = monitoring.count_backlog(payments_db)
    assert backlog.open == {
        ("stripe", "queued"): 2,
        ("paypal", "queued"): 1,
        ("stripe", "running"): 1,
        ("stripe", "review"): 1,
    }
    assert {state: due for state, due in backlog.due.items() if due} == {"queued": 2}
    assert backlog.oldest_due_seconds == pytest.approx(60, abs=5)
    assert running.id == payment(4).id


def test_a_worker_repeats_its_heartbeat(
    payments_db: Database[Document],
) -> None:
    monitoring.report_alive(payments_db, "one", slots=8, busy=1)
    monitoring.report_alive(payments_db, "one", slots=8, busy=3, proxy="$http://p:3128")
    [worker] = payments_db.workers.find()
    assert abs(worker.pop("at") - clock()) < timedelta(seconds=5)
    assert worker == {"_id": "one", "slots": 8, "busy": 3, "proxy": "$http://p:3128"}
