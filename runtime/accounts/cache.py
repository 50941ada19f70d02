"""A cache of merchants' accounts, so that a process reads each only now and then."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from domain.account import AccountNotFound, StoredAccount
from domain.errors import StoreUnavailable
from persistence.encryption import FieldUnreadable

#: Seconds until a process sees a change of an account.
CACHE_SECONDS: Final = 5.0
#: Cached accounts, each some kilobytes.
MAX_CACHED: Final = 1_000
#: Cached names that have no account. Anybody can invent such names; an uncached one
#: costs one read by the index of ids.
MAX_UNKNOWN: Final = 10_000


@dataclass(slots=True)
class _CachedAccount:
    """An account as it was read; ``valid_until`` is monotonic."""

    stored: StoredAccount
    valid_until: float


class AccountCache:
    """Caches accounts that ``read`` finds by a name, for CACHE_SECONDS."""

    def __init__(
        self,
        read: Callable[[str], StoredAccount],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()  # guards both caches
        self._cache: OrderedDict[str, _CachedAccount] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()  # valid until

    def get(self, name: str) -> StoredAccount:
        """Returns an account: the last known one if the database is unavailable.

        Raises AccountNotFound, FieldUnreadable and StoreUnavailable.
        """
        now = self._clock()
        with self._lock:
            known = self._cache.get(name)
            if known is None:
                if now < self._unknown.get(name, now):
                    raise AccountNotFound
            else:
                self._cache.move_to_end(name)
                if now < known.valid_until:
                    return known.stored
                # Other threads use this copy during the read.
                known.valid_until = now + CACHE_SECONDS
        try:
            stored = self._read(name)
        except (FieldUnreadable, StoreUnavailable):
            if known is None:
                raise
            return known.stored
        except AccountNotFound:
            with self._lock:
                self._unknown[name] = now + CACHE_SECONDS
                self._unknown.move_to_end(name)
                if len(self._unknown) > MAX_UNKNOWN:
                    self._unknown.popitem(last=False)
            raise
        with self._lock:
            self._cache[name] = _CachedAccount(stored, now + CACHE_SECONDS)
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return stored
