"""What opens a gate, and how long it rests."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.answer import Answer, Verdict
from domain.breaker import (
    ENOUGH,
    FIRST_REST,
    LONGEST_REST,
    MISCONFIGURED_REST,
    WINDOW,
    Gate,
    Sign,
    Why,
    Window,
    rest,
    sign_of,
)
from domain.errors import (
    LookNeeded,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.submission import ProviderName


@pytest.mark.parametrize(
    ("outcome", "sign"),
    [
        (Answer(Verdict.SUCCEEDED), Sign.WELL),
        (Answer(Verdict.DECLINED), Sign.WELL),
        (Misconfigured("bad_key"), Sign.REFUSED),
        (NotExecuted("rate_limited"), Sign.BUSY),
        (NotExecuted("lock_timeout"), Sign.BUSY),
        (NotExecuted("later", retry_after=timedelta(seconds=1)), Sign.BUSY),
        (NotSent(), Sign.FAILED),
        (NotSent("worker_stopping"), Sign.NONE),
        (NotExecuted("token_unavailable"), Sign.FAILED),
        (NotExecuted("order_completion_in_progress"), Sign.NONE),
        (OutcomeUnknown("no_answer"), Sign.FAILED),
        (LookNeeded("replayed_500"), Sign.NONE),
        (NeedsReview("odd"), Sign.NONE),
    ],
)
def test_an_outcome_says_something_of_the_provider(
    outcome: Answer | ProviderError, sign: Sign
) -> None:
    assert sign_of(outcome) is sign


def test_enough_failures_that_are_most_of_what_is_heard_open_a_gate() -> None:
    few = Window().add(well=0, failed=ENOUGH - 1, now=5)
    assert not few.is_failing
    enough = few.add(well=0, failed=1, now=5.5)
    assert (enough.is_failing, enough.failed) == (True, ENOUGH)
    assert not enough.add(well=ENOUGH + 1, failed=0, now=6).is_failing


signs = st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0, 20))


@given(st.lists(signs, max_size=30))
def test_a_window_counts_what_was_heard_within_it_and_nothing_else(
    told: list[tuple[int, int, float]],
) -> None:
    window, now, heard = Window(), 0.0, []
    for well, failed, pause in told:
        now += pause
        heard.append((int(now), well, failed))
        window = window.add(well=well, failed=failed, now=now)
        within = [row for row in heard if int(now) - WINDOW < row[0]]
        assert window.failed == sum(failed for _, _, failed in within)
        assert window.told == window.failed + sum(well for _, well, _ in within)
        assert len(window.heard) <= WINDOW


@given(st.integers(0, 10**6))
def test_rests_grow_to_a_bound(failed: int) -> None:
    one, next_one = rest(Why.FAILING, failed), rest(Why.FAILING, failed + 1)
    assert one is not None and next_one is not None
    assert FIRST_REST <= one <= next_one <= LONGEST_REST
    assert rest(Why.MISCONFIGURED, failed) == MISCONFIGURED_REST
    assert rest(Why.OPERATOR, failed) is None


def test_a_gate_that_never_moved_is_closed_and_sends_no_probe() -> None:
    gate = Gate(ProviderName.STRIPE)
    assert (gate.is_open, gate.probe_due) == (False, False)
