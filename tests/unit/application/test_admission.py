"""The breaker of an account: what it lets through, and what moves it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta

import pytest

from application.admission import CACHE_SECONDS, PAUSED_RETRY_DELAY
from domain.circuit_breaker import (
    MIN_FAILURES,
    FIRST_PROBE_DELAY,
    MISCONFIGURED_PROBE_DELAY,
    PROBE_TIMEOUT,
    WINDOW_SECONDS,
    TripReason,
)
from domain.errors import (
    Misconfigured,
    NotExecuted,
    NotPermitted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.answer import Answer, Verdict
from tests.suites.samples import DECLINE
from tests.support.account_admission import AWAY, PAYPAL, STRIPE, Account, tried


@pytest.fixture
def account() -> Account:
    """An account without a limit, its breaker closed."""
    return Account()


def test_a_closed_gate_lets_everything_through(account: Account) -> None:
    admission = account.gates().admit(STRIPE, 32)
    assert admission.granted == 32
    assert admission.after == 0 and not account.counts.waits


@pytest.mark.parametrize("failure", [NotSent(), OutcomeUnknown("no_answer")])
def test_a_run_of_failures_opens_the_gate_for_every_process(
    account: Account, failure: ProviderError
) -> None:
    one, other = account.gates(), account.gates()
    assert tried(one, *[failure] * (MIN_FAILURES - 1)) == MIN_FAILURES - 1
    assert not account.gate.is_open
    tried(one, failure)
    assert account.gate.trip_reason is TripReason.FAILING
    assert account.counts.opens == {(STRIPE, TripReason.FAILING): 1}
    admission = one.admit(STRIPE, 5)
    assert admission.granted == 0 and admission.again_in == FIRST_PROBE_DELAY
    assert other.admit(STRIPE, 5).granted == 0
    assert one.admit(PAYPAL, 5).granted == 5


def test_declines_never_open_a_gate(account: Account) -> None:
    gates = account.gates()
    for _ in range(10):
        tried(gates, *[DECLINE] * 32)
    assert not account.gate.is_open


def test_failures_that_are_the_lesser_part_open_nothing(account: Account) -> None:
    gates = account.gates()
    for _ in range(MIN_FAILURES):
        tried(gates, NotSent(), DECLINE, DECLINE)
    assert not account.gate.is_open


def test_failures_long_ago_open_nothing(account: Account) -> None:
    gates = account.gates()
    tried(gates, *AWAY[:-1])
    account.pass_time(timedelta(seconds=WINDOW_SECONDS))
    tried(gates, NotSent())
    assert not account.gate.is_open


def test_one_probe_goes_through_whose_success_closes_the_gate(account: Account) -> None:
    one, other = account.gates(), account.gates()
    tried(one, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert one.admit(STRIPE, 32).granted == 1
    assert other.admit(STRIPE, 32).granted == 0
    assert account.counts.probes[STRIPE] == 1
    one.record(STRIPE, [DECLINE])
    assert not account.gate.is_open
    assert one.admit(STRIPE, 32).granted == 32
    account.pass_time(timedelta(seconds=CACHE_SECONDS))
    assert other.admit(STRIPE, 32).granted == 32


def test_what_failed_before_a_gate_opened_does_not_open_it_again(
    account: Account,
) -> None:
    one, other = account.gates(), account.gates()
    tried(other, *AWAY[:-1])
    tried(one, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert other.admit(STRIPE, 1).granted == 1
    other.record(STRIPE, [DECLINE])
    tried(other, NotSent())
    assert not account.gate.is_open


def test_a_probe_that_fails_leaves_the_gate_open_for_longer(account: Account) -> None:
    gates = account.gates()
    tried(gates, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert tried(gates, NotSent()) == 1
    assert account.gate.is_open and account.gate.failed_probes == 1
    assert account.counts.opens == {(STRIPE, TripReason.FAILING): 1}
    assert gates.admit(STRIPE, 5).again_in == 2 * FIRST_PROBE_DELAY


def test_calls_under_way_when_a_gate_opened_are_no_probes(account: Account) -> None:
    """Their outcomes come from other threads, while a probe is out."""
    gates = account.gates()
    tried(gates, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert gates.admit(STRIPE, 1).granted == 1
    with ThreadPoolExecutor(1) as stragglers:
        stragglers.submit(gates.record, STRIPE, [DECLINE]).result()
        stragglers.submit(gates.record, STRIPE, AWAY).result()
    assert account.gate.is_open and account.gate.failed_probes == 0
    gates.record(STRIPE, [DECLINE])
    tried(gates, NotSent())
    assert not account.gate.is_open, "it forgot what failed while it was open"


def test_a_probe_that_was_never_heard_of_is_followed_by_another(
    account: Account,
) -> None:
    dead, other = account.gates(), account.gates()
    tried(dead, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert dead.admit(STRIPE, 1).granted == 1
    account.pass_time(PROBE_TIMEOUT - timedelta(seconds=1))
    assert other.admit(STRIPE, 1).granted == 0
    account.pass_time(timedelta(seconds=1))
    assert other.admit(STRIPE, 1).granted == 1


def test_a_probe_that_a_stopping_worker_gave_back_says_nothing(
    account: Account,
) -> None:
    gates = account.gates()
    tried(gates, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    tried(gates, NotSent("worker_stopping"))
    assert account.gate.is_open and account.gate.failed_probes == 0


def test_refused_credentials_open_the_gate_at_once_until_a_probe_a_minute_works(
    account: Account,
) -> None:
    gates = account.gates()
    tried(gates, DECLINE, Misconfigured("token_refused"), DECLINE)
    assert account.gate.trip_reason is TripReason.MISCONFIGURED
    assert "token_refused" in account.gate.reason
    assert gates.admit(STRIPE, 5).again_in == FIRST_PROBE_DELAY
    account.pass_time(MISCONFIGURED_PROBE_DELAY)
    tried(gates, Misconfigured("token_refused"))
    assert gates.admit(STRIPE, 5).granted == 0
    account.pass_time(MISCONFIGURED_PROBE_DELAY)
    tried(gates, DECLINE)
    assert not account.gate.is_open
    assert account.counts.opens == {(STRIPE, TripReason.MISCONFIGURED): 1}


def test_one_thing_that_is_not_permitted_opens_no_gate(account: Account) -> None:
    gates = account.gates()
    tried(gates, *[NotPermitted("permission_denied")] * 20)
    assert not account.gate.is_open
    tried(gates, NotPermitted("permission_denied"), Misconfigured("token_refused"))
    assert "token_refused" in account.gate.reason


def test_a_failing_account_that_refuses_us_is_misconfigured(account: Account) -> None:
    gates = account.gates()
    tried(gates, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    tried(gates, Misconfigured("invalid_api_key"))
    assert account.gate.trip_reason is TripReason.MISCONFIGURED


def test_an_operators_gate_lets_no_probe_through(account: Account) -> None:
    gates = account.gates()
    account.breakers.open(
        STRIPE, trip_reason=TripReason.OPERATOR, reason="audit", by="ann"
    )
    for _ in range(5):
        admission = gates.admit(STRIPE, 32)
        assert admission.granted == 0 and admission.again_in == PAUSED_RETRY_DELAY
        account.pass_time(timedelta(hours=1))
    account.breakers.close(STRIPE, reason="done", by="ann")
    assert gates.admit(STRIPE, 32).granted == 32


def test_the_gates_are_read_once_a_second_whoever_asks(account: Account) -> None:
    gates = account.gates()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: gates.admit(STRIPE, 1), range(100)))
    assert account.breakers.reads == 1
    account.pass_time(timedelta(seconds=CACHE_SECONDS))
    gates.admit(STRIPE, 1)
    assert account.breakers.reads == 2


def test_nothing_passes_a_process_before_it_knows_its_gates(account: Account) -> None:
    account.breakers.open(
        STRIPE, trip_reason=TripReason.OPERATOR, reason="audit", by="ann"
    )
    gates = account.gates()
    account.breakers.answers.clear()
    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(gates.admit, STRIPE, 8) for _ in range(4)]
        done, _ = wait(asking, timeout=0.2)
        account.breakers.answers.set()
    assert not done
    assert [one.result().granted for one in asking] == [0] * 4
    assert account.breakers.reads == 1


@pytest.mark.parametrize("is_open", [True, False])
def test_without_a_database_what_was_known_last_goes_on(
    account: Account, is_open: bool
) -> None:
    gates = account.gates()
    if is_open:
        tried(gates, *AWAY)
    else:
        gates.admit(STRIPE, 1)
    account.breakers.away = True
    account.pass_time(FIRST_PROBE_DELAY + timedelta(seconds=CACHE_SECONDS))
    assert gates.admit(STRIPE, 9).granted == (0 if is_open else 9)
    gates.record(STRIPE, AWAY)  # which cannot be kept now
    account.breakers.away = False
    gates.record(STRIPE, [NotSent()])
    assert account.gate.is_open


def test_those_who_are_put_off_together_come_back_apart(account: Account) -> None:
    tried(account.gates(), *AWAY)
    waits = {
        account.gates(jitter=iter([one]).__next__).admit(STRIPE, 1).again_in
        for one in (0.0, 0.5, 1.0)
    }
    assert waits == {FIRST_PROBE_DELAY, 1.5 * FIRST_PROBE_DELAY, 2 * FIRST_PROBE_DELAY}


def test_a_probe_that_is_only_too_fast_closes_the_gate(account: Account) -> None:
    gates = account.gates()
    tried(gates, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    tried(gates, NotExecuted("rate_limited"))
    assert not account.gate.is_open
    assert gates.admit(STRIPE, 1).granted == 0


def test_every_verdict_closes_a_gate(account: Account) -> None:
    for verdict in Verdict:
        gates = account.gates()
        tried(gates, *AWAY)
        account.pass_time(FIRST_PROBE_DELAY)
        tried(gates, Answer(verdict))
        assert not account.gate.is_open
        account.pass_time(timedelta(seconds=WINDOW_SECONDS))
