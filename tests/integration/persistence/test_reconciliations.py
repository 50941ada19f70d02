"""Tests of reconciliation reports and turns on MongoDB."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pymongo.database import Database

from domain.account import Account
from domain.errors import StoreUnavailable
from domain.money import Money
from domain.payments.submission import Mode, ProviderName
from domain.reconciliation import (
    Difference,
    DifferenceKind,
    Movement,
    ReconciliationReport,
    MovementStatus,
    MovementTotal,
    Direction,
)
from persistence import mongo
from persistence.codec import Document
from persistence.reconciliations import LEASE, PERIOD, Reconciliations
from runtime.container import clock, new_id

STRIPE, PAYPAL = map(Account.own, ProviderName)
#: Concurrent beats.
BEATS = 8


@pytest.fixture
def reports(payments_db: Database[Document]) -> Reconciliations:
    return Reconciliations(payments_db, Mode.TEST)


def pass_time(database: Database[Document], by: timedelta) -> None:
    """Brings every turn nearer."""
    earlier = {"$subtract": ["$next_at", by // timedelta(milliseconds=1)]}
    database.reconciliation_turns.update_many({}, [{"$set": {"next_at": earlier}}])


def report(**fields: Any) -> ReconciliationReport:
    """A report with one difference of each shape."""
    now = clock()
    ours = Movement(
        direction=Direction.COLLECTED,
        status=MovementStatus.MOVED,
        money=Money(1999, "USD"),
        at=now,
        ref="ch_1",
        payment="pay_1",
        operation="op_1",
        fee=Money(58, "EUR"),
    )
    refund = replace(
        ours, direction=Direction.REFUNDED, at=None, fee=None, payment=None
    )
    whole = ReconciliationReport(
        id=new_id("rec"),
        mode=Mode.TEST,
        account=STRIPE,
        since=now - timedelta(days=2),
        until=now,
        began_at=now - timedelta(minutes=1),
        ended_at=now,
        compared=7,
        counts={
            DifferenceKind.AMOUNT: 1,
            DifferenceKind.THEIRS_ALONE: 1,
            DifferenceKind.OURS_ALONE: 1,
        },
        differences=(
            Difference(DifferenceKind.AMOUNT, ours, refund),
            Difference(DifferenceKind.THEIRS_ALONE, None, refund),
            Difference(DifferenceKind.OURS_ALONE, ours, None),
        ),
        totals=(MovementTotal(Direction.COLLECTED, "USD", 1999, 1999, 58),),
    )
    return replace(whole, **fields)


def test_the_first_report_is_due_a_day_after_the_first_call(
    reports: Reconciliations, payments_db: Database[Document]
) -> None:
    assert not reports.claim_turn(STRIPE)
    pass_time(payments_db, PERIOD - timedelta(minutes=1))
    assert not reports.claim_turn(STRIPE)
    pass_time(payments_db, timedelta(minutes=1))
    assert reports.claim_turn(STRIPE)
    assert not reports.claim_turn(PAYPAL), "each account has its own turns"


def test_a_turn_is_claimed_by_one_process(
    reports: Reconciliations, payments_db: Database[Document]
) -> None:
    def asked() -> list[bool]:
        with ThreadPoolExecutor(BEATS) as pool:
            return list(pool.map(reports.claim_turn, [STRIPE] * BEATS))

    assert not any(asked())
    pass_time(payments_db, PERIOD)
    assert sum(asked()) == 1
    assert not any(asked())


def test_a_running_process_keeps_its_turn_and_a_dead_one_loses_it(
    reports: Reconciliations, payments_db: Database[Document]
) -> None:
    reports.claim_turn(STRIPE)
    pass_time(payments_db, PERIOD)
    assert reports.claim_turn(STRIPE)
    pass_time(payments_db, LEASE - timedelta(minutes=1))
    reports.renew_turn(STRIPE)
    pass_time(payments_db, timedelta(minutes=2))
    assert not reports.claim_turn(STRIPE)
    pass_time(payments_db, LEASE)
    assert reports.claim_turn(STRIPE)


def test_the_next_report_is_due_a_day_after_the_last(
    reports: Reconciliations, payments_db: Database[Document]
) -> None:
    reports.add_report(report())
    pass_time(payments_db, PERIOD - timedelta(minutes=1))
    assert not reports.claim_turn(STRIPE)
    pass_time(payments_db, timedelta(minutes=1))
    assert reports.claim_turn(STRIPE)


def test_an_account_without_a_turn_is_due(
    reports: Reconciliations, payments_db: Database[Document]
) -> None:
    stored = Account("acct_1", ProviderName.STRIPE)
    everyone = [STRIPE, PAYPAL, stored]
    assert reports.list_due(everyone) == everyone, "no beat has run yet"
    for one in everyone:
        assert not reports.claim_turn(one)
    assert reports.list_due(everyone) == []
    pass_time(payments_db, PERIOD)
    assert reports.claim_turn(STRIPE)
    reports.skip_turn(stored)
    assert reports.list_due(everyone) == [PAYPAL]
    assert Reconciliations(payments_db, Mode.LIVE).list_due(everyone) == everyone


def test_the_last_report_of_any_account_is_found(
    reports: Reconciliations, payments_db: Database[Document]
) -> None:
    stored = Account("acct_1", ProviderName.STRIPE)
    first, second = report(account=stored), report(account=stored)
    own = report()
    for one in (first, second, own):
        reports.add_report(one)
    assert reports.list_last() == [own, second]
    # Earlier releases did not store the last report's id in the turn.
    payments_db.reconciliation_turns.delete_one({"_id": "test:stripe"})
    assert reports.list_last() == [own, second]


def test_the_last_report_of_each_provider_is_read_back_unchanged(
    reports: Reconciliations, payments_db: Database[Document]
) -> None:
    assert reports.list_last() == []
    old = report(ended_at=clock() - timedelta(days=1))
    new, other = report(), report(account=PAYPAL)
    for one in (old, new, other):
        reports.add_report(one)
    assert reports.list_last() == [new, other]
    assert reports.list_last(listed=False) == [
        replace(one, differences=()) for one in (new, other)
    ]
    assert Reconciliations(payments_db, Mode.LIVE).list_last() == []


def test_a_report_without_a_start_began_at_its_end(
    reports: Reconciliations, payments_db: Database[Document]
) -> None:
    old = report()
    reports.add_report(old)
    payments_db.reconciliations.update_one({"_id": old.id}, {"$unset": {"began_at": 1}})
    [kept] = reports.list_last()
    assert kept == replace(old, began_at=old.ended_at)


def test_reports_are_deleted_after_90_days(payments_db: Database[Document]) -> None:
    indexes = payments_db.reconciliations.index_information()
    [kept] = [one for one in indexes.values() if "expireAfterSeconds" in one]
    assert kept["key"] == [("ended_at", 1)]
    assert timedelta(seconds=kept["expireAfterSeconds"]) == timedelta(days=90)


def test_every_call_without_a_server_raises() -> None:
    database = mongo.connect("mongodb://127.0.0.1:1", "none")
    lost = Reconciliations(database, Mode.TEST)
    with pytest.raises(StoreUnavailable):
        lost.list_last()
    database.client.close()
