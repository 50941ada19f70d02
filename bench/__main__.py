"""Measures the sides in turn, and prints, stores and checks the results."""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from subprocess import SubprocessError
from types import FrameType
from typing import Final

from aiohttp import ClientError
from rich.console import Console
from rich.table import Table

from bench import chart, stub
from bench.children import ROOT
from bench.errors import BenchError
from bench.figures import Round
from bench.machine import this_machine
from bench.report import SIDES, TARGET_COLUMNS, Report, refresh_page, summarize
from bench.rounds import Plan, play
from bench.sides import Side

PAGE: Final = ROOT / "docs" / "benchmarks.md"
CHART: Final = ROOT / "docs" / "benchmarks.svg"
#: The defaults, and the least for a result on the page.
PAYMENTS: Final = 1500
ROUNDS: Final = 3
#: CPU time is counted in hundredths of a second, so fewer payments could show none.
FEWEST: Final = 100
CONNECTIONS: Final = 64
#: Seconds; Stripe takes longer for a card payment.
LATENCY: Final = 0.1
#: Columns of the printed table; a narrower terminal or a pipe would cut its words.
WIDTH: Final = 118
#: Exit code of an interrupted program, as in shells.
INTERRUPTED: Final = 130


def main() -> int:
    """0 if every payment of every round settled, 1 otherwise."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    home = Path(tempfile.mkdtemp(prefix="payments-bench-"))
    try:
        report = _run(options, home)
    except (BenchError, OSError, ClientError, SubprocessError) as error:
        _print_line(f"The benchmark failed: {error}. The logs are in {home}")
        return 1
    except KeyboardInterrupt:
        _print_line("Interrupted; every started process has stopped")
        shutil.rmtree(home, ignore_errors=True)
        return INTERRUPTED
    if options.json:
        print(report.as_json())
    else:
        _print_table(report)
    if report.faults:
        _print_line(f"Not everything settled: {'; '.join(report.faults)}")
        _print_line(f"The logs are in {home}")
        return 1
    shutil.rmtree(home, ignore_errors=True)
    if not options.only and options.payments >= PAYMENTS and options.rounds >= ROUNDS:
        PAGE.write_text(refresh_page(PAGE.read_text(), report))
        titles = {side.name: side.title for side in report.sides()}
        CHART.write_text(chart.draw(report.medians(), titles))
        _print_line(f"{PAGE.relative_to(ROOT)} has these figures now")
    return 0


def _run(options: argparse.Namespace, home: Path) -> Report:
    plan = Plan(options.payments, options.connections, options.latency)
    sides = options.only or SIDES
    rounds: list[Round] = []
    for number in range(1, options.rounds + 1):
        # Each round begins with another side, so that no side always follows another.
        first = (number - 1) % len(sides)
        for side in (*sides[first:], *sides[:first]):
            place = home / f"{number}-{side.name}"
            rounds.append(play(side, number, plan, place))
            summary = summarize(rounds[-1].figures())
            _print_line(f"Round {number} of {options.rounds}, {side.title}: {summary}")
            for data in ("mongo", "redis"):  # hundreds of megabytes; logs stay
                shutil.rmtree(place / side.name / data, ignore_errors=True)
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    return Report(command, this_machine(), stub.describe(), rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    for name, default, help in (
        ("--payments", PAYMENTS, "payments measured in a round (%(default)s)"),
        ("--rounds", ROUNDS, "rounds of each side, in turn (%(default)s)"),
        ("--connections", CONNECTIONS, "connections of the load (%(default)s)"),
    ):
        parser.add_argument(name, type=int, default=default, metavar="N", help=help)
    parser.add_argument(
        "--latency",
        type=float,
        default=LATENCY,
        metavar="SECONDS",
        help="seconds of a call to Stripe (%(default)s)",
    )
    names = ", ".join(side.name for side in SIDES)
    parser.add_argument(
        "--only",
        type=_sides,
        metavar="SIDE[,SIDE]",
        help=f"measure these sides, of {names}",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    options = parser.parse_args()
    if options.payments < FEWEST:
        parser.error(f"--payments must be at least {FEWEST}")
    if min(options.rounds, options.connections) < 1:
        parser.error("--rounds and --connections must be at least 1")
    if not 0 <= options.latency <= 10:
        parser.error("--latency must be between 0 and 10 seconds")
    return options


def _sides(text: str) -> list[Side]:
    """The sides of a list of names, in the report's order."""
    names = text.split(",")
    unknown = set(names) - {side.name for side in SIDES}
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no side {', '.join(unknown)}")
    return [side for side in SIDES if side.name in names]


def _print_table(report: Report) -> None:
    title = f"Medians of {report.command}; Stripe: {report.stripe}."
    title += report.disturbance()
    for columns, rows, heading in (
        (report.columns(), report.rows(), title),
        (TARGET_COLUMNS, list(report.target_rows()), "Targets"),
    ):
        table = Table(title=heading)
        for place, column in enumerate(columns):
            table.add_column(column, justify="right" if place else "left")
        for row in rows:
            table.add_row(*row)
        if rows:
            console = Console(highlight=False)
            console.width = max(console.width, WIDTH)
            console.print(table)


def _print_line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """The first signal stops everything in order; further ones are ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _already_stopping)
    raise KeyboardInterrupt


def _already_stopping(number: int, frame: FrameType | None) -> None:
    _print_line("Stopping the started processes; a moment")


if __name__ == "__main__":
    sys.exit(main())
