"""Runs the gates of every stage in order, and prints one row for each.

Each gate is a Make target, so that what passes here passes by hand too. All of them
run, whichever fail; the exit code is 1 where one did.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Gate:
    """``found`` is a pattern of the output's lines that say what was measured."""

    stage: str
    target: str
    threshold: str
    found: str


TESTS: Final = r"^\d+ (?:passed|failed|error).* in [\d.]+s.*"

GATES: Final = (
    Gate("1 infrastructure", "health", "all pass", TESTS),
    Gate("2 domain", "lint", "0 errors", r"^Contracts: .*"),
    Gate("2 domain", "typecheck", "strict, 0 errors", r"^(?:Success|Found).*"),
    Gate("2-3 domain, application", "unit", "all pass", TESTS),
    Gate("3 application", "simulation", "0 violations, all mutants", TESTS),
    Gate("4 adapters", "integration", "all pass", TESTS),
    Gate("4-5 simulators, API", "contract", "all pass", TESTS),
    Gate("6 security", "security", "no high or medium, all pass", TESTS),
    Gate("7 end to end", "e2e", "all pass", TESTS),
    Gate("7 end to end", "chaos-short", "all pass", TESTS),
    Gate(
        "2-4 coverage",
        "coverage",
        "domain 100, application 90, others 80 %",
        r"^\w+ +[\d.]+ %",
    ),
)


def main() -> int:
    """Runs every gate, prints the table, returns the exit code."""
    shutil.rmtree(Path("build/coverage"), ignore_errors=True)
    table = Table("stage", "gate", "threshold", "measured", "seconds", "verdict")
    failed = 0
    for gate in GATES:
        print(f"\n== {gate.stage}: make {gate.target}", flush=True)
        started = time.monotonic()
        code, lines = run(["make", "--no-print-directory", gate.target])
        failed += code != 0
        table.add_row(
            gate.stage,
            gate.target,
            gate.threshold,
            measured(lines, gate.found),
            f"{time.monotonic() - started:.0f}",
            "failed" if code else "passed",
        )
    print()
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    print(f"{len(GATES) - failed} passed, {failed} failed")
    return 1 if failed else 0


def run(command: Sequence[str]) -> tuple[int, list[str]]:
    """Shows what the command prints while it runs; its exit code and its lines."""
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    return process.returncode, lines


def measured(lines: Sequence[str], pattern: str) -> str:
    """The lines that say what was measured, shortened; the last one where many do."""
    said = [
        match[0] for line in lines if (match := re.match(pattern, line.strip("= ")))
    ]
    if len(said) > 1 and said[0].endswith("%"):
        return ", ".join(" ".join(one.split()) for one in said)
    return said[-1] if said else (lines[-1] if lines else "no output")


if __name__ == "__main__":
    sys.exit(main())
