"""The decisions of supervisor and doctor that need no server."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from cli.commands import doctor
from cli.findings import FAIL, OK
from local_stack import supervisor

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_waits_before_a_restart_double_up_to_half_a_minute() -> None:
    waits = [supervisor.restart_wait(ends) for ends in range(8)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_child_that_never_stays_up_is_still_tried_every_half_minute() -> None:
    assert supervisor.restart_wait(10**6) == supervisor.LONGEST_WAIT


@pytest.mark.parametrize("away", [-0.9, 0.0, 0.9])
def test_clocks_less_than_a_second_apart_are_fine(away: float) -> None:
    theirs = NOW + timedelta(seconds=away)
    assert doctor.clock_finding("clock", theirs, NOW, NOW).verdict == OK


@pytest.mark.parametrize("away", [-2.0, 2.0])
def test_clocks_further_apart_are_a_failure_with_advice(away: float) -> None:
    theirs = NOW + timedelta(seconds=away)
    found = doctor.clock_finding("clock", theirs, NOW, NOW)
    assert found.verdict == FAIL
    assert "2.0 s" in found.words
    assert "NTP" in found.advice


def test_a_slow_answer_is_not_taken_for_a_wrong_clock() -> None:
    theirs, after = NOW + timedelta(seconds=2), NOW + timedelta(seconds=3)
    assert doctor.clock_finding("clock", theirs, NOW, after).verdict == OK
