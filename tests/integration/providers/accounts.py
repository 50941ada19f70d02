"""An account at either provider, and the life of a payment in it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tests.integration.providers.simulator_control import (
    Simulator,
    a_payment,
    written_down,
)

from application.ports import Provider
from domain import requests
from domain.answer import Answer
from domain.errors import ProviderError
from domain.money import Money
from domain.operation import Kind, Operation, Origin
from domain.payment import Payment
from domain.sending import looking
from domain.settling import settle
from domain.submission import CaptureMethod, ProviderName

PRICE: Final = Money(1999, "USD")

#: Payment methods, by what becomes of a payment with them.
STRIPE_METHODS: Final = {
    "pays": "pm_card_visa",
    "declines": "pm_card_chargeDeclined",
    "refunds later": "pm_card_pendingRefund",
    "refunds never": "pm_card_refundFail",
}
PAYPAL_METHODS: Final = {
    "pays": "vault_ok",
    "declines": "vault_declined",
    "refunds later": "vault_refund_pending",
    "refunds never": "vault_refund_failed",
}


@dataclass(frozen=True)
class Account:
    """An adapter, the simulator that it calls, and methods by what they do there."""

    provider: Provider
    simulator: Simulator
    methods: Mapping[str, str]

    @property
    def name(self) -> ProviderName:
        """Whose account it is."""
        stripe = self.methods is STRIPE_METHODS
        return ProviderName.STRIPE if stripe else ProviderName.PAYPAL

    def new(self, does: str = "pays", amount: Money = PRICE, **fields: Any) -> Payment:
        """A charge, or with ``capture`` an authorization, that is to be sent."""
        return a_payment(amount, self.methods[does], **fields)

    def charged(self, does: str = "pays", amount: Money = PRICE) -> Payment:
        """A payment whose money has moved."""
        return self.done(self.new(does, amount))

    def held(self, does: str = "pays", amount: Money = PRICE) -> Payment:
        """A payment whose money is on hold."""
        return self.done(self.new(does, amount, capture=CaptureMethod.MANUAL))

    def due(self, kind: Kind, does: str = "pays") -> Payment:
        """A payment whose next operation is of that kind, all before it done."""
        match kind:
            case Kind.CHARGE:
                return self.new(does)
            case Kind.AUTHORIZE:
                return self.new(does, capture=CaptureMethod.MANUAL)
            case Kind.CAPTURE:
                return capture(self.held(does))
            case Kind.VOID:
                return void(self.held(does))
            case Kind.REFUND:
                return refund(self.charged(does))

    def written_down(self, payment: Payment) -> Payment:
        """See ``simulator_control.written_down``."""
        return written_down(self.provider, payment)

    def done(self, payment: Payment) -> Payment:
        """The payment after the next operation was sent, whatever came of it."""
        return self.sent(self.written_down(payment))

    def sent(self, claimed: Payment) -> Payment:
        """The payment after what was written down was sent."""
        outcome: Answer | ProviderError
        try:
            outcome = self.provider.send(claimed)
        except ProviderError as error:
            outcome = error
        return settle(claimed, outcome, now=datetime.now(UTC), jitter=0)

    def look(self, payment: Payment, operation: Operation | None = None) -> Answer:
        """What a look at an operation, by default the last, comes to."""
        wanted = operation or payment.operations[-1]
        return self.provider.look(looking(payment, wanted, now=datetime.now(UTC)))

    def moved(self, payment: Payment) -> list[int]:
        """What the ledger has under the key of the last operation: minor units."""
        last = payment.operations[-1]
        rows = self.simulator.movements(payment)
        rows = [row for row in rows if row["key"] == last.key]
        assert {row["kind"] for row in rows} <= {last.kind.value}
        return [row["amount"] for row in rows]


#: Makes an account whose calls go to a base URL, by default the simulator's.
MakeAccount = Callable[..., Account]


def capture(
    payment: Payment, amount: int | None = None, *, final: bool = False
) -> Payment:
    """The payment with a capture asked for."""
    return requests.capture(payment, amount=amount, final=final, **_asked())


def refund(
    payment: Payment, amount: int | None = None, *, target: str | None = None
) -> Payment:
    """The payment with a refund asked for."""
    return requests.refund(payment, amount=amount, target=target, **_asked())


def void(payment: Payment) -> Payment:
    """The payment with a void asked for."""
    return requests.void(payment, **_asked())


def _asked() -> dict[str, Any]:
    # As long as the ids of operations are: Stripe bounds the names of metadata.
    name = uuid.uuid4().hex[:26]
    origin = Origin(name, name)
    return {"id": f"op_{name}", "origin": origin, "now": datetime.now(UTC)}
