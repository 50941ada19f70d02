"""The figures of a benchmark's measurements."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final
from xml.etree import ElementTree

import pytest

from bench import chart
from bench.figures import MEBIBYTE, Percentiles, Round, medians, percentiles
from bench.machine import this_machine
from bench.report import BEGIN, END, Report, refresh_page
from bench.sides import Counts, Role

WEB_ALONE: Final = {"web": 4.0, "redis": 1.0}
SVG: Final = "{http://www.w3.org/2000/svg}"


def measured(
    side: str, number: int, seconds: float, cpu: dict[str, float], lone: float = 100
) -> Round:
    """A round of 1,000 payments without faults."""
    return Round(
        side=side,
        number=number,
        payments=1000,
        seconds=seconds,
        cpu=cpu,
        yardstick=2.0,
        others=0.5,
        memory={"web": 300 * MEBIBYTE, "mongo": 200 * MEBIBYTE},
        counts=Counts(messages=100, redis=2000, mongo=500),
        accepted=Percentiles(1, 2, 3),
        charged=Percentiles(4, 5, 6),
        captured=None if side == "plain" else Percentiles(7, 8, 9),
        half=Percentiles(10, 11, 12),
        lone=Percentiles(lone, lone, lone),
        faults=(),
    )


def two_rounds() -> Report:
    """Ours twice as fast as plain in the first round, three times in the second."""
    rounds = (
        measured("ours", 1, 2.0, {"web": 1.0, "worker": 2.0, "redis": 0.5}, lone=120),
        measured("plain", 1, 4.0, WEB_ALONE),
        measured("ours", 2, 2.0, {"web": 1.0, "worker": 1.0, "mongo": 0.5}, lone=130),
        measured("plain", 2, 6.0, WEB_ALONE),
    )
    return report_of(*rounds)


def report_of(*rounds: Round) -> Report:
    """A report of these rounds."""
    return Report("python -m bench", this_machine(), "nginx", rounds)


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


def test_memory_is_mebibytes_and_commands_are_counted_per_payment() -> None:
    figures = measured("ours", 1, 2.0, WEB_ALONE).figures()
    assert (figures["memory"], figures["memory_python"]) == (500, 300)
    counts = [figures[name] for name in ("messages", "redis_commands")]
    assert [*counts, figures["mongo_commands"]] == [0.1, 2.0, 0.5]


def test_counts_since_others_are_their_differences() -> None:
    assert Counts(9, 8, 7).since(Counts(1, 2, 3)) == Counts(8, 6, 4)


def test_a_ratio_compares_the_two_sides_of_the_same_round() -> None:
    report = two_rounds()
    assert report.ratios("throughput", Role.NO_DATABASE) == [2.0, 3.0]
    assert report.ratios("cpu", Role.NO_DATABASE) == [0.7, 0.5]


def test_a_ratio_to_the_durable_peers_takes_the_best_of_them_for_each_figure() -> None:
    report = report_of(
        measured("ours", 1, 1.0, {"web": 1.0}),
        measured("celery", 1, 2.0, {"web": 4.0}),
        measured("dramatiq", 1, 3.0, {"web": 2.0}),
    )
    assert report.rival("throughput", Role.DURABLE) == "celery"
    assert report.ratios("throughput", Role.DURABLE) == [2.0]
    assert report.rival("cpu", Role.DURABLE) == "dramatiq"
    assert report.ratios("cpu", Role.DURABLE) == [0.5]


def test_a_report_of_one_side_has_no_ratio_and_no_target() -> None:
    report = report_of(*two_rounds().of("ours"))
    assert report.ratios("cpu", Role.NO_DATABASE) == []
    assert report.columns() == ["", "ours"]
    assert list(report.target_rows()) == []


def test_a_figure_that_a_side_lacks_is_a_dash() -> None:
    report = two_rounds()
    assert "captured_p50" in medians(report.of("ours"))
    assert "captured_p50" not in medians(report.of("plain"))
    [row] = [row for row in report.rows() if row[0] == "stored in ms, p50"]
    assert row == ["stored in ms, p50", "7.00", "–", ""]


def test_a_target_is_reached_or_not_by_the_median_of_the_rounds() -> None:
    throughput, cpu = two_rounds().target_rows()
    assert throughput == [
        "settled payments/s: at least 1.6 times Celery, no database",
        "2.50",
        "reached",
    ]
    assert cpu[1:] == ["0.60", "reached"]
    slow = [replace(one, seconds=9.0) for one in two_rounds().of("ours")]
    [row, _] = report_of(*slow, *two_rounds().of("plain")).target_rows()
    assert row[1:] == ["0.56", "not reached"]


def test_the_target_of_a_lone_payment_is_a_difference_in_milliseconds() -> None:
    ours, others = two_rounds().of("ours"), WEB_ALONE
    durable = [measured("celery", number, 4.0, others) for number in (1, 2)]
    *_, lone = report_of(*ours, *durable).target_rows()
    assert lone == [
        "lone payment, ms to settled, p50: at most 15 ms more than Celery and MongoDB",
        "25.00",
        "not reached",
    ]


def test_a_page_keeps_everything_around_its_figures() -> None:
    report = two_rounds()
    page = f"above\n{BEGIN}\nold figures\n{END}\nbelow\n"
    found = refresh_page(page, report)
    assert found.startswith(f"above\n{BEGIN}\n") and found.endswith(f"{END}\nbelow\n")
    assert "old figures" not in found
    assert "| settled payments/s | 500 | 208 | 2.50 |" in found
    assert "| 2.50 | reached |" in found
    assert refresh_page(found, report) == found


def test_a_page_says_how_much_other_programs_disturbed_the_run() -> None:
    page, noisy = f"{BEGIN}\n{END}\n", two_rounds()
    assert "kept 0.5 to 0.5 cores busy" in refresh_page(page, noisy)
    quiet = report_of(*(replace(one, others=0.0) for one in noisy.rounds))
    assert "cores busy" not in refresh_page(page, quiet)


def test_a_page_without_markers_stays_unchanged() -> None:
    with pytest.raises(ValueError, match="no place"):
        refresh_page(f"{BEGIN}\nno end", two_rounds())


def test_the_json_names_every_fault_with_its_round() -> None:
    report = two_rounds()
    broken = replace(report.rounds[3], faults=("1 of 2 payments were not charged",))
    document = json.loads(report_of(*report.rounds[:3], broken).as_json())
    assert document["faults"] == ["plain, round 2: 1 of 2 payments were not charged"]


def test_the_json_has_the_figures_of_each_round_and_the_ratios() -> None:
    document = json.loads(two_rounds().as_json())
    first = document["rounds"][0]
    assert (first["throughput"], first["cpu"], first["lone_p50"]) == (500, 3.5, 120)
    ratio = document["ratios"]["no database"]["throughput"]
    assert ratio == {"side": "plain", "rounds": [2.0, 3.0]}
    assert document["targets"][0]["reached"] is True


def test_the_chart_has_a_bar_of_proportionate_length_for_each_part() -> None:
    report = two_rounds()
    titles = {side.name: side.title for side in report.sides()}
    root = ElementTree.fromstring(chart.draw(report.medians(), titles))
    _, *bars = root.findall(f"{SVG}rect")
    widths = [float(bar.attrib["width"]) for bar in bars]
    ours, plain, *cpu = widths
    assert ours / plain == pytest.approx(500 / 208.3, rel=0.01)
    # Ours is Python and servers, 2.5 and 0.5 ms; plain is 4 and 1 ms.
    assert [width / sum(cpu[2:]) * 5 for width in cpu] == pytest.approx(
        [2.5, 0.5, 4.0, 1.0], rel=0.01
    )
