"""Finds the work that is owed: lost messages, dead workers, schedules, retries."""

from __future__ import annotations

from application.ports import JobQueue, Owing


def dispatch_due(*, store: Owing, queue: JobQueue) -> int:
    """Rings for what is due, as far as the queue has room; returns how many.

    Any number of these at once do no harm: a message only wakes, the claim decides.
    The queue's room is the bound, so a backlog neither floods the broker nor keeps
    new payments waiting behind it. Raises StoreUnavailable and QueueUnavailable.
    """
    room = queue.room()
    if room <= 0:
        return 0
    ids = store.due_ids(room)
    if ids:
        queue.ring(ids)
    return len(ids)
