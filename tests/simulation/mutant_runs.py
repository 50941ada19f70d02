"""Applies each mutant to a copy of the packages, and runs the simulation on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.table import Table

from tests.simulation.mutants import MUTANTS, Mutant

ROOT: Final = Path(__file__).parents[2]
#: The folders of a copy.
_COPIED: Final = (
    *("application", "domain"),
    *("tests/simulation", "tests/suites", "tests/support", "tests/unit/domain"),
)
_FILES: Final = ("tests/__init__.py", "tests/unit/__init__.py")

#: Random histories until a mutant counts as a survivor. Most are caught within
#: hundreds, the last within thousands; the seconds only end a hang.
_HISTORIES: Final = 30_000
_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a mutant was caught, and by which violation."""

    mutant: Mutant
    caught: bool
    detail: str  #: the broken promise, or another error
    seconds: float


def run_mutants(*, processes: int) -> tuple[Table, int]:
    """Runs every mutant; returns their table and the number of survivors."""
    found = Table("mutant", "in", "caught", "seconds", "by")
    survived = 0
    with ThreadPoolExecutor(processes) as pool:
        for verdict in pool.map(run_mutant, MUTANTS):
            survived += not verdict.caught
            found.add_row(
                verdict.mutant.name,
                verdict.mutant.file,
                "yes" if verdict.caught else "NO",
                f"{verdict.seconds:.1f}",
                verdict.detail,
            )
    return found, survived


def run_mutant(mutant: Mutant) -> Verdict:
    """Runs the simulation on a copy with ``mutant``.

    Only the exit code of a broken promise, 1, counts. A copy that does not start
    proves nothing.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        copy_packages(copy)
        mutate(copy, mutant)
        test = mutant.test
        code, detail = run_test(copy, test) if test else run_histories(copy)
    return Verdict(mutant, code == 1, detail, time.monotonic() - started)


def copy_packages(into: Path) -> None:
    """Copies the packages that the simulation needs below ``into``."""
    for name in _COPIED:
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, into / name, ignore=without)
    for name in _FILES:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, into / name)


def mutate(copy: Path, mutant: Mutant) -> None:
    """Changes the copy. Raises ValueError unless the text occurs exactly once."""
    path = copy / mutant.file
    text = path.read_text()
    found = text.count(mutant.before)
    if found != 1:
        raise ValueError(f"{mutant.name}: {found} times in {mutant.file}, not once")
    path.write_text(text.replace(mutant.before, mutant.after))


def run_test(copy: Path, test: str) -> tuple[int, str]:
    """Runs a test in ``copy``; returns its exit code (1: it failed) and last output."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    done = subprocess.run(
        command,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    return done.returncode, done.stdout.strip()[-200:]


def run_histories(copy: Path, *, histories: int = _HISTORIES) -> tuple[int, str]:
    """Runs histories in ``copy``; returns the exit code and the broken promise."""
    command = [sys.executable, "-m", "tests.simulation", "--random-only"]
    command += ["--processes", "1", "--histories", str(histories)]
    # The path has the copy alone, and then the installed packages.
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 0, f"no violation within {_SECONDS:.0f} s"
    violations = [line for line in done.stdout.splitlines() if _BROKEN in line]
    if done.returncode == 1 and not violations:
        return 2, (done.stderr or done.stdout).strip()[-200:]
    return done.returncode, (
        violations[-1].strip() if violations else done.stdout.strip()[-200:]
    )


#: The representation of a violation in the output.
_BROKEN: Final = "Violation("
