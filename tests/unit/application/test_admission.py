"""The breaker of an account: the calls that it admits, and its transitions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta

import pytest

from application.admission import PAUSED_RETRY_DELAY
from application.known_breakers import CACHE_SECONDS
from domain.circuit_breaker import (
    MIN_FAILURES,
    FIRST_PROBE_DELAY,
    MAX_MISCONFIGURED_PROBE_DELAY,
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
from tests.support.account_admission import AWAY, PAYPAL, STRIPE, Account, try_calls


@pytest.fixture
def account() -> Account:
    """An account without a limit, its breaker closed."""
    return Account()


def test_a_closed_breaker_admits_every_call(account: Account) -> None:
    admission = account.admission().admit(STRIPE, 32)
    assert admission.granted == 32
    assert admission.after == 0 and not account.counts.waits


@pytest.mark.parametrize("failure", [NotSent(), OutcomeUnknown("no_answer")])
def test_failures_in_a_row_open_the_breaker_for_every_process(
    account: Account, failure: ProviderError
) -> None:
    one, other = account.admission(), account.admission()
    assert try_calls(one, *[failure] * (MIN_FAILURES - 1)) == MIN_FAILURES - 1
    assert not account.breaker.is_open
    try_calls(one, failure)
    assert account.breaker.trip_reason is TripReason.FAILING
    assert account.counts.opens == {(STRIPE, TripReason.FAILING): 1}
    admission = one.admit(STRIPE, 5)
    assert admission.granted == 0 and admission.retry_in == FIRST_PROBE_DELAY
    assert other.admit(STRIPE, 5).granted == 0
    assert one.admit(PAYPAL, 5).granted == 5


def test_declines_never_open_a_breaker(account: Account) -> None:
    control = account.admission()
    for _ in range(10):
        try_calls(control, *[DECLINE] * 32)
    assert not account.breaker.is_open


def test_failures_below_half_of_the_calls_open_no_breaker(account: Account) -> None:
    control = account.admission()
    for _ in range(MIN_FAILURES):
        try_calls(control, NotSent(), DECLINE, DECLINE)
    assert not account.breaker.is_open


def test_old_failures_open_no_breaker(account: Account) -> None:
    control = account.admission()
    try_calls(control, *AWAY[:-1])
    account.pass_time(timedelta(seconds=WINDOW_SECONDS))
    try_calls(control, NotSent())
    assert not account.breaker.is_open


def test_successful_probe_closes_the_breaker(account: Account) -> None:
    one, other = account.admission(), account.admission()
    try_calls(one, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert one.admit(STRIPE, 32).granted == 1
    assert other.admit(STRIPE, 32).granted == 0
    assert account.counts.probes[STRIPE] == 1
    one.record(STRIPE, [DECLINE])
    assert not account.breaker.is_open
    assert one.admit(STRIPE, 32).granted == 32
    account.pass_time(timedelta(seconds=CACHE_SECONDS))
    assert other.admit(STRIPE, 32).granted == 32


def test_failures_before_the_opening_do_not_open_the_breaker_again(
    account: Account,
) -> None:
    one, other = account.admission(), account.admission()
    try_calls(other, *AWAY[:-1])
    try_calls(one, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert other.admit(STRIPE, 1).granted == 1
    other.record(STRIPE, [DECLINE])
    try_calls(other, NotSent())
    assert not account.breaker.is_open


def test_failed_probe_keeps_the_breaker_open_for_longer(account: Account) -> None:
    control = account.admission()
    try_calls(control, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert try_calls(control, NotSent()) == 1
    assert account.breaker.is_open and account.breaker.failed_probes == 1
    assert account.counts.opens == {(STRIPE, TripReason.FAILING): 1}
    assert control.admit(STRIPE, 5).retry_in == 2 * FIRST_PROBE_DELAY


def test_calls_under_way_at_the_opening_are_no_probes(account: Account) -> None:
    """Other threads record their outcomes while a probe is under way."""
    control = account.admission()
    try_calls(control, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert control.admit(STRIPE, 1).granted == 1
    with ThreadPoolExecutor(1) as stragglers:
        stragglers.submit(control.record, STRIPE, [DECLINE]).result()
        stragglers.submit(control.record, STRIPE, AWAY).result()
    assert account.breaker.is_open and account.breaker.failed_probes == 0
    control.record(STRIPE, [DECLINE])
    try_calls(control, NotSent())
    assert not account.breaker.is_open, "failures before the opening are forgotten"


def test_probe_without_an_outcome_is_followed_by_another(
    account: Account,
) -> None:
    dead, other = account.admission(), account.admission()
    try_calls(dead, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert dead.admit(STRIPE, 1).granted == 1
    account.pass_time(PROBE_TIMEOUT - timedelta(seconds=1))
    assert other.admit(STRIPE, 1).granted == 0
    account.pass_time(timedelta(seconds=1))
    assert other.admit(STRIPE, 1).granted == 1


def test_probe_given_back_by_a_stopping_worker_changes_nothing(
    account: Account,
) -> None:
    control = account.admission()
    try_calls(control, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    try_calls(control, NotSent("worker_stopping"))
    assert account.breaker.is_open and account.breaker.failed_probes == 0


def test_refused_credentials_open_the_breaker_until_a_probe_succeeds(
    account: Account,
) -> None:
    control = account.admission()
    try_calls(control, DECLINE, Misconfigured("token_refused"), DECLINE)
    assert account.breaker.trip_reason is TripReason.MISCONFIGURED
    assert "token_refused" in account.breaker.reason
    assert control.admit(STRIPE, 5).retry_in == FIRST_PROBE_DELAY
    account.pass_time(MAX_MISCONFIGURED_PROBE_DELAY)
    try_calls(control, Misconfigured("token_refused"))
    assert control.admit(STRIPE, 5).granted == 0
    account.pass_time(MAX_MISCONFIGURED_PROBE_DELAY)
    try_calls(control, DECLINE)
    assert not account.breaker.is_open
    assert account.counts.opens == {(STRIPE, TripReason.MISCONFIGURED): 1}


def test_request_without_permission_opens_no_breaker(account: Account) -> None:
    control = account.admission()
    try_calls(control, *[NotPermitted("permission_denied")] * 20)
    assert not account.breaker.is_open
    try_calls(
        control, NotPermitted("permission_denied"), Misconfigured("token_refused")
    )
    assert "token_refused" in account.breaker.reason


def test_a_failing_account_that_refuses_the_credentials_is_misconfigured(
    account: Account,
) -> None:
    control = account.admission()
    try_calls(control, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    try_calls(control, Misconfigured("invalid_api_key"))
    assert account.breaker.trip_reason is TripReason.MISCONFIGURED


def test_breaker_opened_by_an_operator_allows_no_probe(account: Account) -> None:
    control = account.admission()
    account.breakers.open(
        STRIPE, trip_reason=TripReason.OPERATOR, reason="audit", by="ann"
    )
    for _ in range(5):
        admission = control.admit(STRIPE, 32)
        assert admission.granted == 0 and admission.retry_in == PAUSED_RETRY_DELAY
        account.pass_time(timedelta(hours=1))
    account.breakers.close(STRIPE, reason="done", by="ann")
    assert control.admit(STRIPE, 32).granted == 32


def test_breakers_are_read_once_a_second_by_all_threads(account: Account) -> None:
    control = account.admission()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: control.admit(STRIPE, 1), range(100)))
    assert account.breakers.reads == 1
    account.pass_time(timedelta(seconds=CACHE_SECONDS))
    control.admit(STRIPE, 1)
    assert account.breakers.reads == 2


def test_first_admission_waits_for_the_read_of_the_breakers(account: Account) -> None:
    account.breakers.open(
        STRIPE, trip_reason=TripReason.OPERATOR, reason="audit", by="ann"
    )
    control = account.admission()
    account.breakers.answers.clear()
    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(control.admit, STRIPE, 8) for _ in range(4)]
        done, _ = wait(asking, timeout=0.2)
        account.breakers.answers.set()
    assert not done
    assert [one.result().granted for one in asking] == [0] * 4
    assert account.breakers.reads == 1


@pytest.mark.parametrize("is_open", [True, False])
def test_last_known_breakers_hold_without_a_database(
    account: Account, is_open: bool
) -> None:
    control = account.admission()
    if is_open:
        try_calls(control, *AWAY)
    else:
        control.admit(STRIPE, 1)
    account.breakers.away = True
    account.pass_time(FIRST_PROBE_DELAY + timedelta(seconds=CACHE_SECONDS))
    assert control.admit(STRIPE, 9).granted == (0 if is_open else 9)
    control.record(STRIPE, AWAY)  # it cannot be stored now
    account.breakers.away = False
    control.record(STRIPE, [NotSent()])
    assert account.breaker.is_open


def test_postponed_groups_come_back_at_different_times(account: Account) -> None:
    try_calls(account.admission(), *AWAY)
    waits = {
        account.admission(jitter=iter([one]).__next__).admit(STRIPE, 1).retry_in
        for one in (0.0, 0.5, 1.0)
    }
    assert waits == {FIRST_PROBE_DELAY, 1.5 * FIRST_PROBE_DELAY, 2 * FIRST_PROBE_DELAY}


def test_rate_limited_probe_closes_the_breaker(account: Account) -> None:
    control = account.admission()
    try_calls(control, *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    try_calls(control, NotExecuted("rate_limited"))
    assert not account.breaker.is_open
    assert control.admit(STRIPE, 1).granted == 0


def test_probe_with_any_verdict_closes_the_breaker(account: Account) -> None:
    for verdict in Verdict:
        control = account.admission()
        try_calls(control, *AWAY)
        account.pass_time(FIRST_PROBE_DELAY)
        try_calls(control, Answer(verdict))
        assert not account.breaker.is_open
        account.pass_time(timedelta(seconds=WINDOW_SECONDS))
