"""Retry times: within cap and budget, and never before the requested time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.retry import LOOKUP, MISCONFIGURED, TRANSIENT, UNKNOWN, RetryPolicy
from tests.suites.samples import NOW

policies = st.sampled_from([TRANSIENT, UNKNOWN, MISCONFIGURED, LOOKUP])
#: Counts of tries, also huge ones, because an exponent must not overflow.
tries = st.integers(min_value=0, max_value=10**9)
#: A jitter outside [0, 1] is clamped.
jitters = st.floats(min_value=-10, max_value=10)
ages = st.timedeltas(timedelta(), timedelta(days=10))
waits = st.none() | st.timedeltas(timedelta(days=-1), timedelta(days=30))


@given(policies, tries, ages, jitters, waits)
def test_a_wait_is_within_the_cap_and_the_budget_and_heeds_the_provider(
    policy: RetryPolicy,
    tries: int,
    age: timedelta,
    jitter: float,
    asked: timedelta | None,
) -> None:
    least = max(asked or timedelta(), timedelta())
    at = policy.next_at(
        tries=tries, since=NOW - age, now=NOW, jitter=jitter, retry_after=asked
    )
    if at is None:
        spent = policy.max_tries is not None and tries >= policy.max_tries
        late = (
            policy.max_duration
            and age + max(least, policy.max_delay) > policy.max_duration
        )
        assert spent or (late and tries >= policy.min_tries)
    else:
        assert NOW + least <= at <= NOW + max(least, policy.max_delay)
        in_time = policy.max_duration is None or at <= NOW - age + policy.max_duration
        assert in_time or tries < policy.min_tries


@given(policies, tries, st.floats(min_value=0, max_value=1))
def test_a_wait_grows_from_the_base_and_jitter_only_shortens_it(
    policy: RetryPolicy, tries: int, jitter: float
) -> None:
    policy = replace(policy, max_tries=None)

    def wait(tries: int, jitter: float) -> timedelta:
        at = policy.next_at(tries=tries, since=NOW, now=NOW, jitter=jitter)
        assert at is not None
        return at - NOW

    assert wait(1, 1.0) == policy.base_delay
    assert wait(tries, 0.0) == timedelta()
    assert wait(tries, jitter) <= wait(tries, 1.0) <= wait(tries + 1, 1.0)


@pytest.mark.parametrize(
    ("tries", "seconds"), [(0, 1), (1, 1), (2, 2), (3, 4), (9, 256), (10, 300)]
)
def test_waits_double_up_to_the_cap(tries: int, seconds: int) -> None:
    at = TRANSIENT.next_at(tries=tries, since=NOW, now=NOW, jitter=1.0)
    assert at == NOW + timedelta(seconds=seconds)


def test_a_budget_of_tries_ends_with_the_last_of_them() -> None:
    second = timedelta(seconds=1)
    policy = RetryPolicy(
        base_delay=second, max_delay=second, max_tries=3, max_duration=None
    )
    assert policy.next_at(tries=2, since=NOW, now=NOW, jitter=0.0) == NOW
    assert policy.next_at(tries=3, since=NOW, now=NOW, jitter=0.0) is None


def test_a_budget_of_time_ends_before_a_try_beyond_it() -> None:
    last = timedelta(days=4)
    at = TRANSIENT.next_at(tries=1, since=NOW - last, now=NOW, jitter=0.0)
    assert at == NOW
    assert TRANSIENT.next_at(tries=1, since=NOW - last, now=NOW, jitter=0.1) is None


def test_a_requested_wait_beyond_the_budget_ends_it() -> None:
    asked = timedelta(days=5)
    assert (
        TRANSIENT.next_at(tries=1, since=NOW, now=NOW, jitter=0.0, retry_after=asked)
        is None
    )


def test_an_unknown_outcome_is_never_given_up_after_a_time() -> None:
    long_ago = NOW - timedelta(days=1000)
    assert UNKNOWN.next_at(tries=10**6, since=long_ago, now=NOW, jitter=1.0)


def test_downtime_without_tries_does_not_spend_the_budget() -> None:
    assert LOOKUP.max_duration is not None
    down = NOW - 2 * LOOKUP.max_duration
    assert (
        LOOKUP.next_at(tries=LOOKUP.min_tries - 1, since=down, now=NOW, jitter=0.0)
        == NOW
    )
    assert (
        LOOKUP.next_at(tries=LOOKUP.min_tries, since=down, now=NOW, jitter=0.0) is None
    )
