"""Tests of differences: open until an operator closes them or the sides agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from domain.account import Account
from domain.money import Money
from domain.payments.submission import Mode, ProviderName
from domain.reconciliation import (
    Difference,
    DifferenceKind,
    Movement,
    ReconciliationReport,
    MovementStatus,
    Direction,
)
from persistence.codec import Document
from persistence.differences import MongoDifferences
from runtime.container import new_id
from tests.suites.samples import NOW

STRIPE, PAYPAL = map(Account.own, ProviderName)
HOUR = timedelta(hours=1)
THEIRS = Movement(
    direction=Direction.COLLECTED,
    status=MovementStatus.MOVED,
    money=Money(4200, "USD"),
    at=NOW,
    ref="ch_1",
    payment=None,
    operation=None,
)
ALONE = Difference(DifferenceKind.THEIRS_ALONE, None, THEIRS)
#: Another movement, half an hour later.
OURS = replace(THEIRS, at=NOW + HOUR / 2, ref="ch_2", payment="pay_2", operation="op_2")
ODD = Difference(DifferenceKind.AMOUNT, OURS, replace(OURS, money=Money(1, "USD")))


@pytest.fixture
def kept(payments_db: Database[Document]) -> MongoDifferences:
    return MongoDifferences(payments_db, Mode.TEST)


def report(*found: Difference, **fields: Any) -> ReconciliationReport:
    """A comparison of the hour before and the hour after NOW."""
    whole = ReconciliationReport(
        id=new_id("rec"),
        mode=Mode.TEST,
        account=STRIPE,
        since=NOW - HOUR,
        until=NOW + HOUR,
        began_at=NOW + HOUR,
        ended_at=NOW + HOUR,
        compared=9,
        counts={one.kind: 1 for one in found},
        differences=found,
        totals=(),
    )
    return replace(whole, **fields)


def closed(kept: MongoDifferences, *ids: str, now: datetime = NOW + HOUR) -> list[str]:
    return kept.close(ids, by="ann", reason="a test charge", now=now)


def test_a_difference_is_open_from_its_first_report(
    kept: MongoDifferences,
) -> None:
    kept.record_report(report(ALONE, ODD))
    kept.record_report(report(ALONE, ODD, ended_at=NOW + 2 * HOUR))
    found = kept.list_open()
    assert {one.difference for one in found} == {ALONE, ODD}
    assert {one.account for one in found} == {STRIPE}
    assert len({one.id for one in found}) == 2
    for one in found:
        assert (one.first_at, one.last_at) == (NOW + HOUR, NOW + 2 * HOUR)
    assert kept.count_open() == {("stripe", kind): 1 for kind in (ALONE.kind, ODD.kind)}


def test_a_resolved_difference_is_deleted(kept: MongoDifferences) -> None:
    kept.record_report(report(ALONE, ODD))
    kept.record_report(report(ODD))
    assert [one.difference for one in kept.list_open()] == [ODD]
    kept.record_report(report())
    assert (kept.list_open(), kept.count_open()) == ([], {})


@pytest.mark.parametrize(
    "other",
    [
        report(since=NOW + HOUR, until=NOW + 2 * HOUR),
        report(since=NOW - 2 * HOUR, until=NOW),
        report(account=PAYPAL),
        report(counts={DifferenceKind.STATE: 1}),
    ],
    ids=["later", "earlier", "another account", "not all listed"],
)
def test_an_incomplete_report_leaves_a_difference_open(
    kept: MongoDifferences, other: ReconciliationReport
) -> None:
    kept.record_report(report(ALONE))
    kept.record_report(other)
    assert [one.difference for one in kept.list_open()] == [ALONE]


def test_a_closed_difference_stays_closed_while_it_is_unchanged(
    kept: MongoDifferences, payments_db: Database[Document]
) -> None:
    kept.record_report(report(ALONE))
    [one] = kept.list_open()
    assert closed(kept, one.id, "dif_nobody") == [one.id]
    assert closed(kept, one.id) == [], "once"
    kept.record_report(report(ALONE))
    assert kept.list_open() == []
    stored = payments_db.reconciliation_differences.find_one({"_id": one.id})
    assert stored is not None
    assert (stored["closed"]["by"], stored["closed"]["reason"]) == (
        "ann",
        "a test charge",
    )


def test_a_closed_difference_that_changes_is_open_again(
    kept: MongoDifferences,
) -> None:
    kept.record_report(report(ALONE))
    [one] = kept.list_open()
    closed(kept, one.id)
    more = Difference(ALONE.kind, None, replace(THEIRS, money=Money(4300, "USD")))
    kept.record_report(report(more))
    [again] = kept.list_open()
    assert (again.id, again.difference) == (one.id, more)
    assert again.first_at == one.first_at


def test_modes_and_accounts_have_separate_differences(
    kept: MongoDifferences, payments_db: Database[Document]
) -> None:
    kept.record_report(report(ALONE))
    kept.record_report(report(ALONE, account=PAYPAL))
    assert len({one.id for one in kept.list_open()}) == 2
    live = MongoDifferences(payments_db, Mode.LIVE)
    assert (live.list_open(), live.count_open()) == ([], {})
    assert live.close([kept.list_open()[0].id], by="ann", reason="r", now=NOW) == []


def test_open_differences_are_listed_oldest_first(kept: MongoDifferences) -> None:
    kept.record_report(report(ODD))
    kept.record_report(report(ALONE, ODD, ended_at=NOW + 2 * HOUR))
    assert [one.difference for one in kept.list_open()] == [ODD, ALONE]
