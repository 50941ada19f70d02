"""Notifies the workers of due work, and shares a batch between accounts.

Due work is that of lost messages, dead workers, schedules and retries.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from application.ports.payments import JobQueue, DueWorkSource


def dispatch_due(*, store: DueWorkSource, queue: JobQueue) -> int:
    """Notifies the workers of due work, as far as the queue has room.

    Returns the number of ids. Several calls at once do no harm: a message only wakes a
    worker, and the claim decides. The bound keeps a backlog from flooding the broker
    and from delaying new payments. Raises StoreUnavailable and QueueUnavailable.
    """
    free_slots = queue.free_slots()
    if free_slots <= 0:
        return 0
    ids = store.find_due_ids(free_slots)
    if ids:
        queue.notify(ids)
    return len(ids)


def round_robin(lines: Sequence[Sequence[str]], most: int) -> list[str]:
    """At most ``most`` ids, each once: one of each line in turn."""
    turns = (id for turn in zip_longest(*lines) for id in turn if id is not None)
    return list(dict.fromkeys(turns))[:most]
