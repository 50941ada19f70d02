"""A store under test, as several processes use it, and its clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import pytest

from application.ports.payments import PaymentStore
from domain.payments.payment import Payment
from tests.suites.samples import payment, sending

#: Longer than any test runs, shorter than any lease.
MOMENT: Final = timedelta(seconds=5)
#: The resolution of stored times.
TICK: Final = timedelta(milliseconds=1)


class Setup(Protocol):
    """One store as several processes use it, and its clock."""

    def store(self, lease_holder: str = "one") -> PaymentStore:
        """The store of the process that calls itself ``lease_holder``."""

    def now(self) -> datetime:
        """What the store takes for the time, UTC."""

    def pass_time(self, by: timedelta) -> None:
        """Lets ``by`` pass as far as due times and leases go."""


@pytest.fixture
def store(setup: Setup) -> PaymentStore:
    """The store under test."""
    return setup.store()


def claimed(store: PaymentStore, setup: Setup, number: int = 1) -> Payment:
    """A new payment that ``store`` holds, its first send written down."""
    [new] = store.insert_many([payment(number, now=setup.now())])
    [won] = store.claim_many([sending(new, now=setup.now())])
    return won


def ids_of(payments: Sequence[Payment]) -> list[str]:
    """Their ids, in order."""
    return [payment.id for payment in payments]
