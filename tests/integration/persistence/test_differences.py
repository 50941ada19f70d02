"""What differs is open until a person closes it, or the books agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from domain.account import Account
from domain.money import Money
from domain.payments.submission import Mode, ProviderName
from domain.reconciliation import Difference, Differs, Movement, Report, Standing, Way
from persistence.codec import Document
from persistence.differences import Differences
from runtime.container import new_id
from tests.suites.samples import NOW

STRIPE, PAYPAL = map(Account.own, ProviderName)
HOUR = timedelta(hours=1)
THEIRS = Movement(
    way=Way.COLLECTED,
    standing=Standing.MOVED,
    money=Money(4200, "USD"),
    at=NOW,
    ref="ch_1",
    payment=None,
    operation=None,
)
ALONE = Difference(Differs.THEIRS_ALONE, None, THEIRS)
#: Another movement, half an hour later.
OURS = replace(THEIRS, at=NOW + HOUR / 2, ref="ch_2", payment="pay_2", operation="op_2")
ODD = Difference(Differs.AMOUNT, OURS, replace(OURS, money=Money(1, "USD")))


@pytest.fixture
def kept(payments_db: Database[Document]) -> Differences:
    return Differences(payments_db, Mode.TEST)


def report(*found: Difference, **fields: Any) -> Report:
    """A comparison of the hour before and the hour after NOW."""
    whole = Report(
        id=new_id("rec"),
        mode=Mode.TEST,
        account=STRIPE,
        since=NOW - HOUR,
        until=NOW + HOUR,
        began_at=NOW + HOUR,
        ended_at=NOW + HOUR,
        compared=9,
        counts={one.differs: 1 for one in found},
        differences=found,
        sums=(),
    )
    return replace(whole, **fields)


def closed(kept: Differences, *ids: str, now: datetime = NOW + HOUR) -> list[str]:
    return kept.close(ids, by="ann", reason="a test charge", now=now)


def test_what_differs_is_open_from_the_first_time_that_it_is_found(
    kept: Differences,
) -> None:
    kept.take(report(ALONE, ODD))
    kept.take(report(ALONE, ODD, ended_at=NOW + 2 * HOUR))
    found = kept.open()
    assert {one.difference for one in found} == {ALONE, ODD}
    assert {one.account for one in found} == {STRIPE}
    assert len({one.id for one in found}) == 2
    for one in found:
        assert (one.first_at, one.last_at) == (NOW + HOUR, NOW + 2 * HOUR)
    assert kept.counts() == {
        ("stripe", kind): 1 for kind in (ALONE.differs, ODD.differs)
    }


def test_what_agrees_by_now_is_open_no_more(kept: Differences) -> None:
    kept.take(report(ALONE, ODD))
    kept.take(report(ODD))
    assert [one.difference for one in kept.open()] == [ODD]
    kept.take(report())
    assert (kept.open(), kept.counts()) == ([], {})


@pytest.mark.parametrize(
    "other",
    [
        report(since=NOW + HOUR, until=NOW + 2 * HOUR),
        report(since=NOW - 2 * HOUR, until=NOW),
        report(account=PAYPAL),
        report(counts={Differs.STATE: 1}),
    ],
    ids=["later", "earlier", "another account", "not all listed"],
)
def test_a_report_that_tells_nothing_of_it_leaves_it_open(
    kept: Differences, other: Report
) -> None:
    kept.take(report(ALONE))
    kept.take(other)
    assert [one.difference for one in kept.open()] == [ALONE]


def test_what_a_person_closed_stays_closed_while_it_is_as_it_was(
    kept: Differences, payments_db: Database[Document]
) -> None:
    kept.take(report(ALONE))
    [one] = kept.open()
    assert closed(kept, one.id, "dif_nobody") == [one.id]
    assert closed(kept, one.id) == [], "once"
    kept.take(report(ALONE))
    assert kept.open() == []
    stored = payments_db.reconciliation_differences.find_one({"_id": one.id})
    assert stored is not None
    assert (stored["closed"]["by"], stored["closed"]["reason"]) == (
        "ann",
        "a test charge",
    )


def test_what_has_changed_since_it_was_closed_is_open_again(kept: Differences) -> None:
    kept.take(report(ALONE))
    [one] = kept.open()
    closed(kept, one.id)
    more = Difference(ALONE.differs, None, replace(THEIRS, money=Money(4300, "USD")))
    kept.take(report(more))
    [again] = kept.open()
    assert (again.id, again.difference) == (one.id, more)
    assert again.first_at == one.first_at


def test_modes_and_accounts_have_differences_of_their_own(
    kept: Differences, payments_db: Database[Document]
) -> None:
    kept.take(report(ALONE))
    kept.take(report(ALONE, account=PAYPAL))
    assert len({one.id for one in kept.open()}) == 2
    live = Differences(payments_db, Mode.LIVE)
    assert (live.open(), live.counts()) == ([], {})
    assert live.close([kept.open()[0].id], by="ann", reason="r", now=NOW) == []


def test_the_oldest_is_first(kept: Differences) -> None:
    kept.take(report(ODD))
    kept.take(report(ALONE, ODD, ended_at=NOW + 2 * HOUR))
    assert [one.difference for one in kept.open()] == [ODD, ALONE]
