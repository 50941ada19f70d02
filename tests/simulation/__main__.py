"""`python -m tests.simulation`: crash points, random histories, and mutants.

The exit code is 1 where a promise was broken or a mutant lived.
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
from tests.simulation.judging import table

#: Random histories where nobody says how many: some minutes on two cores.
_HISTORIES: Final = 100_000


def main() -> int:
    """Runs what was asked for, prints what was found, returns the exit code."""
    asked = _arguments()
    if asked.seed is not None and not (asked.histories or asked.seconds):
        return _again(asked.seed)
    random = campaign.random_histories(
        seed=asked.seed or 0,
        histories=None if asked.seconds else asked.histories or _HISTORIES,
        seconds=asked.seconds,
        processes=asked.processes,
    )
    if not _passed("random histories", random):
        return 1
    if asked.random_only:
        return 0
    pairs = campaign.ALL if asked.pairs else campaign.QUICK
    points = campaign.crash_points(pairs=pairs, processes=asked.processes)
    if not _passed("crash points", points):
        return 1
    if asked.mutants:
        mutants, lived = table(processes=asked.processes)
        Console(width=None if sys.stdout.isatty() else 120).print(mutants)
        print(f"{len(mutants.rows) - lived} of {len(mutants.rows)} mutants caught")
        return 1 if lived else 0
    return 0


def _again(seed: int) -> int:
    """One history alone, with its log where it breaks a promise."""
    campaign.quiet()
    broken = campaign.of_seed(seed).broken
    print(broken or f"seed {seed} broke no promise")
    return 1 if broken else 0


def _passed(name: str, outcomes: Iterator[Outcome]) -> bool:
    """Prints one line; or the story of the first promise that was broken."""
    started, ran, cpu = time.monotonic(), 0, 0.0
    for outcome in outcomes:
        ran, cpu = ran + outcome.histories, cpu + outcome.cpu
        if outcome.broken is not None:
            print(outcome.broken)
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
        "--histories", type=int, help=f"random ones; {_HISTORIES} where none is said"
    )
    parser.add_argument("--seconds", type=float, help="instead of a number of them")
    parser.add_argument(
        "--seed", type=int, help="the first one; alone: that history once more"
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
