"""CPU seconds and resident memory of process trees, from Linux's /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import BenchError

#: Units of the times in /proc: a hundred a second on most machines.
TICKS: Final = os.sysconf("SC_CLK_TCK")
#: Bytes in a page of memory.
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
#: Places in /proc/<pid>/stat, counted from the state after the name (proc(5)).
PARENT: Final = 1
USER_TO_CHILDREN: Final = slice(11, 15)


@dataclass(frozen=True, slots=True)
class Reading:
    """User and system seconds so far."""

    processes: dict[str, float]  #: of each root, its descendants included
    all_roots: float  #: of all roots together, each process counted once
    machine: float  #: of the whole machine, including time that its host took away


def read(roots: Mapping[str, int]) -> Reading:
    """CPU times of the root processes (name to pid) and their descendants.

    Descendants that have ended count too. Raises BenchError if a root does not run,
    because its times are lost.
    """
    processes = dict(_processes())
    found = _trees(roots, processes)
    times = {
        pid: sum(map(int, fields[USER_TO_CHILDREN]))
        for pid, fields in processes.items()
    }
    for name, root in roots.items():
        if root not in times:
            raise BenchError(f"{name} (process {root}) ended while it was measured")

    def used(pids: set[int]) -> float:
        return sum(times[pid] for pid in pids) / TICKS

    return Reading(
        processes={name: used(tree) for name, tree in found.items()},
        all_roots=used(set().union(*found.values())),
        machine=_machine(),
    )


def trees(roots: Mapping[str, int]) -> dict[str, set[int]]:
    """The pids of each root process (name to pid) and its descendants."""
    return _trees(roots, dict(_processes()))


def resident(pids: Iterable[int]) -> int:
    """Resident bytes of the processes that still run, shared pages in each."""
    total = 0
    for pid in pids:
        try:
            pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(pages) * PAGE
    return total


def _trees(
    roots: Mapping[str, int], processes: Mapping[int, list[str]]
) -> dict[str, set[int]]:
    children: defaultdict[int, list[int]] = defaultdict(list)
    for pid, fields in processes.items():
        children[int(fields[PARENT])].append(pid)
    return {name: set(_tree(root, children)) for name, root in roots.items()}


def _machine() -> float:
    """The first line of /proc/stat without idle time and waits for disks (proc(5))."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, stolen = map(
            int, file.readline().split()[1:9]
        )
    return (user + nice + system + irq + softirq + stolen) / TICKS


def _processes() -> Iterator[tuple[int, list[str]]]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            text = (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        # The name is in parentheses, and may hold spaces and parentheses.
        yield int(folder.name), text.rpartition(")")[2].split()


def _tree(root: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    yield root
    for child in children.get(root, ()):
        yield from _tree(child, children)
