"""Runs the gates of every stage and prints one row for each.

Each gate is a Make target, so a gate that passes here passes by hand too. Two lanes run
beside each other and take about as long: suites that wait for servers, and checks that
compute. The chaos run measures time and has the machine to itself. A gate that fails
stops no other; the exit code is 1 when one failed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Gate:
    """A Make target; ``found`` is a pattern of the lines with its measurements."""

    stage: str
    target: str
    threshold: str
    found: str


TESTS: Final = r"^\d+ (?:passed|failed|error).* in [\d.]+s.*"

SUITES: Final = (
    Gate("4 adapters", "integration", "all pass", TESTS),
    Gate("7 end to end", "e2e", "all pass", TESTS),
    Gate("6 security", "security", "no high or medium, all pass", TESTS),
    Gate("1 infrastructure", "health", "all pass", TESTS),
)
CHECKS: Final = (
    Gate("2 domain", "lint", "0 errors", r"^Contracts: .*"),
    Gate("2 domain", "typecheck", "strict, 0 errors", r"^(?:Success|Found).*"),
    Gate("2-3 domain, application", "unit", "all pass", TESTS),
    Gate("3 application", "simulation", "0 violations, quick mutants", TESTS),
    Gate("4-5 simulators, API", "contract", "all pass", TESTS),
)
LAST: Final = (
    Gate("7 end to end", "chaos-short", "all pass", TESTS),
    Gate(
        "2-4 coverage",
        "coverage",
        "domain 100, application 90, others 80 %",
        r"^\w+ +[\d.]+ %",
    ),
)


@dataclass(frozen=True, slots=True)
class Result:
    """A gate's exit code and printed lines; seconds that passed, and seconds of CPU."""

    gate: Gate
    code: int
    lines: tuple[str, ...]
    seconds: float
    cpu: float


def main() -> int:
    """Runs every gate, prints the table, returns the exit code."""
    shutil.rmtree(Path("build/coverage"), ignore_errors=True)
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=2) as lanes:
        checks = lanes.submit(run_all, CHECKS)
        suites = lanes.submit(run_all, SUITES)
        results = checks.result() + suites.result()
    results += run_all(LAST)
    results.sort(key=lambda result: result.gate.stage)
    table = Table("stage", "gate", "threshold", "measured", "seconds", "CPU", "verdict")
    for result in results:
        table.add_row(
            result.gate.stage,
            result.gate.target,
            result.gate.threshold,
            measured(result.lines, result.gate.found),
            f"{result.seconds:.0f}",
            f"{result.cpu:.0f}",
            "failed" if result.code else "passed",
        )
    print()
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    failed = [result.gate.target for result in results if result.code]
    minutes = (time.monotonic() - started) / 60
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed", end="")
    print(f" in {minutes:.1f} minutes", end="")
    print(f": {', '.join(failed)}" if failed else "")
    return 1 if failed else 0


def run_all(gates: Sequence[Gate]) -> list[Result]:
    """Runs the gates of one lane in order."""
    return [run(gate) for gate in gates]


def run(gate: Gate) -> Result:
    """Runs a gate; shows each line that it prints with the gate's name before it."""
    print(f"{gate.target:<12}| make {gate.target}", flush=True)
    started = time.monotonic()
    lines = []
    with subprocess.Popen(
        ["make", "--no-print-directory", gate.target],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{gate.target:<12}| {line}", end="", flush=True)
            lines.append(line.rstrip("\n"))
        # The usage includes the processes that the gate started and waited for.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Result(
        gate,
        process.returncode,
        tuple(lines),
        time.monotonic() - started,
        usage.ru_utime + usage.ru_stime,
    )


def measured(lines: Sequence[str], pattern: str) -> str:
    """The lines with measurements, shortened; the last of many."""
    said = [
        match[0] for line in lines if (match := re.match(pattern, line.strip("= ")))
    ]
    if len(said) > 1 and said[0].endswith("%"):
        return ", ".join(" ".join(one.split()) for one in said)
    return said[-1] if said else (lines[-1] if lines else "no output")


if __name__ == "__main__":
    sys.exit(main())
