"""`python -m tests.simulation`: crash points, random histories, and mutants.

The exit code is 1 if a promise was broken or a mutant survived.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from typing import Final

from rich.console import Console

from tests.simulation import campaign
from tests.simulation.campaign import Outcome
from tests.simulation.mutant_runs import run_mutants

#: Random histories by default: some minutes on two cores.
_HISTORIES: Final = 100_000


def main() -> int:
    """Runs the requested parts, prints the results and returns the exit code."""
    options = _arguments()
    if options.seed is not None and not (options.histories or options.seconds):
        return _repeat_history(options.seed)
    random = campaign.random_histories(
        seed=options.seed or 0,
        histories=None if options.seconds else options.histories or _HISTORIES,
        seconds=options.seconds,
        processes=options.processes,
    )
    if not _report("random histories", random):
        return 1
    if options.random_only:
        return 0
    pairs = campaign.ALL if options.pairs else campaign.QUICK
    points = campaign.crash_points(pairs=pairs, processes=options.processes)
    if not _report("crash points", points):
        return 1
    if options.mutants:
        mutants, survived = run_mutants(processes=options.processes)
        Console(width=None if sys.stdout.isatty() else 120).print(mutants)
        print(f"{len(mutants.rows) - survived} of {len(mutants.rows)} mutants caught")
        return 1 if survived else 0
    return 0


def _repeat_history(seed: int) -> int:
    """Runs one history, and prints its log if it breaks a promise."""
    campaign.silence_logs()
    violation = campaign.run_seed(seed).violation
    print(violation or f"seed {seed} broke no promise")
    return 1 if violation else 0


def _report(name: str, outcomes: Iterator[Outcome]) -> bool:
    """Prints one line, or the log of the first broken promise."""
    started, ran, cpu = time.monotonic(), 0, 0.0
    for outcome in outcomes:
        ran, cpu = ran + outcome.histories, cpu + outcome.cpu
        if outcome.violation is not None:
            print(outcome.violation)
            print(f"{name}: a promise was broken within {ran} histories", flush=True)
            return False
    took = time.monotonic() - started
    each = 1000 * cpu / max(ran, 1)
    print(
        f"{name}: {ran} histories in {took:.0f} s, {each:.2f} ms CPU each,"
        " no promise broken",
        flush=True,
    )
    return True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "--histories",
        type=int,
        help=f"number of random histories; {_HISTORIES} by default",
    )
    parser.add_argument(
        "--seconds", type=float, help="seconds of random histories, instead of a number"
    )
    parser.add_argument(
        "--seed",
        type=int,
        help="the first seed; without a number or seconds, its history alone",
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--pairs",
        action="store_true",
        help="every pair of crash points with each fault plan, not only without faults",
    )
    parser.add_argument("--no-mutants", dest="mutants", action="store_false")
    parser.add_argument(
        "--random-only", action="store_true", help="no crash points and no mutants"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
