"""A breaker that somebody else moves between a look at it and a step."""

from __future__ import annotations

import pytest

from domain.circuit_breaker import MIN_FAILURES, FIRST_PROBE_DELAY, TripReason
from tests.suites.samples import DECLINE
from tests.support.account_admission import AWAY, STRIPE, Account, tried


@pytest.fixture
def account() -> Account:
    """An account without a limit, its breaker closed."""
    return Account()


def test_a_probe_that_another_process_took_is_not_sent_twice(account: Account) -> None:
    one, other = account.gates(), account.gates()
    tried(one, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert one.admit(STRIPE, 0).granted == 0  # it has seen that one is due
    assert other.admit(STRIPE, 1).granted == 1
    assert one.admit(STRIPE, 1).granted == 0
    assert account.counts.probes[STRIPE] == 1


def test_no_probe_is_sent_that_cannot_be_written_down(account: Account) -> None:
    gates = account.gates()
    tried(gates, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    gates.admit(STRIPE, 0)
    account.breakers.away = True
    assert gates.admit(STRIPE, 1).granted == 0


def test_a_probe_that_succeeds_does_not_close_an_operators_gate(
    account: Account,
) -> None:
    gates = account.gates()
    tried(gates, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert gates.admit(STRIPE, 1).granted == 1
    account.breakers.open(
        STRIPE, trip_reason=TripReason.OPERATOR, reason="audit", by="ann"
    )
    gates.record(STRIPE, [DECLINE])
    assert account.gate.trip_reason is TripReason.OPERATOR


def test_who_finds_a_gate_opened_by_another_sees_how_it_is_at_once(
    account: Account,
) -> None:
    gates = account.gates()
    assert gates.admit(STRIPE, MIN_FAILURES).granted == MIN_FAILURES
    account.breakers.open(
        STRIPE, trip_reason=TripReason.OPERATOR, reason="audit", by="ann"
    )
    gates.record(STRIPE, AWAY)
    assert account.gate.trip_reason is TripReason.OPERATOR
    assert gates.admit(STRIPE, 1).granted == 0
    assert account.counts.opens[STRIPE, TripReason.FAILING] == 0
