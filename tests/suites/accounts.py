"""An account at a provider, and the life of a payment in it."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Final

from application.ports.provider import Provider
from domain.account import Account as ProviderAccount
from domain.errors import ProviderError
from domain.money import Money
from domain.payments import follow_ups
from domain.payments.answer import Answer
from domain.payments.settle import settle
from domain.payments.operation import Kind, Operation, Origin
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup, record_send
from domain.payments.submission import CaptureMethod, Mode, ProviderName, Submission
from domain.provider_rules import RULES

PRICE: Final = Money(1999, "USD")


class Trouble(StrEnum):
    """The trouble of the next call that would move money."""

    REQUEST_LOST = "request lost"  #: the request never arrives
    ANSWER_LOST = "answer lost"  #: carried out, and the connection ends
    GARBLED = "garbled"  #: carried out, and an unreadable 200
    FAILED = "failed"  #: carried out, and a 500, which the key always gets
    RATE_LIMITED = "rate limited"  #: a 429 with a wait of 3 s
    UNAUTHORIZED = "unauthorized"  #: a 401


@dataclass(frozen=True)
class Account(ABC):
    """A provider under test, and payment methods by their outcome.

    A payment ``pays``, ``declines``, ``asks`` (the payer must act) or ``waits``
    (decided later).
    """

    provider: Provider
    methods: Mapping[str, str | None]

    #: Factors by which the ledger's unit differs from ISO 4217's smallest.
    units: ClassVar[Mapping[str, int]] = {}

    @property
    @abstractmethod
    def name(self) -> ProviderName:
        """The provider of the account."""

    @abstractmethod
    def arm(self, trouble: Trouble) -> None:
        """Arms ``trouble`` for the next call that would move money."""

    @abstractmethod
    def movements(self, payment: Payment) -> list[tuple[str, str, int]]:
        """The provider's movements of ``payment`` in order: key, kind, units."""

    @property
    def finds_lost_calls(self) -> bool:
        """Whether a lookup finds a first call without the provider's id."""
        return RULES[self.name].finds_by_our_ids

    def new(self, does: str = "pays", amount: Money = PRICE, **fields: Any) -> Payment:
        """A charge, or with ``capture`` an authorization, that is not sent yet."""
        method = self.methods[does]
        return a_payment(amount, method, provider=self.name, **fields)

    def charged(self, does: str = "pays", amount: Money = PRICE) -> Payment:
        """A payment whose money has moved."""
        return self.execute(self.new(does, amount))

    def held(self, does: str = "pays", amount: Money = PRICE) -> Payment:
        """A payment whose money is on hold."""
        return self.execute(self.new(does, amount, capture=CaptureMethod.MANUAL))

    def due(self, kind: Kind, does: str = "pays", amount: Money = PRICE) -> Payment:
        """A payment with a due operation of that kind, after all needed before it."""
        match kind:
            case Kind.CHARGE:
                return self.new(does, amount)
            case Kind.AUTHORIZE:
                return self.new(does, amount, capture=CaptureMethod.MANUAL)
            case Kind.CAPTURE:
                return capture(self.held(does, amount))
            case Kind.VOID:
                return void(self.held(does, amount))
            case Kind.REFUND:
                return refund(self.charged(does, amount))

    def with_recorded_send(self, payment: Payment) -> Payment:
        """The payment with the send of its next operation recorded."""
        return with_recorded_send(self.provider, payment)

    def execute(self, payment: Payment) -> Payment:
        """The payment after a send of its next operation, with any outcome."""
        return self.send(self.with_recorded_send(payment))

    def send(self, claimed: Payment) -> Payment:
        """The payment after its recorded send, with any outcome."""
        outcome: Answer | ProviderError
        try:
            outcome = self.provider.send(claimed)
        except ProviderError as error:
            outcome = error
        return settle(claimed, outcome, now=datetime.now(UTC), jitter=0)

    def look_up(self, payment: Payment, operation: Operation | None = None) -> Answer:
        """The result of a lookup of an operation, by default the last."""
        wanted = operation or payment.operations[-1]
        return self.provider.look_up(
            start_lookup(payment, wanted, now=datetime.now(UTC))
        )

    def moved_amounts(self, payment: Payment) -> list[int]:
        """The amounts moved under the last operation's key, in the provider's unit."""
        last = payment.operations[-1]
        rows = [row for row in self.movements(payment) if row[0] == last.provider_key]
        assert {kind for _, kind, _ in rows} <= {last.kind.value}
        return [amount for _, _, amount in rows]

    def kinds_and_amounts(self, payment: Payment) -> list[tuple[str, int]]:
        """The kinds and amounts of a payment's movements, in order."""
        return [(kind, amount) for _, kind, amount in self.movements(payment)]


def a_payment(
    amount: Money = PRICE,
    method: str | None = "pm_card_visa",
    *,
    provider: ProviderName | None = None,
    **fields: Any,
) -> Payment:
    """A new payment; its method's name gives the provider by default."""
    if provider is None:
        stripe = method is not None and method.startswith("pm_")
        provider = ProviderName.STRIPE if stripe else ProviderName.PAYPAL
    name, now = _id(), datetime.now(UTC)
    submission = Submission(
        amount=amount,
        provider=provider,
        payment_method=method,
        **fields,
    )
    manual = submission.capture is CaptureMethod.MANUAL
    first = Operation(
        id=f"op_{name}",
        kind=Kind.AUTHORIZE if manual else Kind.CHARGE,
        amount=amount.minor,
        origin=Origin(name, name),
        starts_at=now,
        due_at=now,
    )
    return Payment(
        id=f"pay_{name}",
        merchant="merchant",
        mode=Mode.TEST,
        submission=submission,
        account=ProviderAccount.own(provider),
        operations=(first,),
        created_at=now,
        updated_at=now,
    )


def with_recorded_send(provider: Provider, payment: Payment) -> Payment:
    """The payment with the send of its next operation recorded, as by a claim.

    The time of the send is now, because a lookup searches around it.
    """
    operation = payment.next_operation
    assert operation is not None
    body = provider.prepare(payment, operation)
    return record_send(payment, operation, body, now=datetime.now(UTC))


def capture(
    payment: Payment, amount: int | None = None, *, final: bool = False
) -> Payment:
    """The payment with a requested capture."""
    return follow_ups.capture(payment, amount=amount, final=final, **_request())


def refund(
    payment: Payment, amount: int | None = None, *, target: str | None = None
) -> Payment:
    """The payment with a requested refund."""
    return follow_ups.refund(payment, amount=amount, target=target, **_request())


def void(payment: Payment) -> Payment:
    """The payment with a requested void."""
    return follow_ups.void(payment, **_request())


def _request() -> dict[str, Any]:
    name = _id()
    origin = Origin(name, name)
    return {"id": f"op_{name}", "origin": origin, "now": datetime.now(UTC)}


def _id() -> str:
    """The random part of an id."""
    return uuid.uuid4().hex[:26].upper()
