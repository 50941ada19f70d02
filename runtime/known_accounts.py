"""Merchants' accounts as a process knows them: few reads, however often it asks."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from domain.errors import StoreUnavailable
from persistence.accounts import AccountNotFound, StoredAccount
from persistence.vault import KeyMissing

#: Seconds until a process goes by what was changed of an account.
KNOWN: Final = 5.0
#: Accounts that a process remembers at once, each some kilobytes.
REMEMBERED: Final = 1_000
#: Names of no account that are asked the database for in so many seconds. Anybody can
#: make them up; accounts that are remembered are found all the same.
STRANGERS: Final = 100


class TooManyStrangers(StoreUnavailable):
    """Too many accounts that are not there were asked for; nobody looked for this."""

    code = "too_many_unknown_accounts"


@dataclass(slots=True)
class _Known:
    """An account as it was read; believed until then."""

    stored: StoredAccount
    until: float


class KnownAccounts:
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
        self._cache: OrderedDict[str, _Known] = OrderedDict()
        self._strangers: set[str] = set()
        self._forgotten_at = 0.0  #: when strangers are asked for again

    def get(self, name: str) -> StoredAccount:
        """One account; as it was known last, where the database is away.

        Raises AccountNotFound, TooManyStrangers, KeyMissing and StoreUnavailable.
        """
        now = self._clock()
        with self._lock:
            known = self._cache.get(name)
            if known is None:
                self._check_stranger(name, now)
            else:
                self._cache.move_to_end(name)
                if now < known.until:
                    return known.stored
                known.until = now + KNOWN  # others go on with it meanwhile
        try:
            stored = self._read(name)
        except (KeyMissing, StoreUnavailable):
            if known is None:
                raise
            return known.stored
        except AccountNotFound:
            with self._lock:
                self._strangers.add(name)
            raise
        with self._lock:
            self._cache[name] = _Known(stored, now + KNOWN)
            if len(self._cache) > REMEMBERED:
                self._cache.popitem(last=False)
        return stored

    def _check_stranger(self, name: str, now: float) -> None:
        if now >= self._forgotten_at:
            self._strangers.clear()
            self._forgotten_at = now + KNOWN
        if name in self._strangers:
            raise AccountNotFound
        if len(self._strangers) >= STRANGERS:
            raise TooManyStrangers
