"""The provider of the simulation passes the suites of every Provider."""

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
from tests.simulation.chance import Fault, Payer, ScriptedChance
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
    # An unreadable answer has no more information than a lost one.
    Trouble.GARBLED: Fault.ANSWER_LOST,
    Trouble.FAILED: Fault.ERROR_AFTER,
    Trouble.RATE_LIMITED: Fault.RATE_LIMITED,
    Trouble.UNAUTHORIZED: Fault.UNAUTHORIZED,
}


class SingleCaller:
    """The simulated provider for one caller, without concurrency.

    The name of a payment's method chooses its outcome. ``faults`` are those of the next
    sends; ``always`` is the fault of all others.
    """

    def __init__(self, name: ProviderName, *, always: Fault = Fault.NONE) -> None:
        self.faults: list[Fault] = []
        self._always = always
        self._scheduler = Scheduler()
        self.simulated = SimulatedProvider(
            ProviderAccount.own(name),
            moved={},
            scheduler=self._scheduler,
            chance=ScriptedChance(),
            clock=lambda: datetime.now(UTC),
            on_arrival=lambda payment, call: None,
            strict=False,
        )

    def prepare(self, payment: Payment, operation: Operation) -> str:
        return self.simulated.prepare(payment, operation)

    def send(self, payment: Payment) -> Answer:
        method = payment.submission.payment_method or ""
        fault = self.faults.pop() if self.faults else self._always
        self.simulated.chance = ScriptedChance(
            [fault], [_PAYERS[method.partition("_")[2]]]
        )
        return self._run_call(self.simulated.send, payment)

    def look_up(self, payment: Payment) -> Answer:
        self.simulated.chance = ScriptedChance([self._always])
        return self._run_call(self.simulated.look_up, payment)

    def _run_call(self, call: Callable[[Payment], Answer], payment: Payment) -> Answer:
        outcomes: list[Answer | ProviderError] = []

        def task() -> None:
            try:
                outcomes.append(call(payment))
            except ProviderError as error:
                outcomes.append(error)

        actor = self._scheduler.start("caller", Process("caller"), task)
        while not actor.execution.dead:
            self._scheduler.resume(actor)
        [outcome] = outcomes
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome


@dataclass(frozen=True)
class Account(accounts.Account):
    """An account at the simulated provider."""

    caller: SingleCaller

    @property
    def name(self) -> ProviderName:
        """The provider of the account."""
        return self.caller.simulated.name

    def arm(self, trouble: Trouble) -> None:
        self.caller.faults.append(_FAULTS[trouble])

    def movements(self, payment: Payment) -> list[tuple[str, str, int]]:
        keys = {one.id: one.provider_key for one in payment.operations}
        return [
            (keys[operation], kind, amount)
            for operation, kind, amount in self.caller.simulated.bank.ledger
            if operation in keys
        ]


@pytest.fixture(params=[ProviderName.STRIPE, ProviderName.PAYPAL])
def name(request: pytest.FixtureRequest) -> ProviderName:
    """Each simulated provider."""
    return ProviderName(request.param)


@pytest.fixture
def account(name: ProviderName) -> Account:
    """A new account."""
    prefix = "pm" if name is ProviderName.STRIPE else "vault"
    methods = {does: f"{prefix}_{does}" for does in _PAYERS}
    caller = SingleCaller(name)
    return Account(caller, methods, caller)


@pytest.fixture
def away(name: ProviderName) -> Provider:
    """A provider that refuses every connection."""
    return SingleCaller(name, always=Fault.REFUSED)


class TestSimulatedProvider(ProviderSuite):
    """The suite of all implementers."""


class TestFollowUps(FollowUpSuite):
    """The suite of all implementers."""
