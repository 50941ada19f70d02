"""Groups of what arrives in a queue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

#: Redis' list of the ids of accepted payments.
QUEUE: Final = "floor"

Item = TypeVar("Item")


def groups(
    queue: SimpleQueue[Item], *, pace: float, limit: int
) -> Iterator[list[Item]]:
    """Groups of at most ``limit`` items; each gathers for ``pace`` seconds."""
    while True:
        group = [queue.get()]
        time.sleep(pace)
        try:
            while len(group) < limit:
                group.append(queue.get_nowait())
        except Empty:
            pass
        yield group
