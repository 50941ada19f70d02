"""Runs many histories in several processes, until one breaks a promise."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from typing import Final

from tests.simulation.exhaustive import FAULT_PLANS, Course, courses
from tests.simulation.histories import History
from tests.simulation.scheduler import Violation

#: Seeds that one process runs before it reports.
_CHUNK: Final = 250

#: Fault plans with all pairs of crashes in a quick run.
QUICK: Final = ("fine",)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of some histories; ``violation`` has the shortest log."""

    histories: int
    cpu: float  #: seconds
    violation: str | None = None


def run_seed(seed: int) -> Outcome:
    """Runs one random history; its result has the log of a broken promise."""
    history = History(seed)
    violation = None
    try:
        history.run()
    except (Violation, Exception) as error:
        log = "\n".join("  " + ": ".join(step) for step in history.log)
        violation = f"{log}\n{error!r}\nseed {seed}, at {history.provider}"
    return Outcome(1, 0.0, violation)


def run_seeds(first: int, histories: int) -> Outcome:
    """Runs random histories from seed ``first`` on; keeps the shortest violation."""
    started, violations = time.process_time(), list[str]()
    for seed in range(first, first + histories):
        violation = run_seed(seed).violation
        if violation is not None:
            violations.append(violation)
    violation = min(violations, key=len, default=None)
    return Outcome(histories, time.process_time() - started, violation)


def run_course(course: Course, *, pairs: bool) -> Outcome:
    """Runs every crash point of one course, and with ``pairs`` every pair of them."""
    started, ran = time.process_time(), 0
    try:
        for _ in course.crashes(pairs=pairs):
            ran += 1
    except (Violation, Exception) as error:
        return Outcome(ran, time.process_time() - started, repr(error))
    return Outcome(ran, time.process_time() - started)


def silence_logs() -> None:
    """Switches the product's logs off, in each process that runs histories."""
    logging.disable(logging.CRITICAL)


def crash_points(*, pairs: Sequence[str], processes: int) -> Iterator[Outcome]:
    """Runs every crash point of all courses, with pairs in the plans ``pairs``."""
    silence_logs()
    all_courses = courses()
    if processes == 1:
        for course in all_courses:
            yield run_course(course, pairs=course.fault_plan in pairs)
        return
    with _pool(processes) as pool:
        running = [
            pool.submit(run_course, course, pairs=course.fault_plan in pairs)
            for course in all_courses
        ]
        for future in running:
            yield future.result()


def random_histories(
    *, seed: int, histories: int | None, seconds: float | None, processes: int
) -> Iterator[Outcome]:
    """Runs seeds from ``seed`` on, up to the number of histories or of seconds."""
    silence_logs()
    chunks = _chunks(seed, histories)
    ends = None if seconds is None else time.monotonic() + seconds
    if processes == 1:
        for first, size in chunks:
            if ends is not None and time.monotonic() > ends:
                return
            yield run_seeds(first, size)
        return
    with _pool(processes) as pool:
        running = set[Future[Outcome]]()
        for first, size in chunks:
            if ends is not None and time.monotonic() > ends:
                break
            running.add(pool.submit(run_seeds, first, size))
            if len(running) > processes:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in running)


def _chunks(seed: int, histories: int | None) -> Iterator[tuple[int, int]]:
    if histories is None:
        yield from ((first, _CHUNK) for first in count(seed, _CHUNK))
    else:
        for first in range(seed, seed + histories, _CHUNK):
            yield first, min(_CHUNK, seed + histories - first)


def _pool(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=silence_logs
    )


ALL: Final = tuple(FAULT_PLANS)
