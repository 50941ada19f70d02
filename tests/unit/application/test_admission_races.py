"""A breaker that another process changes between a read and a step."""

from __future__ import annotations

import pytest

from domain.circuit_breaker import MIN_FAILURES, FIRST_PROBE_DELAY, TripReason
from tests.suites.samples import DECLINE
from tests.support.account_admission import AWAY, STRIPE, Account, try_calls


@pytest.fixture
def account() -> Account:
    """An account without a limit, its breaker closed."""
    return Account()


def test_a_probe_claimed_by_another_process_is_not_sent_twice(account: Account) -> None:
    one, other = account.admission(), account.admission()
    try_calls(one, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert one.admit(STRIPE, 0).granted == 0  # it has read that a probe is due
    assert other.admit(STRIPE, 1).granted == 1
    assert one.admit(STRIPE, 1).granted == 0
    assert account.counts.probes[STRIPE] == 1


def test_a_probe_that_cannot_be_stored_is_not_sent(account: Account) -> None:
    control = account.admission()
    try_calls(control, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    control.admit(STRIPE, 0)
    account.breakers.away = True
    assert control.admit(STRIPE, 1).granted == 0


def test_successful_probe_does_not_close_a_breaker_opened_by_an_operator(
    account: Account,
) -> None:
    control = account.admission()
    try_calls(control, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert control.admit(STRIPE, 1).granted == 1
    account.breakers.open(
        STRIPE, trip_reason=TripReason.OPERATOR, reason="audit", by="ann"
    )
    control.record(STRIPE, [DECLINE])
    assert account.breaker.trip_reason is TripReason.OPERATOR


def test_process_that_meets_a_changed_breaker_reads_it_at_once(
    account: Account,
) -> None:
    control = account.admission()
    assert control.admit(STRIPE, MIN_FAILURES).granted == MIN_FAILURES
    account.breakers.open(
        STRIPE, trip_reason=TripReason.OPERATOR, reason="audit", by="ann"
    )
    control.record(STRIPE, AWAY)
    assert account.breaker.trip_reason is TripReason.OPERATOR
    assert control.admit(STRIPE, 1).granted == 0
    assert account.counts.opens[STRIPE, TripReason.FAILING] == 0
