"""The time (UTC) by MongoDB's clock, for processes whose own clock may be wrong."""

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

#: Seconds between two readings of the server's clock.
PERIOD: Final = 10.0
#: Seconds after a failed reading if none has succeeded yet.
RETRY: Final = 0.5
#: Seconds that a process waits for the first reading; less than a health check waits.
FIRST: Final = 0.5
#: Seconds by which the machine's clock may differ from the server's and still be used:
#: far below a lease, and above the error that a slow answer adds to a reading.
TOLERANCE: Final = 0.25
#: A clock that includes the time when the machine sleeps, as the server's does.
_SINCE_BOOT: Final = partial(time.clock_gettime, time.CLOCK_BOOTTIME)


class ServerClock:
    """Returns the time in whole milliseconds, MongoDB's resolution.

    MongoDB's clock decides which work is due, so due times are set by the same clock.
    The machine's clock is used while it is within TOLERANCE of the server's, and until
    a first reading succeeds. Otherwise the time is the last reading plus the time
    since. The clock is safe to use from threads. While it is used, one thread reads the
    server's clock once per PERIOD.
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
        self._reading = threading.Lock()  # locked while a thread reads
        self._tried = threading.Event()
        #: The server's Unix time at a moment of the monotonic clock.
        self._last: tuple[float, float] | None = None
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
        if self._last is None:
            return 0.0
        server, at = self._last
        return self._wall() - (server + self._monotonic() - at)

    def _refresh(self) -> None:
        """Reads the server's clock in a thread.

        Waits only for the first reading, so that no health check waits for a server
        that does not answer.
        """
        if self._reading.acquire(blocking=False):
            try:
                threading.Thread(target=self._read, name="clock", daemon=True).start()
            except RuntimeError:  # no thread can be started; the next caller retries
                self._reading.release()
        if not self._tried.is_set():
            self._tried.wait(FIRST)

    def _read(self) -> None:
        try:
            self._measure()
        finally:
            self._tried.set()
            self._reading.release()

    def _measure(self) -> None:
        before = self._monotonic()
        try:
            server_time = mongo.ping(self._database)["localTime"]
        except StoreUnavailable:
            self._stale_at = self._monotonic() + (
                RETRY if self._last is None else PERIOD
            )
            return
        after = self._monotonic()
        self._stale_at = after + PERIOD
        # A slow answer does not tell when the server read its clock.
        if self._last is None or after - before <= TOLERANCE:
            # Commands return UTC times without a time zone.
            server = server_time.replace(tzinfo=timezone.utc).timestamp()
            self._last = server, (before + after) / 2
