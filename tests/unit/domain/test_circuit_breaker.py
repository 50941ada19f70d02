"""The transitions of a breaker, and the delays of its probes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from domain.circuit_breaker import (
    MIN_FAILURES,
    FIRST_PROBE_DELAY,
    MAX_PROBE_DELAY,
    MAX_MISCONFIGURED_PROBE_DELAY,
    PROBE_TIMEOUT,
    FAILURE_RATIO,
    DETAILS_BY_HEALTH,
    WINDOW_SECONDS,
    Call,
    CircuitBreaker,
    ProviderHealth,
    TripReason,
    FailureWindow,
    probe_delay,
    assess_health,
)
from domain.error_details import ErrorDetail
from domain.errors import (
    LookupRequired,
    MalformedAnswer,
    MalformedObject,
    Misconfigured,
    NeedsReview,
    NotAuthorized,
    NotExecuted,
    NotPermitted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.submission import ProviderName
from tests.suites.samples import NOW, payment, sending


def provider_errors(
    kind: type[ProviderError] = ProviderError,
) -> list[type[ProviderError]]:
    """``kind`` and the product's errors that derive from it."""
    found = [kind]
    for child in kind.__subclasses__():
        if child.__module__ == ProviderError.__module__:
            found += provider_errors(child)
    return found


#: Seconds since the last record; successful and failed calls.
outcome_lists = st.lists(
    st.tuples(st.floats(0, 40), st.integers(0, 40), st.integers(0, 40)), max_size=30
)


@pytest.mark.parametrize("verdict", Verdict)
def test_every_answer_shows_a_healthy_account(verdict: Verdict) -> None:
    assert assess_health(Answer(verdict)) is ProviderHealth.HEALTHY


@pytest.mark.parametrize(
    ("error", "sign"),
    [
        (NotSent(), ProviderHealth.FAILED),
        (OutcomeUnknown("no_answer"), ProviderHealth.FAILED),
        (
            OutcomeUnknown("http_503", retry_after=timedelta(seconds=9)),
            ProviderHealth.FAILED,
        ),
        (NotExecuted("token_unavailable"), ProviderHealth.FAILED),
        (NotExecuted("token_malformed"), ProviderHealth.FAILED),
        (Misconfigured("token_refused"), ProviderHealth.REFUSED),
        (NotAuthorized("not_authorized"), ProviderHealth.KIND_REFUSED),
        (NotPermitted("permission_denied"), ProviderHealth.HEALTHY),
        (OutcomeUnknown("lookup_refused"), ProviderHealth.HEALTHY),
        (OutcomeUnknown("unrecognised_status"), ProviderHealth.HEALTHY),
        (MalformedAnswer(), ProviderHealth.FAILED),
        (MalformedObject(), ProviderHealth.UNRELATED),
        (NotExecuted("rate_limited"), ProviderHealth.BUSY),
        (NotExecuted("rate_limit"), ProviderHealth.BUSY),
        (NotExecuted("lock_timeout"), ProviderHealth.BUSY),
        (NotExecuted("later", retry_after=timedelta(seconds=1)), ProviderHealth.BUSY),
        (NotExecuted("pending_capture"), ProviderHealth.UNRELATED),
        (LookupRequired("repeated_500"), ProviderHealth.UNRELATED),
        (NeedsReview("key_reused"), ProviderHealth.UNRELATED),
        (NotSent("worker_stopping"), ProviderHealth.UNRELATED),
        (NotSent("claim_too_old"), ProviderHealth.UNRELATED),
    ],
)
def test_error_shows_the_health_of_its_class(
    error: ProviderError, sign: ProviderHealth
) -> None:
    assert assess_health(error) is sign


def test_each_error_detail_shows_one_health() -> None:
    assert set(DETAILS_BY_HEALTH) == set(ProviderHealth)
    sorted_details = [
        detail for details in DETAILS_BY_HEALTH.values() for detail in details
    ]
    assert sorted(sorted_details) == sorted(ErrorDetail)


@pytest.mark.parametrize("detail", ErrorDetail)
def test_an_error_of_a_neutral_class_shows_the_health_of_its_detail(
    detail: ErrorDetail,
) -> None:
    [sign] = [sign for sign, details in DETAILS_BY_HEALTH.items() if detail in details]
    assert assess_health(OutcomeUnknown(detail)) is sign
    assert assess_health(NotExecuted(detail)) is sign
    assert assess_health(ProviderError(detail)) is ProviderHealth.UNRELATED


@pytest.mark.parametrize("kind", provider_errors())
def test_an_error_shows_the_health_of_its_default_detail(
    kind: type[ProviderError],
) -> None:
    assert isinstance(kind.code, ErrorDetail)
    assert kind.code in DETAILS_BY_HEALTH[assess_health(kind())]


@pytest.mark.parametrize("kind", [NotExecuted, NotSent, OutcomeUnknown])
def test_a_providers_own_code_counts_as_the_class_of_its_error(
    kind: type[ProviderError],
) -> None:
    assert assess_health(kind("a_code_of_theirs")) is assess_health(kind())


@given(outcome_lists)
def test_window_holds_the_outcomes_of_its_seconds_and_is_bounded(
    outcomes: list[tuple[float, int, int]],
) -> None:
    window, now = FailureWindow(), 1000.0
    rows = []
    for later, well, failed in outcomes:
        now += later
        window = window.add(healthy=well, failed=failed, now=now)
        rows.append((int(now), well, failed))
    kept = [row for row in rows if row[0] > int(now) - WINDOW_SECONDS]
    assert window.failed == sum(failed for _, _, failed in kept)
    assert window.total == sum(well + failed for _, well, failed in kept)
    assert len(window.counts) <= WINDOW_SECONDS
    assert window.is_failing == (
        window.failed >= max(MIN_FAILURES, FAILURE_RATIO * window.total)
        and bool(window.failed)
    )


@given(st.integers(0, MIN_FAILURES - 1), st.integers(0, 5))
def test_few_failures_open_no_breaker_at_any_share(failed: int, well: int) -> None:
    window = FailureWindow().add(healthy=well, failed=failed, now=0)
    assert not window.is_failing


@given(st.integers(MIN_FAILURES, 10_000))
def test_many_failures_open_the_breaker_only_from_half_of_all_calls(
    failed: int,
) -> None:
    assert FailureWindow().add(healthy=failed, failed=failed, now=0).is_failing
    assert not FailureWindow().add(healthy=failed + 1, failed=failed, now=0).is_failing


@given(st.integers(MIN_FAILURES, 100), st.floats(0, 1e9))
def test_failures_are_forgotten_after_the_window(failed: int, now: float) -> None:
    window = FailureWindow().add(healthy=0, failed=failed, now=now)
    assert window.is_failing
    assert not window.add(healthy=0, failed=1, now=now + WINDOW_SECONDS).is_failing


@given(st.integers(0, 10**6))
def test_probe_delay_grows_up_to_its_maximum(failed: int) -> None:
    now, later = probe_delay(TripReason.FAILING, failed), probe_delay(
        TripReason.FAILING, failed + 1
    )
    assert now is not None and later is not None
    assert FIRST_PROBE_DELAY <= now <= later <= MAX_PROBE_DELAY
    assert later in (2 * now, MAX_PROBE_DELAY)


def test_refused_account_is_probed_once_a_minute_and_a_paused_one_never() -> None:
    assert probe_delay(TripReason.MISCONFIGURED, 0) == FIRST_PROBE_DELAY
    assert {
        probe_delay(TripReason.MISCONFIGURED, failed) for failed in range(5, 20)
    } == {MAX_MISCONFIGURED_PROBE_DELAY}
    assert probe_delay(TripReason.OPERATOR, 0) is None


def test_probe_timeout_is_longer_than_the_slowest_call_with_its_token() -> None:
    slowest = timedelta(seconds=3 + 10)
    assert PROBE_TIMEOUT > 2 * slowest


def test_new_breaker_is_closed_and_needs_no_probe() -> None:
    breaker = CircuitBreaker(ProviderName.STRIPE)
    assert (breaker.is_open, breaker.is_probe_due) == (False, False)


def test_a_call_shows_whether_its_operation_failed_before() -> None:
    new = payment()
    failed = settle(sending(new), NotSent(), now=NOW, jitter=0)
    calls = [Call.for_due_work(one, now=NOW) for one in (new, failed)]
    assert [one.has_failed for one in calls] == [False, True]
    assert calls[0] == calls[1], "it is the same call"
