"""The stored objects of an order; times are in seconds since the Unix epoch."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulators.calls import Json
from simulators.paypal.money import Money
from simulators.paypal.vault import Outcome


@dataclass(slots=True)
class Order:
    """One order."""

    id: str
    account: str
    base: str
    intent: str
    created: float
    units: list[Unit]
    status: str = "CREATED"
    updated: float = 0.0
    #: Kind of payment source: paypal or card; None until there is one.
    source: str | None = None
    #: Chosen by the vault token or on the approval page; None before either.
    outcome: Outcome | None = None
    approved: float | None = None
    return_url: str | None = None
    cancel_url: str | None = None
    #: Whether the payer's wallet is saved once the order is paid, how many seconds
    #: after that, and for whom.
    keep: bool = False
    keep_after: float = 0.0
    customer: str | None = None
    #: The saved wallet.
    token: PaymentToken | None = None


@dataclass(frozen=True, slots=True)
class PaymentToken:
    """A payer's wallet, saved for one merchant."""

    id: str
    account: str
    base: str
    #: PayPal's name for the merchant's customer.
    customer: str
    outcome: Outcome


@dataclass(slots=True)
class Unit:
    """One purchase unit of an order."""

    reference_id: str
    money: Money
    breakdown: Json | None
    custom_id: str | None
    invoice_id: str | None
    description: str | None
    soft_descriptor: str | None
    authorizations: list[Authorization] = field(default_factory=list)
    captures: list[Capture] = field(default_factory=list)


@dataclass(slots=True)
class Authorization:
    """Money held for an order."""

    id: str
    order: Order
    unit: Unit
    money: Money
    created: float
    expires: float
    status: str
    #: Request id of the call that made it, for the ledger.
    key: str | None
    updated: float = 0.0
    captured: int = 0
    final: bool = False
    #: Whether it replaced an older authorization.
    renewed: bool = False


@dataclass(slots=True)
class Capture:
    """Collected money."""

    id: str
    order: Order
    unit: Unit
    money: Money
    created: float
    status: str
    key: str | None
    custom_id: str | None
    invoice_id: str | None
    final: bool = True
    updated: float = 0.0
    authorization: Authorization | None = None
    #: Refunded or being refunded, in PayPal's smallest units.
    refunded: int = 0
    refunds: list[Refund] = field(default_factory=list)
    dispute: Dispute | None = None

    def count_refund(self, units: int, at: float) -> None:
        """Count a refund of it; a failed refund counts negative."""
        self.refunded += units
        self.updated = at
        if self.refunded == 0:
            self.status = "COMPLETED"
        elif self.refunded < self.money.units:
            self.status = "PARTIALLY_REFUNDED"
        else:
            self.status = "REFUNDED"


@dataclass(slots=True)
class Refund:
    """Money given back on a capture."""

    id: str
    capture: Capture
    money: Money
    created: float
    status: str
    key: str | None
    custom_id: str | None
    invoice_id: str | None
    note: str | None
    updated: float = 0.0
    #: Whether PayPal itself took the money back.
    reversal: bool = False


@dataclass(slots=True)
class Dispute:
    """A payer's objection to one capture."""

    id: str
    capture: Capture
    money: Money
    created: float
    reason: str
    status: str
    updated: float
    #: Whether PayPal decides it; before that, payer and merchant talk.
    claim: bool
    #: None until it is resolved; then the winner.
    outcome: str | None = None
