"""A bucket grants its rate and one burst, no more and no less."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from domain import rate_limit
from domain.rate_limit import burst_seconds, token_interval, pause_bucket, take_tokens

rates = st.floats(0.1, 1000)
#: Seconds since the last request, requested tokens, seconds to wait for them.
asks = st.lists(
    st.tuples(st.floats(0, 3), st.integers(0, 64), st.sampled_from([0.0, 0.25])),
    min_size=1,
    max_size=40,
)


def _burst_tokens(rate: float) -> int:
    return int(burst_seconds(rate) * rate + rate_limit._ROUNDING)


@given(rates, asks)
def test_any_span_grants_at_most_its_rate_and_one_burst(
    rate: float, asked: list[tuple[float, int, float]]
) -> None:
    now, full_until = 0.0, 0.0
    calls: list[float] = []
    for later, wanted, within in asked:
        now += later
        taken = take_tokens(
            max(0.0, full_until - now), wanted=wanted, rate=rate, within=within
        )
        full_until = now + taken.full_for
        assert 0 <= taken.granted <= wanted
        assert taken.delay <= within + 1e-3
        calls += [now + taken.delay] * taken.granted
    for number, begin in enumerate(calls):
        for count, end in enumerate(calls[number:], start=1):
            # A group leaves together, when its last token is granted.
            allowed = (end - begin + 2 * burst_seconds(rate) + 0.25) * rate + 1
            assert count <= allowed + 0.01


@given(rates, st.integers(1, 64))
def test_idle_bucket_gives_one_burst_and_no_more(rate: float, wanted: int) -> None:
    taken = take_tokens(0.0, wanted=wanted, rate=rate, within=0.0)
    assert taken.granted == min(wanted, _burst_tokens(rate))
    assert taken.granted >= 1
    assert taken.delay == pytest.approx(0, abs=1e-3)


@given(rates, st.floats(0, 100), st.integers(1, 64))
def test_retry_after_the_given_time_gets_the_rest(
    rate: float, full_for: float, wanted: int
) -> None:
    taken = take_tokens(full_for, wanted=wanted, rate=rate, within=0.25)
    missing = wanted - taken.granted
    if not missing:
        assert taken.retry_in == 0
        return
    left = max(0.0, taken.full_for - taken.retry_in)
    again = take_tokens(left, wanted=missing, rate=rate, within=0.0)
    assert again.granted == min(missing, _burst_tokens(rate))


@given(st.integers(0, 10_000))
def test_bucket_without_a_limit_grants_all_calls_at_once(wanted: int) -> None:
    taken = take_tokens(0.0, wanted=wanted, rate=0, within=0.0)
    assert (taken.granted, taken.delay, taken.full_for) == (wanted, 0, 0)


@given(st.just(0.0) | rates, st.floats(0.5, 60), st.floats(0, 120))
def test_a_pause_gives_nothing_until_it_ends_and_shortens_no_other(
    rate: float, by: float, full_for: float
) -> None:
    paused = pause_bucket(full_for, by=by, rate=rate)
    assert paused >= full_for
    assert take_tokens(paused, wanted=9, rate=rate, within=0.0).granted == 0
    left = max(0.0, paused - max(by, full_for))
    later = take_tokens(
        left + 1e-9, wanted=1, rate=rate, within=token_interval(rate) + 1e-6
    )
    assert later.granted == 1
