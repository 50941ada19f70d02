"""How much memory a program holds."""

from __future__ import annotations


def memory(pid: int) -> int:
    """Bytes that a process and its children hold (resident)."""
    total = 0
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        pids = [pid, *map(int, children.read().split())]
    for one in pids:
        with open(f"/proc/{one}/statm") as pages:
            total += int(pages.read().split()[1]) * 4096
    return total
