"""The provider of the simulation keeps what every Provider promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pytest

from application.ports.provider import Provider
from domain.account import Account as ProviderAccount
from domain.errors import ProviderError
from domain.payments.answer import Answer
from domain.payments.operation import Operation
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from tests.simulation.chance import Fault, Payer, Scripted
from tests.simulation.provider import SimulatedProvider
from tests.simulation.scheduler import Process, Scheduler
from tests.suites import accounts
from tests.suites.accounts import Trouble
from tests.suites.provider import ProviderSuite
from tests.suites.provider_follow_ups import FollowUpSuite

_PAYERS: Final = {
    "pays": Payer.PAYS,
    "declines": Payer.DECLINES,
    "asks": Payer.MUST_ACT,
    "waits": Payer.PENDS,
}
_FAULTS: Final[Mapping[Trouble, Fault]] = {
    Trouble.REQUEST_LOST: Fault.REQUEST_LOST,
    Trouble.ANSWER_LOST: Fault.ANSWER_LOST,
    # What cannot be read tells as much as what never came.
    Trouble.GARBLED: Fault.ANSWER_LOST,
    Trouble.FAILED: Fault.ERROR_AFTER,
    Trouble.RATE_LIMITED: Fault.RATE_LIMITED,
    Trouble.UNAUTHORIZED: Fault.UNAUTHORIZED,
}


class Alone:
    """The simulated provider for one caller, who waits for each call to end.

    What becomes of a payment is in the name of its method. ``meets`` are the faults of
    the next sends; ``always`` is what all calls meet.
    """

    def __init__(self, name: ProviderName, *, always: Fault = Fault.NONE) -> None:
        self.meets: list[Fault] = []
        self._always = always
        self._scheduler = Scheduler()
        self.simulated = SimulatedProvider(
            ProviderAccount.own(name),
            moved={},
            scheduler=self._scheduler,
            chance=Scripted(),
            clock=lambda: datetime.now(UTC),
            arrived=lambda payment, call: None,
            strict=False,
        )

    def prepare(self, payment: Payment, operation: Operation) -> str:
        """See Provider."""
        return self.simulated.prepare(payment, operation)

    def send(self, payment: Payment) -> Answer:
        """See Provider."""
        method = payment.submission.payment_method or ""
        fault = self.meets.pop() if self.meets else self._always
        self.simulated.chance = Scripted([fault], [_PAYERS[method.partition("_")[2]]])
        return self._called(self.simulated.send, payment)

    def look_up(self, payment: Payment) -> Answer:
        """See Provider."""
        self.simulated.chance = Scripted([self._always])
        return self._called(self.simulated.look_up, payment)

    def _called(self, call: Callable[[Payment], Answer], payment: Payment) -> Answer:
        came: list[Answer | ProviderError] = []

        def task() -> None:
            try:
                came.append(call(payment))
            except ProviderError as error:
                came.append(error)

        actor = self._scheduler.start("caller", Process("caller"), task)
        while not actor.turns.dead:
            self._scheduler.resume(actor)
        [outcome] = came
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome


@dataclass(frozen=True)
class Account(accounts.Account):
    """An account at the simulated provider."""

    alone: Alone

    @property
    def name(self) -> ProviderName:
        """Whose account it is."""
        return self.alone.simulated.name

    def arm(self, trouble: Trouble) -> None:
        """See Account."""
        self.alone.meets.append(_FAULTS[trouble])

    def rows(self, payment: Payment) -> list[tuple[str, str, int]]:
        """See Account."""
        keys = {one.id: one.provider_key for one in payment.operations}
        return [
            (keys[operation], kind, amount)
            for operation, kind, amount in self.alone.simulated.bank.ledger
            if operation in keys
        ]


@pytest.fixture(params=[ProviderName.STRIPE, ProviderName.PAYPAL])
def name(request: pytest.FixtureRequest) -> ProviderName:
    """Each provider that it stands for."""
    return ProviderName(request.param)


@pytest.fixture
def account(name: ProviderName) -> Account:
    """A new account."""
    prefix = "pm" if name is ProviderName.STRIPE else "vault"
    methods = {does: f"{prefix}_{does}" for does in _PAYERS}
    alone = Alone(name)
    return Account(alone, methods, alone)


@pytest.fixture
def away(name: ProviderName) -> Provider:
    """One to which no connection is made."""
    return Alone(name, always=Fault.REFUSED)


class TestSimulatedProvider(ProviderSuite):
    """The suite of all implementers."""


class TestFollowUps(FollowUpSuite):
    """The suite of all implementers."""
