"""What each merchant has chosen for its payments."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Final

from pymongo.database import Database

from domain.submission import Guard
from persistence.codec import Document
from persistence.mongo import answering

#: Seconds that a web process goes by what it read: a change is felt this late.
CACHE_SECONDS: Final = 5.0
#: Merchants remembered at once, each a few dozen bytes.
CACHE_SIZE: Final = 10_000


class Merchants:
    """Every method raises StoreUnavailable where the database cannot answer."""

    def __init__(self, database: Database[Document]) -> None:
        self._merchants = database.merchants
        self._cache: OrderedDict[str, tuple[float, Guard]] = OrderedDict()
        self._lock = threading.Lock()

    def guard(self, merchant: str) -> Guard:
        """While which payment of a reference another one is refused.

        Remembered for CACHE_SECONDS, so that it costs a payment nothing.
        """
        with self._lock:
            until, guard = self._cache.get(merchant, (0.0, Guard.UNFINISHED))
            if time.monotonic() < until:
                return guard
        with answering():
            found = self._merchants.find_one({"_id": merchant}) or {}
        guard = Guard(found.get("guard", Guard.UNFINISHED))
        with self._lock:
            self._cache[merchant] = (time.monotonic() + CACHE_SECONDS, guard)
            self._cache.move_to_end(merchant)
            if len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return guard

    def set_guard(self, merchant: str, guard: Guard) -> None:
        """For payments from now on; those that are stored keep theirs."""
        with answering():
            self._merchants.update_one(
                {"_id": merchant}, {"$set": {"guard": guard.value}}, upsert=True
            )
        with self._lock:
            self._cache.pop(merchant, None)
