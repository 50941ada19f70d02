"""Mutants, each applied to a copy of the packages: does anything there fail on it?"""

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
#: What a copy is made of.
_COPIED: Final = (
    *("application", "domain"),
    *("tests/simulation", "tests/suites", "tests/support", "tests/unit/domain"),
)
_FILES: Final = ("tests/__init__.py", "tests/unit/__init__.py")

#: Random histories that a mutant may live through before it counts as not caught. Most
#: die within some hundred, the last within some thousand; seconds only end a hang.
_HISTORIES: Final = 30_000
_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the simulation saw it, and by what."""

    mutant: Mutant
    caught: bool
    seen: str  #: the promise that was broken, or what went wrong
    seconds: float


def table(*, processes: int) -> tuple[Table, int]:
    """Runs every mutant; the table of them, and how many lived."""
    found = Table("mutant", "in", "caught", "seconds", "by")
    lived = 0
    with ThreadPoolExecutor(processes) as pool:
        for verdict in pool.map(judged, MUTANTS):
            lived += not verdict.caught
            found.add_row(
                verdict.mutant.name,
                verdict.mutant.file,
                "yes" if verdict.caught else "NO",
                f"{verdict.seconds:.1f}",
                verdict.seen,
            )
    return found, lived


def judged(mutant: Mutant) -> Verdict:
    """Runs the simulation on a copy that has ``mutant`` in it.

    Only an exit code of 1, by a broken promise, counts: a copy that does not even
    start proves nothing.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        copied(copy)
        mutate(copy, mutant)
        test = mutant.test
        code, seen = tested(copy, test) if test else simulated(copy)
    return Verdict(mutant, code == 1, seen, time.monotonic() - started)


def copied(into: Path) -> None:
    """The packages that the simulation needs, below ``into``."""
    for name in _COPIED:
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, into / name, ignore=without)
    for name in _FILES:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, into / name)


def mutate(copy: Path, mutant: Mutant) -> None:
    """Changes the copy. Raises ValueError where the text is not there exactly once."""
    path = copy / mutant.file
    text = path.read_text()
    found = text.count(mutant.before)
    if found != 1:
        raise ValueError(f"{mutant.name}: {found} times in {mutant.file}, not once")
    path.write_text(text.replace(mutant.before, mutant.after))


def tested(copy: Path, test: str) -> tuple[int, str]:
    """The exit code of a test in ``copy``, 1 where it fails, and its last words."""
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


def simulated(copy: Path, *, histories: int = _HISTORIES) -> tuple[int, str]:
    """The exit code of random histories in ``copy``, and the promise they broke."""
    command = [sys.executable, "-m", "tests.simulation", "--random-only"]
    command += ["--processes", "1", "--histories", str(histories)]
    # Only the copy is on the path, and what pip has installed is seen after it.
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
        return 0, f"nothing within {_SECONDS:.0f} s"
    said = [line for line in done.stdout.splitlines() if _BROKEN in line]
    if done.returncode == 1 and not said:
        return 2, (done.stderr or done.stdout).strip()[-200:]
    return done.returncode, said[-1].strip() if said else done.stdout.strip()[-200:]


#: How a violation is written.
_BROKEN: Final = "Violation("
