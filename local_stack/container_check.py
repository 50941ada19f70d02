"""``python -m local_stack.container_check READY LIVE``: a container's health check.

Exits with 0 where READY (a URL) answers. Docker restarts a container whose program
ends, and no other. So this ends the program once LIVE did not answer several times in
a row; a server that is away makes a program unready, and does not end it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from local_stack import probe

#: Checks in a row, of which compose makes one every 5 seconds.
FAILURES: Final = 6
#: Seconds that an answer may take; below the 5 that compose gives the whole check.
ANSWER: Final = 2.0
#: A container's folder for such things is in memory, and empty at its start.
COUNT: Final = Path("/tmp/failed_checks")  # nosec B108: of this container alone


def main(
    ready: str,
    live: str,
    *,
    init: int = 1,
    count: Path = COUNT,
    seconds: float = ANSWER,
) -> int:
    """The exit code of the check; ``init`` is the process that started the program."""
    if probe.is_ready(live, seconds=seconds):
        count.unlink(missing_ok=True)
        return int(not (ready == live or probe.is_ready(ready, seconds=seconds)))
    failures = int(count.read_text()) + 1 if count.exists() else 1
    count.write_text(str(failures))
    if failures >= FAILURES:
        count.unlink()
        print(f"no answer of {live} for {failures} checks: ending the program")
        for program in children(init):
            os.kill(program, signal.SIGKILL)  # frozen, it would not hear TERM
    return 1


def children(pid: int) -> Iterator[int]:
    """The processes that a process started or was left."""
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, children.read_text().split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
