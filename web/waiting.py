"""Requests that wait for a payment to settle: one poller a process serves them all."""

from __future__ import annotations

import threading
from typing import Final

from prometheus_client import Gauge

from application.ports import PaymentStore
from domain.errors import StoreUnavailable
from runtime.metrics import REGISTRY

#: Seconds between two looks: a tenth of what a provider call usually takes longer.
INTERVAL: Final = 0.1

WAITING: Final = Gauge(
    "payments_http_waiting",
    "Requests that wait for a payment to settle",
    registry=REGISTRY,
)


class Waiting:
    """Safe to use from threads; the poller starts with the first who waits."""

    def __init__(self, store: PaymentStore, *, capacity: int) -> None:
        self._store = store
        self._capacity = capacity
        self._waiters: dict[threading.Event, str] = {}
        self._news = threading.Condition()
        self._poller: threading.Thread | None = None
        self._stopped = False

    def until_settled(self, payment_id: str, seconds: float) -> None:
        """Returns once the payment is settled, and after ``seconds`` at the latest.

        Returns at once where ``capacity`` requests wait already, so that they never
        take all the threads from those who submit; and when the process stops.
        """
        settled = threading.Event()
        with self._news:
            if self._stopped or len(self._waiters) >= self._capacity:
                return
            self._waiters[settled] = payment_id
            WAITING.set(len(self._waiters))
            self._start()
            self._news.notify()
        try:
            settled.wait(seconds)
        finally:
            with self._news:
                del self._waiters[settled]
                WAITING.set(len(self._waiters))

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

    def _settled(self, waiters: dict[threading.Event, str]) -> list[threading.Event]:
        """Those whose payment is settled, or gone; none while the store is away."""
        try:
            settled = self._store.settled(list(set(waiters.values())))
        except StoreUnavailable:
            return []
        return [
            waiter for waiter, payment_id in waiters.items() if payment_id in settled
        ]
