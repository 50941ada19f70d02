"""Many histories at once: what ran, and the first promise that was broken."""

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

#: Fault plans whose pairs of crashes are all run where there is little time.
QUICK: Final = ("fine",)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What some histories came to; ``broken`` tells of the worst of them."""

    histories: int
    cpu: float  #: seconds
    broken: str | None = None


def of_seed(seed: int) -> Outcome:
    """One random history, with its log where it breaks a promise."""
    history = History(seed)
    broken = None
    try:
        history.run()
    except (Violation, Exception) as error:
        log = "\n".join("  " + ": ".join(step) for step in history.log)
        broken = f"{log}\n{error!r}\nseed {seed}, at {history.provider}"
    return Outcome(1, 0.0, broken)


def of_seeds(first: int, histories: int) -> Outcome:
    """Random histories from seed ``first`` on; of broken ones, the shortest story."""
    started, stories = time.process_time(), list[str]()
    for seed in range(first, first + histories):
        broken = of_seed(seed).broken
        if broken is not None:
            stories.append(broken)
    broken = min(stories, key=len, default=None)
    return Outcome(histories, time.process_time() - started, broken)


def of_course(course: Course, *, pairs: bool) -> Outcome:
    """Every crash point of one course, and every pair of them where asked."""
    started, ran = time.process_time(), 0
    try:
        for _ in course.crashes(pairs=pairs):
            ran += 1
    except (Violation, Exception) as error:
        return Outcome(ran, time.process_time() - started, repr(error))
    return Outcome(ran, time.process_time() - started)


def quiet() -> None:
    """The product's own warnings tell nothing here; whoever runs histories calls it."""
    logging.disable(logging.CRITICAL)


def crash_points(*, pairs: Sequence[str], processes: int) -> Iterator[Outcome]:
    """All courses: every crash point, and in the fault_plans ``pairs`` every pair."""
    quiet()
    all_courses = courses()
    if processes == 1:
        for course in all_courses:
            yield of_course(course, pairs=course.fault_plan in pairs)
        return
    with _pool(processes) as pool:
        running = [
            pool.submit(of_course, course, pairs=course.fault_plan in pairs)
            for course in all_courses
        ]
        for future in running:
            yield future.result()


def random_histories(
    *, seed: int, histories: int | None, seconds: float | None, processes: int
) -> Iterator[Outcome]:
    """Seeds from ``seed`` on, until so many have run or so much time has passed."""
    quiet()
    chunks = _chunks(seed, histories)
    ends = None if seconds is None else time.monotonic() + seconds
    if processes == 1:
        for first, size in chunks:
            if ends is not None and time.monotonic() > ends:
                return
            yield of_seeds(first, size)
        return
    with _pool(processes) as pool:
        running = set[Future[Outcome]]()
        for first, size in chunks:
            if ends is not None and time.monotonic() > ends:
                break
            running.add(pool.submit(of_seeds, first, size))
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
        processes, mp_context=get_context("spawn"), initializer=quiet
    )


ALL: Final = tuple(FAULT_PLANS)
