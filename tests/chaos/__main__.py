"""``python -m tests.chaos``: runs the proof and prints its results."""

from __future__ import annotations

import argparse
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.children import ROOT
from runtime.processes import ProcessFailed
from tests.chaos import control
from tests.chaos.plan import LONG, SHORT, Plan
from tests.chaos.proof import prove
from tests.chaos.report import SHOWN, Report, refresh_page

PAGE: Final = ROOT / "docs" / "reliability.md"
REPORT: Final = ROOT / "build" / "chaos" / "report.json"
#: Exit code of an interrupted program, as in shells.
INTERRUPTED: Final = 130
#: The smallest run whose results go on the page.
FEWEST: Final = LONG


def main() -> int:
    """0 if every invariant held, 1 if not, 130 if interrupted."""
    options, plan = _options()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    home = Path(tempfile.mkdtemp(prefix="payments-chaos-"))
    try:
        report = _run(plan, home)
    except KeyboardInterrupt:
        _print_line("Interrupted; every started process has stopped")
        shutil.rmtree(home, ignore_errors=True)
        return INTERRUPTED
    except ProcessFailed as error:
        _print_line(f"The run failed: {error}. Data and logs are in {home}")
        return 1
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(report.as_json())
    if options.json:
        print(report.as_json())
    else:
        _print(report)
    _print_line(f"The report is in {options.report}")
    if report.violations:
        _print_line(f"{report.violations} violations. Data and logs are in {home}")
        return 1
    if options.keep:
        _print_line(f"Data and logs are in {home}")
    else:
        shutil.rmtree(home, ignore_errors=True)
    if _long_enough(report):
        PAGE.write_text(refresh_page(PAGE.read_text(), report))
        _print_line(f"{PAGE.relative_to(ROOT)} has these figures now")
    return 0


def _run(plan: Plan, home: Path) -> Report:
    found = (
        control.run(plan, home / "plain", print_line=_print_line)
        if plan.control
        else None
    )
    command = shlex.join(["python", "-m", "tests.chaos", *sys.argv[1:]])
    return prove(
        plan, home / "ours", print_line=_print_line, command=command, control=found
    )


def _options() -> tuple[argparse.Namespace, Plan]:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    for name, kind, help in (
        ("payments", int, "payments that the client submits"),
        ("rate", float, "payments a second"),
        ("kills", int, "kills of workers, webs and beats"),
        ("wipes", int, "wipes of Redis"),
        ("failovers", int, "fail-overs of MongoDB"),
        ("faults", int, "faults armed at the providers"),
        ("bound", float, "seconds after healing within which everything must end"),
        ("control", int, "payments for the plain service; 0 leaves it out"),
        ("seed", int, "seed of load and nemesis; by default a random one"),
    ):
        parser.add_argument(f"--{name}", type=kind, metavar="N", help=help)
    parser.add_argument("--short", action="store_true", help="a minute and a half")
    parser.add_argument("--json", action="store_true", help="print JSON, not tables")
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    parser.add_argument("--report", type=Path, default=REPORT, help="%(default)s")
    options = parser.parse_args()
    base = SHORT if options.short else LONG
    given = {
        name: value
        for name, value in vars(options).items()
        if value is not None and name in Plan.__dataclass_fields__
    }
    return options, replace(base, **{"seed": secrets.randbelow(10**6), **given})


def _long_enough(report: Report) -> bool:
    wipes = report.acts("flush") + report.acts("lose_redis")
    return (
        report.plan.payments >= FEWEST.payments
        and report.acts("kill ") >= FEWEST.kills
        and wipes >= FEWEST.wipes
        and report.elections >= FEWEST.failovers
        and report.control is not None
    )


def _print(report: Report) -> None:
    console = Console(highlight=False)
    for title, rows in (
        ("Actions", report.actions()),
        ("Results", report.results()),
    ):
        table = Table(title=title, show_header=False)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    table = Table("", "invariant", "checked", "violations", title="Invariants")
    for check in report.checks():
        table.add_row(*check)
    console.print(table)
    for verdict in report.verdicts:
        for violation in verdict.violations[:SHOWN]:
            print(f"{verdict.name}: {violation}")


def _print_line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """The first signal stops everything in order; further ones are ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
