"""Shows waiting operations as blocked by their account's open breaker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from application.ports.admission import BreakerStore
from domain.circuit_breaker import CircuitBreaker, with_breaker_wait
from domain.errors import StoreUnavailable
from domain.payments.payment import Payment
from runtime import logs

#: Seconds that breakers are cached; workers see changes as late.
CACHE_SECONDS: Final = 1.0

log = logs.get_logger()


class BreakerView:
    """The breakers as requests see them. Safe to use from threads.

    All requests of a process share one read a second.
    """

    def __init__(
        self,
        breakers: BreakerStore,
        *,
        clock: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._breakers = breakers
        self._clock = clock
        self._seconds = seconds
        self._reading = threading.Lock()  # one thread reads; the others use the cache
        self._known: Mapping[str, CircuitBreaker] = {}
        self._known_until = 0.0

    def with_breaker_wait(self, payment: Payment) -> Payment:
        """Returns ``payment`` with the open breaker that its operations wait for.

        Settled payments need no read. While breakers cannot be read, the last known
        ones are used.
        """
        if payment.is_settled:
            return payment
        self._read_breakers()
        return with_breaker_wait(payment, self._known, now=self._clock())

    def _read_breakers(self) -> None:
        if self._seconds() < self._known_until:
            return
        if not self._reading.acquire(blocking=False):
            return
        try:
            self._known = self._breakers.load_all()
        except StoreUnavailable:
            log.warning("breakers_not_read")
        finally:
            self._known_until = self._seconds() + CACHE_SECONDS
            self._reading.release()
