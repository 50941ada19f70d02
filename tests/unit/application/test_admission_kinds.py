"""The effect of refusals of one kind of calls, or of one operation, on other calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from application.admission import SharedAdmissionControl
from application.known_breakers import CACHE_SECONDS
from application.ports.admission import Admission
from domain.circuit_breaker import (
    ACCOUNT_REPROBE_DELAY,
    FIRST_PROBE_DELAY,
    KIND_REPROBE_DELAY,
    MAX_MISCONFIGURED_PROBE_DELAY,
    PROBE_TIMEOUT,
    Call,
    CallKind,
    CircuitBreaker,
    TripReason,
    breaker_name,
)
from domain.errors import (
    Misconfigured,
    NotAuthorized,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.answer import Answer
from tests.suites.samples import DECLINE
from tests.support.account_admission import AWAY, STRIPE, Account, try_calls

REFUNDS = breaker_name(STRIPE, CallKind.REFUNDS)
REFUSED = NotAuthorized("not_authorized")
BAD_KEY = Misconfigured("invalid_api_key")
CHARGE = Call(CallKind.CHARGES, "op_charge")


def refund(name: str = "op_1") -> Call:
    return Call(CallKind.REFUNDS, name)


@pytest.fixture
def account() -> Account:
    """An account without a limit, its breakers closed."""
    return Account()


@pytest.fixture
def control(account: Account) -> SharedAdmissionControl:
    """The admission control of one process."""
    return account.shared()


def find_breaker(account: Account, name: str = REFUNDS) -> CircuitBreaker:
    """The stored breaker."""
    return account.breakers.load_all().get(name, CircuitBreaker(name))


def ask(control: SharedAdmissionControl, *calls: Call) -> Admission:
    return control.admit(STRIPE, calls)


def try_call(
    control: SharedAdmissionControl, call: Call, outcome: Answer | ProviderError
) -> Sequence[Call]:
    """Requests one call and records its outcome; returns the granted calls."""
    granted = ask(control, call).granted
    if granted:
        control.record(STRIPE, [(call, outcome)])
    return granted


def test_a_refusal_of_one_kind_stops_that_kind_alone(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, refund(), REFUSED)
    assert find_breaker(account).trip_reason is TripReason.MISCONFIGURED
    assert find_breaker(account).reason == (
        "the provider refuses refunds to us (not_authorized)"
    )
    assert not account.breaker.is_open
    assert account.counts.opens == {(REFUNDS, TripReason.MISCONFIGURED): 1}
    other = refund("op_2")
    admission = ask(control, refund(), CHARGE, other)
    assert list(admission.granted) == [CHARGE]
    assert list(admission.blocked) == [refund(), other]
    assert admission.retry_in == FIRST_PROBE_DELAY


@pytest.mark.parametrize("kind", CallKind)
def test_every_kind_has_its_own_breaker(
    account: Account, control: SharedAdmissionControl, kind: CallKind
) -> None:
    call = Call(kind, "op_1")
    try_call(control, call, REFUSED)
    stopped = {one for one in CallKind if ask(control, Call(one, "op_2")).blocked}
    assert stopped == {kind}


def test_many_refused_calls_of_one_kind_never_stop_the_others(
    account: Account, control: SharedAdmissionControl
) -> None:
    for number in range(50):
        control.record(STRIPE, [(refund(f"op_{number}"), REFUSED)])
    assert not account.breaker.is_open
    assert ask(control, CHARGE).granted == [CHARGE]


def test_an_operation_other_than_the_refused_one_is_the_probe(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, refund(), REFUSED)
    account.pass_time(FIRST_PROBE_DELAY)
    assert not ask(control, refund()).granted
    other = refund("op_2")
    assert list(ask(control, refund(), other).granted) == [other]
    control.record(STRIPE, [(other, DECLINE)])
    assert not find_breaker(account).is_open


def test_an_operation_refused_repeatedly_does_not_stop_its_kind_again(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, refund(), REFUSED)
    account.pass_time(FIRST_PROBE_DELAY)
    try_call(control, refund("op_2"), DECLINE)
    for _ in range(5):
        account.pass_time(MAX_MISCONFIGURED_PROBE_DELAY)
        assert try_call(control, refund(), REFUSED)
        assert not find_breaker(account).is_open
    try_call(control, refund("op_3"), REFUSED)
    assert find_breaker(account).is_open


def test_the_refused_operation_is_a_probe_only_after_a_long_time_without_others(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, refund(), REFUSED)
    account.pass_time(FIRST_PROBE_DELAY + KIND_REPROBE_DELAY - timedelta(seconds=1))
    assert not ask(control, refund()).granted
    account.pass_time(timedelta(seconds=1 + CACHE_SECONDS))
    assert try_call(control, refund(), REFUSED)
    assert find_breaker(account).failed_probes == 1
    account.pass_time(KIND_REPROBE_DELAY + 2 * FIRST_PROBE_DELAY)
    assert try_call(control, refund(), DECLINE)
    assert not find_breaker(account).is_open


def test_each_probe_of_a_refused_kind_is_another_operation(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, refund("op_0"), REFUSED)
    names = [f"op_{number}" for number in range(6)]
    probes = []
    for _ in names[1:]:
        account.pass_time(MAX_MISCONFIGURED_PROBE_DELAY)
        [probe] = ask(control, *map(refund, names)).granted
        control.record(STRIPE, [(probe, REFUSED)])
        probes.append(probe.operation)
    assert probes == names[1:]


def test_a_breaker_closed_by_an_operator_admits_the_refused_operation(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, refund(), REFUSED)
    account.breakers.close(REFUNDS, reason="new rights", by="ann")
    account.pass_time(timedelta(seconds=CACHE_SECONDS))
    assert try_call(control, refund(), REFUSED)
    assert find_breaker(account).is_open


def test_an_operation_with_a_failed_probe_comes_after_others_in_an_outage(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_calls(account.admission(), *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    page = OutcomeUnknown("malformed_answer")
    assert try_call(control, CHARGE, page)
    account.pass_time(2 * FIRST_PROBE_DELAY + timedelta(seconds=CACHE_SECONDS))
    assert not ask(control, CHARGE).granted
    other = Call(CallKind.CHARGES, "op_other")
    assert list(ask(control, CHARGE, other).granted) == [other]
    control.record(STRIPE, [(other, DECLINE)])
    assert not account.breaker.is_open


def test_an_operation_that_failed_before_is_the_last_candidate_in_an_outage(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_calls(account.admission(), *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    failed = [Call(CallKind.CHARGES, f"op_{n}", has_failed=True) for n in range(3)]
    fresh = Call(CallKind.CHARGES, "op_fresh")
    assert list(ask(control, *failed, fresh).granted) == [fresh]
    control.record(STRIPE, [(fresh, NotSent())])
    account.pass_time(2 * FIRST_PROBE_DELAY)
    assert list(ask(control, *failed).granted) == failed[:1], "there is no other"


def test_a_single_operation_is_tried_again_soon_in_an_outage(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_calls(account.admission(), *AWAY)
    account.pass_time(FIRST_PROBE_DELAY)
    try_call(control, CHARGE, NotSent())
    account.pass_time(2 * FIRST_PROBE_DELAY + ACCOUNT_REPROBE_DELAY)
    assert try_call(control, CHARGE, DECLINE)
    assert not account.breaker.is_open


def test_refused_credentials_stop_every_kind(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, refund(), BAD_KEY)
    assert account.breaker.trip_reason is TripReason.MISCONFIGURED
    calls = [Call(kind, f"op_{kind}") for kind in CallKind]
    assert list(ask(control, *calls).blocked) == calls


@pytest.mark.parametrize("refused", [BAD_KEY, REFUSED])
def test_a_refusal_of_one_connected_account_stops_no_other(
    control: SharedAdmissionControl, refused: ProviderError
) -> None:
    control.record("acct_connected", [(CHARGE, refused)])
    assert control.admit("acct_connected", [CHARGE]).blocked
    for other in (STRIPE, "acct_other"):
        assert control.admit(other, [CHARGE]).granted == [CHARGE]


def test_an_account_probe_whose_kind_is_refused_stops_that_kind_alone(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, CHARGE, BAD_KEY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert try_call(control, refund(), REFUSED)
    assert not account.breaker.is_open and find_breaker(account).is_open


def test_a_kind_probe_with_refused_credentials_stops_the_account(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, refund(), REFUSED)
    account.pass_time(FIRST_PROBE_DELAY)
    assert try_call(control, refund("op_2"), BAD_KEY)
    assert account.breaker.is_open and find_breaker(account).is_open
    assert find_breaker(account).failed_probes == 0


def test_a_kind_probe_that_fails_in_an_outage_is_no_failed_probe_of_its_kind(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, refund(), REFUSED)
    account.pass_time(FIRST_PROBE_DELAY)
    assert try_call(control, refund("op_2"), NotSent())
    assert find_breaker(account).is_open and find_breaker(account).failed_probes == 0
    account.pass_time(PROBE_TIMEOUT)
    assert try_call(control, refund("op_3"), DECLINE)
    assert not find_breaker(account).is_open


def test_an_operation_behind_two_open_breakers_probes_that_of_the_account(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, refund(), REFUSED)
    try_call(control, CHARGE, BAD_KEY)
    account.pass_time(FIRST_PROBE_DELAY)
    assert try_call(control, refund("op_2"), DECLINE)
    assert not account.breaker.is_open


def test_a_probe_without_an_outcome_is_forgotten(
    account: Account, control: SharedAdmissionControl
) -> None:
    try_call(control, refund(), REFUSED)
    account.pass_time(FIRST_PROBE_DELAY)
    lost = refund("op_2")
    assert ask(control, lost).granted
    account.pass_time(PROBE_TIMEOUT)
    assert try_call(control, refund("op_3"), DECLINE)
    control.record(STRIPE, [(lost, REFUSED)])
    assert find_breaker(account).refused_operations == (
        "op_1",
        "op_2",
    ), "as any other call"
