"""UTC by MongoDB's clock, for processes whose own clock may be wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Final

from pymongo.database import Database

from domain.errors import StoreUnavailable
from persistence import mongo
from persistence.codec import Document

#: Seconds between two readings of the server's clock, and after one that failed before
#: any succeeded.
PERIOD: Final = 10.0
RETRY: Final = 0.5
#: Seconds that a process waits for the first reading; less than a probe has.
FIRST: Final = 0.5
#: Seconds by which this machine's clock may differ from the server's and is used all
#: the same: far below a lease, and above what a slow answer adds to a reading.
TOLERANCE: Final = 0.25
#: It counts the time that a machine sleeps, as the server's clock does.
_SINCE_BOOT: Final = partial(time.clock_gettime, time.CLOCK_BOOTTIME)


class ServerClock:
    """Gives the time at a resolution of a millisecond, as MongoDB has it.

    Work that is due at once is then due by the clock that decides what is due. The
    machine's own clock is used while it is within TOLERANCE of the server's; otherwise
    the last reading and the time that passed since. Before the first reading succeeds
    it is the machine's. Safe to use from threads. One thread reads the server's clock
    once a PERIOD, while somebody asks for the time.
    """

    def __init__(
        self,
        database: Database[Document],
        *,
        wall: Callable[[], float] | None = None,
        monotonic: Callable[[], float] = _SINCE_BOOT,
    ) -> None:
        self._database = database
        self._wall = wall or time.time
        self._monotonic = monotonic
        self._reading = threading.Lock()  # held while a thread reads
        self._tried = threading.Event()
        #: The server's Unix time at a moment of the monotonic clock.
        self._read: tuple[float, float] | None = None
        self._stale_at = monotonic()

    def __call__(self) -> datetime:
        """The time now."""
        at = datetime.fromtimestamp(self.seconds(), timezone.utc)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    def seconds(self) -> float:
        """The Unix time now."""
        ahead = self.skew()
        return self._wall() - (ahead if abs(ahead) > TOLERANCE else 0.0)

    def skew(self) -> float:
        """Seconds by which this machine's clock is ahead of the server's."""
        if self._monotonic() >= self._stale_at:
            self._refresh()
        if self._read is None:
            return 0.0
        server, at = self._read
        return self._wall() - (server + self._monotonic() - at)

    def _refresh(self) -> None:
        """Has a thread read the server's clock; only the first reading is waited for,
        so that no probe waits for a server that is away."""
        if self._reading.acquire(blocking=False):
            try:
                threading.Thread(target=self._ask, name="clock", daemon=True).start()
            except RuntimeError:  # no thread is to be had; the next caller tries again
                self._reading.release()
        if not self._tried.is_set():
            self._tried.wait(FIRST)

    def _ask(self) -> None:
        try:
            self._measure()
        finally:
            self._tried.set()
            self._reading.release()

    def _measure(self) -> None:
        before = self._monotonic()
        try:
            theirs = mongo.ping(self._database)["localTime"]
        except StoreUnavailable:
            self._stale_at = self._monotonic() + (
                RETRY if self._read is None else PERIOD
            )
            return
        after = self._monotonic()
        self._stale_at = after + PERIOD
        # A slow answer says little of when the server looked at its clock.
        if self._read is None or after - before <= TOLERANCE:
            # Commands answer in UTC without saying so.
            server = theirs.replace(tzinfo=timezone.utc).timestamp()
            self._read = server, (before + after) / 2
