"""Requests that wait for a payment to settle: one poller a process serves them all."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Final

from prometheus_client import Gauge

from application.ports.payments import PaymentStore
from domain.errors import StoreUnavailable
from runtime.metrics import REGISTRY

#: Seconds between two looks: a tenth of what a provider call usually takes longer.
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
    """Safe to use from threads; the poller starts with the first who waits.

    At most ``capacity`` requests wait, so that they never take all the threads from
    those who submit. Merchants share the places: see ``_make_room``.
    """

    def __init__(self, store: PaymentStore, *, capacity: int) -> None:
        self._store = store
        self._capacity = capacity
        self._waiters: dict[threading.Event, _Waiter] = {}  # oldest first
        self._news = threading.Condition()
        self._poller: threading.Thread | None = None
        self._stopped = False

    def wait_until_settled(
        self, payment_id: str, merchant: str, seconds: float
    ) -> None:
        """Returns once the payment is settled, and after ``seconds`` at the latest.

        Returns sooner where another merchant needs the place, at once where there is
        none for this ``merchant``, and when the process stops.
        """
        settled = threading.Event()
        with self._news:
            if self._stopped or not self._make_room(merchant):
                return
            self._waiters[settled] = _Waiter(payment_id, merchant)
            REQUESTS_WAITING.set(len(self._waiters))
            self._start()
            self._news.notify()
        try:
            settled.wait(seconds)
        finally:
            with self._news:
                self._waiters.pop(settled, None)
                REQUESTS_WAITING.set(len(self._waiters))

    def _make_room(self, merchant: str) -> bool:
        """Whether there is a place for ``merchant``.

        Where all are taken, the oldest waiter of the merchant with the most places is
        answered, if that merchant still has as many as the newcomer afterwards.
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
        """Lets everyone go."""
        with self._news:
            self._stopped = True
            for waiter in self._waiters:
                waiter.set()
            self._news.notify()

    def _start(self) -> None:
        if self._poller is None:
            self._poller = threading.Thread(
                target=self._poll, name="waiting", daemon=True
            )
            self._poller.start()

    def _poll(self) -> None:
        while True:
            with self._news:
                while not self._waiters and not self._stopped:
                    self._news.wait()
                if self._stopped:
                    return
                waiters = dict(self._waiters)
            for waiter in self._settled(waiters):
                waiter.set()
            with self._news:
                self._news.wait_for(lambda: self._stopped, INTERVAL)

    def _settled(
        self, waiters: dict[threading.Event, _Waiter]
    ) -> list[threading.Event]:
        """Those whose payment is settled, or gone; none while the store is away."""
        wanted = {one.payment_id for one in waiters.values()}
        try:
            settled = self._store.find_settled(list(wanted))
        except StoreUnavailable:
            return []
        return [event for event, one in waiters.items() if one.payment_id in settled]
