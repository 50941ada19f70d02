"""Tests of a comparison's calls: their retries, rate limits and breakers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from application.reconciliation.comparison import SLICE_LENGTH
from domain.circuit_breaker import TripReason
from domain.errors import (
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotReconciled,
    OutcomeUnknown,
    ProviderError,
)
from tests.support.account_admission import STRIPE
from tests.support.compared_accounts import Books, kinds


@pytest.mark.parametrize(
    "error", [OutcomeUnknown("no_answer"), NotExecuted("rate_limited")]
)
def test_a_call_with_a_passing_error_is_repeated(error: ProviderError) -> None:
    books = Books()
    books.paid()
    books.statement.fails = [error] * 3
    assert kinds(books.report()) == []
    books.statement.fails = [error] * 4
    with pytest.raises(NotReconciled, match=f"{error.detail}.*no report"):
        books.report()


@pytest.mark.parametrize("error", [Misconfigured("no_right"), NeedsReview("odd")])
def test_a_lasting_error_ends_the_reconciliation_and_opens_no_breaker(
    error: ProviderError,
) -> None:
    books = Books()
    books.statement.fails = [error]
    with pytest.raises(NotReconciled, match=error.detail):
        books.report()
    assert books.statement.fails == []
    assert not books.account.breaker.is_open


def test_a_rate_limited_call_pauses_the_reconciliation_for_the_requested_time() -> None:
    books = Books(rate=100)
    wait = timedelta(seconds=7)
    books.statement.fails = [NotExecuted("rate_limited", retry_after=wait)]
    began = books.account.passed
    books.report()
    assert books.account.passed - began >= 7
    books.statement.fails = [OutcomeUnknown("no_answer", retry_after=SLICE_LENGTH)]
    began = books.account.passed
    books.report()
    assert 60 <= books.account.passed - began < 90, "but not for an hour"


def test_calls_wait_for_the_accounts_bucket_and_for_the_pace() -> None:
    books = Books(rate=10, pace=0.5)
    began = books.account.passed
    books.report()
    assert books.statement.pages == 6
    assert books.account.passed - began == pytest.approx(6 * 0.5)


def test_an_open_breaker_stops_all_calls() -> None:
    books = Books()
    books.account.breakers.open(
        STRIPE, trip_reason=TripReason.OPERATOR, reason="audit", by="ann"
    )
    with pytest.raises(NotReconciled, match="audit"):
        books.report()
    assert books.statement.pages == 0


def test_a_rate_limited_reconciliation_pauses_the_calls_of_payments_too() -> None:
    books = Books(rate=10)
    granted: list[int] = []

    def sleep(seconds: float) -> None:
        if not books.statement.fails:
            granted.append(books.account.limiter.acquire(STRIPE, 1, 0.0).granted)
        books.account.passed += seconds

    books.context = replace(books.context, sleep=sleep)
    books.statement.fails = [NotExecuted("rate_limited")]
    books.report(SLICE_LENGTH)
    assert granted[0] == 0
