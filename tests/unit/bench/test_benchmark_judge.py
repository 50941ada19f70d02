"""A round counts only if every payment has the expected outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.errors import BenchError
from bench.judge import Window, judge
from bench.load import Submission
from bench.sides import Counts, Stored

#: Seconds since the epoch.
START = 1000.0
CHARGED = [("order-1", START + 2.0), ("order-2", START + 4.0)]


def window(
    charges: Sequence[tuple[str, float]] = CHARGED, *, status: int = 202
) -> Window:
    """Two payments, sent at once and answered after 10 ms, the second by ``status``."""
    submissions = [
        Submission("order-1", START, 0.01, 202),
        Submission("order-2", START, 0.01, status),
    ]
    return Window(
        start=START,
        submissions=submissions,
        alone=[],
        paced=[],
        charges=charges,
        cpu={"web": 0.5},
        yardstick=0.5,
        others=0.0,
        memory={"web": 1},
        counts=Counts(),
    )


def test_a_side_that_stores_nothing_settles_with_the_last_charge() -> None:
    found = judge("plain", 1, window(), None)
    assert (found.seconds, found.payments, found.faults) == (4.0, 2, ())
    assert found.captured is None


def test_a_side_that_stores_outcomes_settles_with_the_last_of_them() -> None:
    stored = {name: Stored("captured", at + 1) for name, at in CHARGED}
    found = judge("ours", 1, window(), stored)
    assert (found.seconds, found.faults) == (5.0, ())
    assert found.captured is not None and found.captured.p99 == 5000


def test_a_request_without_a_202_is_a_fault() -> None:
    assert judge("plain", 1, window(status=503), None).faults == ("1 requests got 503",)
    assert judge("plain", 1, window(status=0), None).faults == (
        "1 requests got no answer",
    )


def test_a_payment_that_was_not_charged_is_a_fault() -> None:
    found = judge("plain", 1, window(CHARGED[:1]), None)
    assert found.faults == ("1 of 2 payments were not charged",)


def test_a_payment_that_was_charged_twice_is_a_fault() -> None:
    found = judge("plain", 1, window([*CHARGED, ("order-1", START + 9)]), None)
    assert found.faults == ("1 payments were charged more than once",)


def test_a_charged_payment_that_the_side_does_not_show_as_captured_is_a_fault() -> None:
    found = judge("ours", 1, window(), {"order-1": Stored("processing", START)})
    assert set(found.faults) == {
        "1 payments are processing",
        "1 payments are not found",
    }


def test_a_round_without_any_charge_has_no_figures() -> None:
    with pytest.raises(BenchError, match="2 of 2 payments were not charged"):
        judge("plain", 1, window([]), None)


def test_lone_and_paced_payments_are_measured_apart_from_the_others() -> None:
    more = replace(
        window([*CHARGED, ("alone-1", START + 50.2), ("paced-1", START + 60.3)]),
        alone=[Submission("alone-1", START + 50, 0.02, 202)],
        paced=[Submission("paced-1", START + 60, 0.03, 202)],
    )
    found = judge("plain", 1, more, None)
    assert (found.payments, found.seconds, found.faults) == (2, 4.0, ())
    assert found.lone is not None and round(found.lone.p50) == 200
    assert found.half is not None and found.half.p99 == 30
    assert found.accepted.p99 == 10


def test_lone_payment_of_a_side_that_stores_outcomes_ends_when_it_is_stored() -> None:
    stored = {name: Stored("captured", at + 1) for name, at in CHARGED}
    more = replace(
        window([*CHARGED, ("alone-1", START + 50.2)]),
        alone=[Submission("alone-1", START + 50, 0.02, 202)],
    )
    found = judge("ours", 1, more, {**stored, "alone-1": Stored("captured", 1050.25)})
    assert found.lone is not None and found.lone.p50 == 250


def test_a_lone_or_paced_payment_without_a_charge_is_a_fault() -> None:
    paced = [Submission("paced-1", START + 60, 0.03, 202)]
    found = judge("plain", 1, replace(window(), paced=paced), None)
    assert found.faults == ("1 of 3 payments were not charged",)
