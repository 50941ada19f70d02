"""Rate limits of an account, and waits that its provider requests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from application.admission import MAX_BUSY_PAUSE, MAX_TOKEN_WAIT, MIN_RETRY_DELAY
from domain.circuit_breaker import MIN_FAILURES
from domain.errors import NotExecuted, ProviderError
from tests.support.account_admission import STRIPE, Account


def test_calls_over_the_rate_limit_wait_a_little_or_are_postponed() -> None:
    account = Account(rate=20)
    control = account.admission()
    admission = control.admit(STRIPE, 32)
    assert admission.granted == 15
    assert admission.after == pytest.approx(2 * MAX_TOKEN_WAIT)
    assert admission.retry_in >= MIN_RETRY_DELAY
    assert account.counts.waits == {STRIPE: 17}
    assert not account.breaker.is_open


def test_a_backlog_leaves_tokens_for_urgent_calls() -> None:
    account = Account(rate=20)
    control = account.admission()
    asked = [
        *(control.admit(STRIPE, 32, urgent=False) for _ in range(2)),
        control.admit(STRIPE, 32),
    ]
    assert [one.granted for one in asked] == [10, 0, 5]
    waits = [MAX_TOKEN_WAIT, 0, 2 * MAX_TOKEN_WAIT]
    assert [one.after for one in asked] == pytest.approx(waits)


@pytest.mark.parametrize(
    ("outcomes", "seconds"),
    [
        ([NotExecuted("rate_limited", retry_after=timedelta(seconds=7))], 7),
        ([NotExecuted("rate_limited"), NotExecuted("lock_timeout")], 1),
        (
            [NotExecuted("rate_limited", retry_after=timedelta(hours=1))],
            MAX_BUSY_PAUSE.total_seconds(),
        ),
    ],
)
def test_a_rate_limited_account_gets_no_calls_for_the_requested_time(
    outcomes: Sequence[ProviderError], seconds: float
) -> None:
    account = Account()
    control = account.admission()
    for _ in range(MIN_FAILURES):
        control.record(STRIPE, outcomes)
    assert not account.breaker.is_open
    admission = account.admission().admit(STRIPE, 5)
    assert admission.granted == 0
    assert admission.retry_in == timedelta(seconds=seconds)
    account.pass_time(timedelta(seconds=seconds))
    assert control.admit(STRIPE, 5).granted == 5
