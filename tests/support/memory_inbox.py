"""A WebhookInbox in memory: small, exact and thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from domain.errors import StoreUnavailable
from domain.payments.payment import WAKEUP_GRACE
from domain.webhooks import WebhookStatus, Webhook


class MemoryInbox:
    """A WebhookInbox. ``away`` makes it unavailable."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.away = False
        self._clock = clock
        self._webhooks: dict[str, Webhook] = {}
        self._lock = threading.RLock()

    def add(self, webhook: Webhook) -> bool:
        with self._lock:
            known = self._all()
            new = webhook.id not in known
            known.setdefault(webhook.id, webhook)
            return new

    def load(self, ids: Sequence[str]) -> list[Webhook]:
        soon = self._clock() + WAKEUP_GRACE
        return [one for one in self._due(soon) if one.id in ids]

    def find_due_ids(self, limit: int) -> list[str]:
        return [one.id for one in self._due(self._clock())][:limit]

    def save_results(self, webhooks: Sequence[Webhook]) -> None:
        with self._lock:
            known = self._all()
            for one in webhooks:
                if known[one.id].status is WebhookStatus.WAITING:
                    known[one.id] = one

    def find(
        self, *, status: WebhookStatus | None, since: datetime | None, limit: int
    ) -> list[Webhook]:
        with self._lock:
            matching = [
                replace(one, body="")
                for one in self._all().values()
                if status in (None, one.status)
                and (since is None or one.received_at >= since)
            ]
        newest = sorted(matching, key=lambda one: one.received_at, reverse=True)
        return newest[:limit]

    def reprocess(self, ids: Sequence[str], *, now: datetime) -> int:
        with self._lock:
            known = self._all()
            there = [known[one] for one in ids if one in known]
            for one in there:
                known[one.id] = replace(
                    one,
                    status=WebhookStatus.WAITING,
                    due_at=now,
                    starts_at=now,
                    tries=0,
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
