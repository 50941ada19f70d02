"""Finds the work that is owed: lost messages, dead workers, schedules, retries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from application.ports.payments import JobQueue, DueWorkSource


def dispatch_due(*, store: DueWorkSource, queue: JobQueue) -> int:
    """Rings for what is due, as far as the queue has room; returns how many.

    Any number of these at once do no harm: a message only wakes, the claim decides.
    The queue's room is the bound, so a backlog neither floods the broker nor keeps
    new payments waiting behind it. Raises StoreUnavailable and QueueUnavailable.
    """
    room = queue.free_slots()
    if room <= 0:
        return 0
    ids = store.find_due_ids(room)
    if ids:
        queue.notify(ids)
    return len(ids)


def round_robin(lines: Sequence[Sequence[str]], most: int) -> list[str]:
    """At most so many of all lines, each once: one of each line, and again."""
    turns = (one for turn in zip_longest(*lines) for one in turn if one is not None)
    return list(dict.fromkeys(turns))[:most]
