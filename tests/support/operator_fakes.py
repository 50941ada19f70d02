"""Implementers of the operators' ports in memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from domain.account import Account
from domain.errors import StoreUnavailable
from domain.payments.payment import Payment
from domain.payments.submission import Mode
from domain.reconciliation import list_movements
from domain.replays import ItemOutcome, ReplayItem, ReplaySet, Search, ReplayStage
from tests.support.memory_store import MemoryStore


class MemoryView:
    """An OperatorView of the payments of ``mode`` in ``store``."""

    def __init__(self, store: MemoryStore, mode: Mode = Mode.TEST) -> None:
        self._store = store
        self._mode = mode

    def find(self, search: Search, *, before: str | None, limit: int) -> list[Payment]:
        found = [
            one
            for one in self._all()
            if (before is None or one.id < before)
            and search.matching(one)
            and _matches(search, one)
        ]
        return sorted(found, key=lambda one: one.id, reverse=True)[:limit]

    def find_moved(
        self, account: Account, since: datetime, until: datetime, *, limit: int
    ) -> list[Payment]:
        found = [
            one
            for one in self._all()
            if one.account == account
            and any(
                each.at is not None and since <= each.at < until
                for each in list_movements(one)
            )
        ]
        return found[:limit]

    def get(self, payment_id: str) -> Payment | None:
        return next(iter(self.load([payment_id])), None)

    def load(self, ids: Sequence[str]) -> list[Payment]:
        return [one for one in self._all() if one.id in ids]

    def find_disputed(self, account: Account, refs: Sequence[str]) -> list[Payment]:
        return [
            one
            for one in self._all()
            if one.account == account and any(each.ref in refs for each in one.disputes)
        ]

    def _all(self) -> list[Payment]:
        return [one for one in self._store.all_payments() if one.mode is self._mode]


class MemoryReplays:
    """A ReplayStore of one mode; ``clock`` measures turns."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.away = False
        self._clock = clock
        self._sets: dict[str, ReplaySet] = {}
        self._next: dict[str, datetime] = {}
        self._items: dict[str, dict[int, ReplayItem]] = {}
        self._lock = threading.RLock()

    def add(self, replay: ReplaySet, items: Sequence[ReplayItem]) -> None:
        with self._lock:
            self._sets[replay.id] = replay
            self._items[replay.id] = {item.number: item for item in items}

    def get(self, replay_id: str) -> ReplaySet | None:
        return self._sets.get(replay_id)

    def update_stage(self, replay: ReplaySet, *, was: ReplayStage) -> bool:
        with self._lock:
            if self._sets[replay.id].stage is not was:
                return False
            self._sets[replay.id] = replay
            self._next[replay.id] = self._clock()
            return True

    def claim_due(self) -> ReplaySet | None:
        if self.away:
            raise StoreUnavailable
        now = self._clock()
        with self._lock:
            waiting = [
                one
                for one in self._sets.values()
                if one.stage is ReplayStage.RUNNING and self._next[one.id] <= now
            ]
            if not waiting:
                return None
            first = min(waiting, key=lambda one: self._next[one.id])
            self._next[first.id] = now + timedelta(seconds=1)
            return first

    def list_items(
        self, replay_id: str, *, after: int, limit: int, left: bool = False
    ) -> list[ReplayItem]:
        with self._lock:
            found = [
                item
                for number, item in sorted(self._items.get(replay_id, {}).items())
                if number > after and not (left and item.outcome)
            ]
        return found[:limit]

    def record_outcomes(
        self, replay_id: str, verdicts: Mapping[int, ItemOutcome]
    ) -> None:
        with self._lock:
            items = self._items[replay_id]
            for number, outcome in verdicts.items():
                if items[number].outcome is None:
                    items[number] = replace(items[number], outcome=outcome)

    def count_outcomes(self, replay_id: str) -> Mapping[ItemOutcome, int]:
        with self._lock:
            items = self._items.get(replay_id, {}).values()
            return Counter(item.outcome for item in items if item.outcome is not None)


def _matches(search: Search, payment: Payment) -> bool:
    made = payment.created_at
    return (
        search.provider in (None, payment.provider)
        and search.merchant in (None, payment.merchant)
        and (search.created_from is None or made >= search.created_from)
        and (search.created_before is None or made < search.created_before)
        and (not search.ids or payment.id in search.ids)
    )
