"""The memory and CPU time of a program."""

from __future__ import annotations

import os


def memory(pid: int) -> int:
    """Resident bytes of a process and its children."""
    total = 0
    for member in _family(pid):
        with open(f"/proc/{member}/statm") as pages:
            total += int(pages.read().split()[1]) * 4096
    return total


def peak_memory(pid: int) -> int:
    """Peak resident bytes of a process and its children."""
    total = 0
    for member in _family(pid):
        with open(f"/proc/{member}/status") as status:
            [peak] = [line for line in status if line.startswith("VmHWM:")]
        total += int(peak.split()[1]) * 1024
    return total


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process and its children."""
    ticks = 0
    for member in _family(pid):
        with open(f"/proc/{member}/stat") as stat:
            # After the name in parentheses: utime and stime are fields 14 and 15.
            ticks += sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [pid, *map(int, children.read().split())]
