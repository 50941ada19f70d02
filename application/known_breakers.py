"""The stored breakers as one process knows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Final

from application.cache import Cache
from application.logs import get_logger
from application.ports.admission import BreakerStore
from domain.circuit_breaker import CircuitBreaker, with_breaker_wait
from domain.errors import StoreUnavailable
from domain.payments.payment import Payment

#: Seconds before the breakers are read again.
CACHE_SECONDS: Final = 1.0

log = get_logger(__name__)


class KnownBreakers:
    """The breakers by name, read at most once in CACHE_SECONDS. Safe for threads.

    One thread reads them, the others do not wait. While they cannot be read, the last
    known ones are used. ``on_open`` is called with each one that is open.
    """

    def __init__(
        self,
        store: BreakerStore,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_open: Callable[[CircuitBreaker], None] = lambda breaker: None,
    ) -> None:
        self._store = store
        self._on_open = on_open
        self._known: dict[str, CircuitBreaker] = {}
        self._reads = Cache[None, bool](
            size=1,
            seconds=CACHE_SECONDS,
            failures=(StoreUnavailable,),
            failure_seconds=CACHE_SECONDS,
            failures_size=1,
            outages=(StoreUnavailable,),
            clock=clock,
        )

    def get(self, name: str) -> CircuitBreaker:
        """The breaker as it is known; a closed one where none is."""
        return self._known.get(name) or CircuitBreaker(name)

    def refresh(self) -> None:
        """Reads the breakers again where the last read is older than CACHE_SECONDS."""
        if self._reads.find(None):
            return
        with suppress(StoreUnavailable):
            self._reads.get(None, self._read)

    def expire(self) -> None:
        """Makes the next refresh read."""
        self._reads.clear()

    def update(self, breakers: Iterable[CircuitBreaker]) -> None:
        """Replaces the known breakers by newer ones."""
        for breaker in breakers:
            self._known[breaker.name] = breaker
            if breaker.is_open:
                self._on_open(breaker)

    def with_breaker_wait(self, payment: Payment, *, now: datetime) -> Payment:
        """Shows due operations as waiting for the open breaker that stops them.

        A settled payment needs no read.
        """
        if payment.is_settled:
            return payment
        self.refresh()
        return with_breaker_wait(payment, self._known, now=now)

    def _read(self) -> bool:
        """Reads the breakers; always True. Raises StoreUnavailable."""
        try:
            self.update(self._store.load_all().values())
        except StoreUnavailable:
            log.warning("breakers_not_read")
            raise
        return True
