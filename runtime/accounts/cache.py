"""A cache of merchants' accounts, so that a process reads each only now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from application.cache import Cache
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


class AccountCache:
    """Caches accounts that ``read`` finds by a name, for CACHE_SECONDS."""

    def __init__(
        self,
        read: Callable[[str], StoredAccount],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._cache = Cache[str, StoredAccount](
            size=MAX_CACHED,
            seconds=CACHE_SECONDS,
            failures=(AccountNotFound,),
            failure_seconds=CACHE_SECONDS,
            failures_size=MAX_UNKNOWN,
            outages=(FieldUnreadable, StoreUnavailable),
            clock=clock,
        )

    def get(self, name: str) -> StoredAccount:
        """Returns an account: the last known one if the database is unavailable.

        Raises AccountNotFound, FieldUnreadable and StoreUnavailable.
        """
        return self._cache.find(name) or self._cache.get(name, lambda: self._read(name))
