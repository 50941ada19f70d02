"""A store under test, as several processes use it, and its clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import pytest

from application.ports.payments import PaymentStore
from domain.payments.payment import Payment
from tests.suites.samples import insert_all, payment, sending

#: Longer than any test runs, shorter than any lease.
MOMENT: Final = timedelta(seconds=5)
#: The resolution of stored times.
TICK: Final = timedelta(milliseconds=1)


class Setup(Protocol):
    """One store as several processes use it, and its clock."""

    def store(self, lease_holder: str = "one") -> PaymentStore:
        """The store of the process ``lease_holder``."""

    def now(self) -> datetime:
        """The time of the store, UTC."""

    def pass_time(self, by: timedelta) -> None:
        """Moves the clock of due times and leases forward."""


@pytest.fixture
def store(setup: Setup) -> PaymentStore:
    """The store under test."""
    return setup.store()


def claimed(store: PaymentStore, setup: Setup, number: int = 1) -> Payment:
    """A new payment held by ``store``, with its first send recorded."""
    [new] = insert_all(store, [payment(number, now=setup.now())])
    [won] = store.claim_many([sending(new, now=setup.now())])
    return won


def ids_of(payments: Sequence[Payment]) -> list[str]:
    """Their ids, in order."""
    return [payment.id for payment in payments]
