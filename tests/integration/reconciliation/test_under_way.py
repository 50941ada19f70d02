"""Books are compared during payments: an operation in progress is no difference."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from domain.provider_rules import PAYPAL_RULES
from domain.reconciliation import ReconciliationReport
from runtime.settings import Settings
from tests.support.reconciliation_shop import PAYPAL, STORIES, STRIPE, Day, open_day
from tests.support.simulator_process import simulator

#: Payments per story.
TIMES = 12
BUSY = {
    f"{name} {number}": story
    for name, story in STORIES.items()
    for number in range(TIMES)
}


@pytest.fixture
def shop(settings: Settings) -> Iterator[Day]:
    """A day that has not begun, at simulators with 0.1 s per call."""
    slow = ("--latency", "0.1")
    with simulator("stripe", *slow) as stripe, simulator("paypal", *slow) as paypal:
        with open_day(settings, {STRIPE: stripe, PAYPAL: paypal}, BUSY) as opened:
            yield opened


def test_the_lag_of_a_list_counts_from_the_start_of_reading(shop: Day) -> None:
    span = 2 * PAYPAL_RULES.list_lag
    report = shop.report(PAYPAL, span=span)
    assert report.ended_at - report.began_at >= timedelta(seconds=0.1)
    assert report.may_lack_after == report.began_at - PAYPAL_RULES.list_lag
    assert shop.report(STRIPE, span=span).may_lack_after is None


def test_books_compared_during_payments_always_agree(shop: Day) -> None:
    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(shop.live, BUSY)
        reports: list[ReconciliationReport] = []
        while not working.done():
            reports += [shop.report(STRIPE), shop.report(PAYPAL)]
        working.result()
    assert len(reports) >= 4, "some reports were made during payments"
    assert [one.differences for one in reports] == [()] * len(reports)
    for provider in (STRIPE, PAYPAL):
        report = shop.report(provider)
        assert report.differences == ()
        assert all(one.ours == one.theirs > 0 for one in report.totals)
