"""``python -m local_stack.container_check READY LIVE``: a container's health check.

It exits with 0 if READY (a URL) answers. Docker restarts only containers whose program
has ended, so this check kills the program after LIVE failed several times in a row. An
unavailable server makes a program unready, but does not end it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from local_stack import probe

#: Failed checks in a row; compose makes one every 5 seconds.
FAILURES: Final = 6
#: Seconds for an answer; less than the 5 that compose gives the whole check.
ANSWER: Final = 2.0
#: In memory in a container, and empty at its start.
COUNT: Final = Path("/tmp/failed_checks")  # nosec B108: of this container alone


def main(
    ready: str,
    live: str,
    *,
    init: int = 1,
    count: Path = COUNT,
    seconds: float = ANSWER,
) -> int:
    """Returns the exit code; ``init`` is the parent process of the program."""
    if probe.is_ready(live, seconds=seconds):
        count.unlink(missing_ok=True)
        return int(not (ready == live or probe.is_ready(ready, seconds=seconds)))
    failures = int(count.read_text()) + 1 if count.exists() else 1
    count.write_text(str(failures))
    if failures >= FAILURES:
        count.unlink()
        print(f"{live} failed {failures} checks in a row: ending the program")
        for program in children(init):
            os.kill(program, signal.SIGKILL)  # a frozen program ignores TERM
    return 1


def children(pid: int) -> Iterator[int]:
    """The child processes of ``pid``, adopted ones included."""
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, children.read_text().split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
