"""Merchants' accounts as a process knows them: few reads, however often it asks."""

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

#: Seconds until a process goes by what was changed of an account.
CACHE_SECONDS: Final = 5.0
#: Accounts that a process remembers at once, each some kilobytes.
MAX_CACHED: Final = 1_000
#: Names of no account that are remembered at once. Anybody can make them up; a name
#: that is not among them costs one read by the index of ids.
MAX_UNKNOWN: Final = 10_000


@dataclass(slots=True)
class _CachedAccount:
    """An account as it was read; believed until then."""

    stored: StoredAccount
    valid_until: float


class AccountCache:
    """Accounts as ``read`` finds them by a name, or did KNOWN seconds ago at most."""

    def __init__(
        self,
        read: Callable[[str], StoredAccount],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows
        self._cache: OrderedDict[str, _CachedAccount] = OrderedDict()
        self._strangers: OrderedDict[str, float] = OrderedDict()  # until when

    def get(self, name: str) -> StoredAccount:
        """One account; as it was known last, where the database is away.

        Raises AccountNotFound, FieldUnreadable and StoreUnavailable.
        """
        now = self._clock()
        with self._lock:
            known = self._cache.get(name)
            if known is None:
                if now < self._strangers.get(name, now):
                    raise AccountNotFound
            else:
                self._cache.move_to_end(name)
                if now < known.valid_until:
                    return known.stored
                known.valid_until = (
                    now + CACHE_SECONDS
                )  # others go on with it meanwhile
        try:
            stored = self._read(name)
        except (FieldUnreadable, StoreUnavailable):
            if known is None:
                raise
            return known.stored
        except AccountNotFound:
            with self._lock:
                self._strangers[name] = now + CACHE_SECONDS
                self._strangers.move_to_end(name)
                if len(self._strangers) > MAX_UNKNOWN:
                    self._strangers.popitem(last=False)
            raise
        with self._lock:
            self._cache[name] = _CachedAccount(stored, now + CACHE_SECONDS)
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return stored
