"""A bucket never gives more than its rate allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.limit import BURST, Taken, burst, interval, pause, take

rates = st.floats(0.5, 1000)
asks = st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), max_size=40)


@given(rates, st.floats(0, 1), asks)
def test_no_more_than_a_burst_and_the_rate_is_ever_granted(
    rate: float, within: float, asked: list[tuple[int, float]]
) -> None:
    full_for, now, granted = 0.0, 0.0, 0
    for wanted, passed in asked:
        full_for, now = max(0.0, full_for - passed), now + passed
        taken = take(full_for, wanted=wanted, rate=rate, within=within)
        assert 0 <= taken.granted <= wanted
        assert 0 <= taken.after <= within + 0.01
        assert (taken.again_in > 0) or taken.granted == wanted or rate < 1 / within
        granted, full_for = granted + taken.granted, taken.full_for
        assert granted <= rate * (now + within + burst(rate)) + 1


@pytest.mark.parametrize("wanted", [1, 1000])
def test_without_a_limit_all_is_granted_but_in_a_pause(wanted: int) -> None:
    assert take(0.0, wanted=wanted, rate=0, within=0) == Taken(wanted, 0.0)
    resting = pause(0.0, by=3.0, rate=0)
    assert take(resting, wanted=wanted, rate=0, within=0).granted == 0
    assert take(resting, wanted=wanted, rate=0, within=0).again_in == 3.0


def test_a_pause_gives_nothing_until_it_ends() -> None:
    resting = pause(0.0, by=3.0, rate=100)
    assert take(resting, wanted=1, rate=100, within=0).granted == 0
    assert take(resting - 3.1, wanted=1, rate=100, within=0).granted == 1
    assert pause(99.0, by=3.0, rate=100) == 99.0


def test_a_bucket_holds_a_token_at_least() -> None:
    assert (burst(0), interval(0)) == (0.0, 0.0)
    assert (burst(100), interval(100)) == (BURST, 0.01)
    assert burst(0.5) == interval(0.5) == 2.0
    assert take(0.0, wanted=2, rate=0.5, within=0).granted == 1
