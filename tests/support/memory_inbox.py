"""An Inbox in memory: small, exact, and safe between threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from domain.errors import StoreUnavailable
from domain.payments.payment import BELL_GRACE
from domain.webhooks import Fate, Webhook


class MemoryInbox:
    """See Inbox. ``away`` cuts everybody off."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.away = False
        self._clock = clock
        self._webhooks: dict[str, Webhook] = {}
        self._lock = threading.RLock()

    def keep(self, webhook: Webhook) -> bool:
        """See Inbox."""
        with self._lock:
            known = self._all()
            new = webhook.id not in known
            known.setdefault(webhook.id, webhook)
            return new

    def load(self, ids: Sequence[str]) -> list[Webhook]:
        """See Inbox."""
        soon = self._clock() + BELL_GRACE
        return [one for one in self._due(soon) if one.id in ids]

    def due_ids(self, limit: int) -> list[str]:
        """See Inbox."""
        return [one.id for one in self._due(self._clock())][:limit]

    def mark(self, webhooks: Sequence[Webhook]) -> None:
        """See Inbox."""
        with self._lock:
            known = self._all()
            for one in webhooks:
                if known[one.id].fate is Fate.WAITING:
                    known[one.id] = one

    def found(
        self, *, fate: Fate | None, since: datetime | None, limit: int
    ) -> list[Webhook]:
        """See Inbox."""
        with self._lock:
            matching = [
                replace(one, body="")
                for one in self._all().values()
                if fate in (None, one.fate)
                and (since is None or one.received_at >= since)
            ]
        newest = sorted(matching, key=lambda one: one.received_at, reverse=True)
        return newest[:limit]

    def replay(self, ids: Sequence[str], *, now: datetime) -> int:
        """See Inbox."""
        with self._lock:
            known = self._all()
            there = [known[one] for one in ids if one in known]
            for one in there:
                known[one.id] = replace(
                    one, fate=Fate.WAITING, due_at=now, owed_from=now, tries=0
                )
            return len(there)

    def _due(self, by: datetime) -> list[Webhook]:
        with self._lock:
            due = [
                (one.due_at, one.id, one)
                for one in self._all().values()
                if one.due_at is not None and one.due_at <= by
            ]
        return [one for *_, one in sorted(due, key=lambda entry: entry[:2])]

    def _all(self) -> dict[str, Webhook]:
        if self.away:
            raise StoreUnavailable
        return self._webhooks
