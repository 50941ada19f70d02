"""Requests that wait for a payment to settle, served by one poller per process."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Final

from prometheus_client import Gauge

from application.ports.payments import PaymentStore
from domain.errors import StoreUnavailable
from runtime.metrics import REGISTRY

#: Seconds between two reads; short beside a provider's call.
INTERVAL: Final = 0.1

REQUESTS_WAITING: Final = Gauge(
    "payments_http_waiting",
    "Requests that wait for a payment to settle",
    registry=REGISTRY,
)


@dataclass(frozen=True, slots=True)
class _Waiter:
    payment_id: str
    merchant: str


class LongPoll:
    """Waits for payments to settle. Safe to use from threads.

    At most ``capacity`` requests wait, so that submissions always find threads.
    Merchants share the places; see ``_make_room``. The first waiting request starts
    the poller.
    """

    def __init__(self, store: PaymentStore, *, capacity: int) -> None:
        self._store = store
        self._capacity = capacity
        self._waiters: dict[threading.Event, _Waiter] = {}  # oldest first
        self._changed = threading.Condition()
        self._poller: threading.Thread | None = None
        self._stopped = False

    def wait_until_settled(
        self, payment_id: str, merchant: str, seconds: float
    ) -> None:
        """Returns once the payment is settled, or after ``seconds``.

        Returns sooner if another merchant needs the place, if ``merchant`` gets no
        place, or when the process stops.
        """
        settled = threading.Event()
        with self._changed:
            if self._stopped or not self._make_room(merchant):
                return
            self._waiters[settled] = _Waiter(payment_id, merchant)
            REQUESTS_WAITING.set(len(self._waiters))
            self._start()
            self._changed.notify()
        try:
            settled.wait(seconds)
        finally:
            with self._changed:
                self._waiters.pop(settled, None)
                REQUESTS_WAITING.set(len(self._waiters))

    def _make_room(self, merchant: str) -> bool:
        """Returns whether ``merchant`` gets a place.

        If all places are taken, the merchant with the most places loses its oldest
        one, provided it then still has at least as many as ``merchant``.
        """
        if len(self._waiters) < self._capacity:
            return True
        places = Counter(one.merchant for one in self._waiters.values())
        [(most, count)] = places.most_common(1)
        if count <= places[merchant] + 1:
            return False
        oldest = next(
            event for event, one in self._waiters.items() if one.merchant == most
        )
        del self._waiters[oldest]
        oldest.set()
        return True

    def stop(self) -> None:
        """Ends all waits."""
        with self._changed:
            self._stopped = True
            for waiter in self._waiters:
                waiter.set()
            self._changed.notify()

    def _start(self) -> None:
        if self._poller is None:
            self._poller = threading.Thread(
                target=self._poll, name="waiting", daemon=True
            )
            self._poller.start()

    def _poll(self) -> None:
        while True:
            with self._changed:
                while not self._waiters and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                waiters = dict(self._waiters)
            for waiter in self._settled(waiters):
                waiter.set()
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, INTERVAL)

    def _settled(
        self, waiters: dict[threading.Event, _Waiter]
    ) -> list[threading.Event]:
        """Returns the waiters of settled or missing payments.

        Returns none while the store is unavailable.
        """
        wanted = {one.payment_id for one in waiters.values()}
        try:
            settled = self._store.find_settled(list(wanted))
        except StoreUnavailable:
            return []
        return [event for event, one in waiters.items() if one.payment_id in settled]
