"""What a payment that is read says of an open gate before its account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from application.ports.admission import Breakers
from domain.circuit_breaker import Gate, behind
from domain.errors import StoreUnavailable
from domain.payments.payment import Payment
from runtime import logs

#: Seconds that the gates are known for: workers follow as late.
KNOWN: Final = 1.0

log = logs.get_logger()


class OpenGates:
    """Safe to use from threads; all requests of a process share one read a second."""

    def __init__(
        self,
        breakers: Breakers,
        *,
        clock: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._breakers = breakers
        self._clock = clock
        self._seconds = seconds
        self._reading = threading.Lock()  # one thread reads; others go by what is known
        self._known: Mapping[str, Gate] = {}
        self._known_until = 0.0

    def tell(self, payment: Payment) -> Payment:
        """``payment`` as it stands before its gate; costs nothing once it is settled.

        Where the gates cannot be read, those that were known last stand.
        """
        if payment.settled:
            return payment
        self._read()
        return behind(payment, self._known, now=self._clock())

    def _read(self) -> None:
        if self._seconds() < self._known_until:
            return
        if not self._reading.acquire(blocking=False):
            return
        try:
            self._known = self._breakers.gates()
        except StoreUnavailable:
            log.warning("gates_not_read")
        finally:
            self._known_until = self._seconds() + KNOWN
            self._reading.release()
