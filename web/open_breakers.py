"""Shows waiting operations as blocked by their account's open breaker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from application.cache import Cache
from application.logs import get_logger
from application.ports.admission import BreakerStore
from domain.circuit_breaker import CircuitBreaker, with_breaker_wait
from domain.errors import StoreUnavailable
from domain.payments.payment import Payment

#: Seconds that breakers are cached; workers see changes as late.
CACHE_SECONDS: Final = 1.0

log = get_logger(__name__)


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
        self._known = Cache[None, Mapping[str, CircuitBreaker]](
            size=1,
            seconds=CACHE_SECONDS,
            failures=(StoreUnavailable,),
            failure_seconds=CACHE_SECONDS,
            failures_size=1,
            outages=(StoreUnavailable,),
            clock=seconds,
        )

    def with_breaker_wait(self, payment: Payment) -> Payment:
        """Returns ``payment`` with the open breaker that its operations wait for.

        Settled payments need no read. While breakers cannot be read, the last known
        ones are used.
        """
        if payment.is_settled:
            return payment
        try:
            known = self._known.find(None)
            if known is None:
                known = self._known.get(None, self._read_breakers)
        except StoreUnavailable:
            return payment
        return with_breaker_wait(payment, known, now=self._clock())

    def _read_breakers(self) -> Mapping[str, CircuitBreaker]:
        try:
            return self._breakers.load_all()
        except StoreUnavailable:
            log.warning("breakers_not_read")
            raise
