"""``python -m tests.support.killed_worker PAYMENT BOUNDARY``: a worker that dies.

It works on one payment, and kills itself at the boundary with that number. There is a
boundary before and after each write to the database and each call to the provider. The
exit code is 0 if it survives.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Final

from application import attempt
from application.ports.provider import Provider
from domain.account import Account
from domain.payments.answer import Answer
from domain.payments.operation import Operation
from domain.payments.payment import Payment
from persistence.payments import MongoPayments
from runtime import container
from runtime.settings import Settings
from tests.support.workbench import worker

#: The boundaries of an attempt, in order.
BOUNDARIES: Final = (
    *("before the claim", "after the claim"),
    *("before the send", "after the send"),
    *("before the settle", "after the settle"),
)


@dataclass
class Boundaries:
    """Counts boundaries, and kills the process at number ``deadly``."""

    deadly: int
    passed: int = 0

    @contextmanager
    def around(self) -> Iterator[None]:
        """Passes one boundary before the block, and one after it."""
        self._pass()
        yield
        self._pass()

    def _pass(self) -> None:
        if self.passed == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1


class DyingStore(MongoPayments):
    """The real store, with a boundary before and after each write of an attempt."""

    boundaries: Boundaries

    def claim_many(self, payments: Sequence[Payment]) -> list[Payment]:
        with self.boundaries.around():
            return super().claim_many(payments)

    def settle_many(self, payments: Sequence[Payment]) -> list[Payment]:
        with self.boundaries.around():
            return super().settle_many(payments)


@dataclass
class DyingProvider:
    """A real provider, with a boundary before and after each send."""

    provider: Provider
    boundaries: Boundaries

    def prepare(self, payment: Payment, operation: Operation) -> str:
        return self.provider.prepare(payment, operation)

    def send(self, payment: Payment) -> Answer:
        with self.boundaries.around():
            return self.provider.send(payment)

    def look_up(self, payment: Payment) -> Answer:
        return self.provider.look_up(payment)


def main(payment_id: str, deadly: int) -> None:
    """Works on a payment until it settles or this process dies."""
    settings, boundaries = Settings.of_process(), Boundaries(deadly)
    with ExitStack() as stack:
        context = worker(settings, stack)
        database = container.open_database(settings)
        stack.callback(database.client.close)
        store = DyingStore(
            database, container.open_vault(settings), lease_holder="dying"
        )
        store.boundaries = boundaries

        def dying(account: Account) -> DyingProvider:
            return DyingProvider(context.providers(account), boundaries)

        mortal = replace(context, store=store, providers=dying)
        list(attempt.run([payment_id], mortal))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
