"""The figures of a benchmark's measurements."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.figures import Percentiles, Round, medians, percentiles
from bench.machine import this_machine
from bench.report import BEGIN, END, Report, compare_with_target, refresh_page


def measured(side: str, number: int, seconds: float, cpu: dict[str, float]) -> Round:
    """A round of 1,000 payments without faults."""
    return Round(
        side=side,
        number=number,
        payments=1000,
        seconds=seconds,
        cpu=cpu,
        yardstick=2.0,
        others=0.5,
        accepted=Percentiles(1, 2, 3),
        charged=Percentiles(4, 5, 6),
        captured=Percentiles(7, 8, 9) if side == "ours" else None,
        faults=(),
    )


def two_rounds() -> Report:
    """Ours twice as fast in the first round, three times in the second."""
    rounds = (
        measured("ours", 1, 2.0, {"web": 1.0, "worker": 2.0, "redis": 0.5}),
        measured("peer", 1, 4.0, {"web": 4.0, "redis": 1.0}),
        measured("ours", 2, 2.0, {"web": 1.0, "worker": 1.0, "mongo": 0.5}),
        measured("peer", 2, 6.0, {"web": 4.0, "redis": 1.0}),
    )
    return Report("python -m bench", this_machine(), rounds)


def test_percentiles_are_milliseconds_of_the_nearest_rank() -> None:
    found = percentiles(number / 1000 for number in range(100, 0, -1))
    assert (found.p50, found.p95, found.p99) == (51, 96, 100)


def test_percentiles_of_one_time_are_that_time() -> None:
    assert percentiles([0.25]) == Percentiles(250, 250, 250)


def test_cpu_is_milliseconds_a_payment_and_split_into_python_and_servers() -> None:
    found = measured("ours", 1, 2.0, {"web": 1.5, "mongo": 0.25, "redis": 0.25})
    figures = found.figures()
    assert figures["throughput"] == 500
    assert figures["cpu"] == 2.0
    assert (figures["yardstick"], figures["cpu_relative"]) == (2.0, 1.0)
    assert (figures["cpu_python"], figures["cpu_servers"]) == (1.5, 0.5)


def test_a_ratio_compares_the_two_sides_of_the_same_round() -> None:
    found = two_rounds().ratios()
    assert found["throughput"] == [2.0, 3.0]
    assert found["cpu"] == [0.7, 0.5]


def test_a_report_of_one_side_has_no_ratio() -> None:
    report = two_rounds()
    alone = Report(report.command, report.machine, report.of("ours"))
    assert alone.ratios() == {}
    assert "–" in alone.rows()[0]


def test_medians_leave_out_figures_that_a_side_lacks() -> None:
    report = two_rounds()
    assert "captured_p50" in medians(report.of("ours"))
    assert "captured_p50" not in medians(report.of("peer"))


def test_the_comparison_names_the_distance_to_the_target() -> None:
    report = two_rounds()
    assert compare_with_target(report) == (
        "2.50 times the throughput (target 3, least 1) at 0.60 times the CPU"
        " (target 0.33): no slower, and the target is not reached."
    )
    rounds = [replace(one, seconds=9.0) for one in report.of("ours")]
    slower = replace(report, rounds=(*rounds, *report.of("peer")))
    assert "slower than the plain side" in compare_with_target(slower)


def test_a_page_keeps_everything_around_its_figures() -> None:
    report = two_rounds()
    page = f"above\n{BEGIN}\nold figures\n{END}\nbelow\n"
    found = refresh_page(page, report)
    assert found.startswith(f"above\n{BEGIN}\n") and found.endswith(f"{END}\nbelow\n")
    assert "old figures" not in found and "2.50 | 2.00 · 3.00 |" in found
    assert refresh_page(found, report) == found


def test_a_page_without_markers_stays_unchanged() -> None:
    with pytest.raises(ValueError, match="no place"):
        refresh_page(f"{BEGIN}\nno end", two_rounds())


def test_the_json_names_every_fault_with_its_round() -> None:
    report = two_rounds()
    broken = replace(report.rounds[3], faults=("1 of 2 payments were not charged",))
    found = Report(report.command, report.machine, (*report.rounds[:3], broken))
    document = json.loads(found.as_json())
    assert document["faults"] == ["peer, round 2: 1 of 2 payments were not charged"]
