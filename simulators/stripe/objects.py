"""The stored objects of a payment; amounts are in Stripe's minor units."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulators.calls import Json
from simulators.stripe.cards import Decline, TestMethod


@dataclass(slots=True)
class PaymentMethod:
    """A payer's means of payment; each use of a test token makes one."""

    id: str
    account: str
    created: int
    #: The outcome of payments with it.
    kind: TestMethod
    #: The customer it is saved for; without one it can be used once.
    customer: str | None = None
    #: Whether it has paid.
    used: bool = False
    #: The ``setup_future_usage`` of that payment: on_session or off_session.
    future: str | None = None


@dataclass(slots=True)
class Customer:
    """A customer with saved payment methods."""

    id: str
    account: str
    created: int
    metadata: dict[str, str]
    name: str | None
    email: str | None
    phone: str | None
    description: str | None
    address: Json | None
    shipping: Json | None
    #: In the order they were attached.
    methods: list[PaymentMethod] = field(default_factory=list)


@dataclass(slots=True)
class Intent:
    """A PaymentIntent."""

    id: str
    account: str
    #: Place among the account's intents, for paging.
    position: int
    #: Seconds since the Unix epoch.
    created: int
    amount: int
    currency: str
    secret: str
    capture_method: str
    method_types: list[str]
    automatic: Json | None
    metadata: dict[str, str]
    status: str = "requires_payment_method"
    payment_method: str | None = None
    customer: str | None = None
    description: str | None = None
    receipt_email: str | None = None
    return_url: str | None = None
    setup_future_usage: str | None = None
    #: Whether several captures were requested.
    multicapture: bool = False
    shipping: Json | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None
    transfer_group: str | None = None
    amount_capturable: int = 0
    amount_received: int = 0
    canceled_at: int | None = None
    cancellation_reason: str | None = None
    last_error: Json | None = None
    next_action: Json | None = None
    charge: Charge | None = None
    #: Idempotency key of the request that confirmed it, for the ledger.
    key: str | None = None


@dataclass(slots=True)
class Charge:
    """One attempt to collect an intent's money."""

    id: str
    intent: Intent
    created: int
    amount: int
    method_id: str
    method: TestMethod
    status: str = "succeeded"
    captured: bool = False
    #: Captures that left the rest on hold; None if the card allows none.
    parts: int | None = None
    amount_captured: int = 0
    amount_refunded: int = 0
    decline: Decline | None = None
    balance_transaction: str | None = None
    #: Seconds since the Unix epoch; None once it is captured.
    capture_before: int | None = None
    refunds: list[Refund] = field(default_factory=list)
    dispute: Dispute | None = None


@dataclass(slots=True)
class Refund:
    """Money going back on one charge."""

    id: str
    charge: Charge
    position: int
    created: int
    amount: int
    metadata: dict[str, str]
    reason: str | None
    status: str
    key: str | None
    failure_reason: str | None = None
    failure_balance_transaction: str | None = None
    balance_transaction: str | None = None


@dataclass(slots=True)
class BalanceTransaction:
    """One line of the account's balance."""

    id: str
    created: int
    amount: int
    fee: int
    currency: str
    type: str
    source: str
    #: Its category in Stripe's reports.
    category: str
    description: str | None
    #: The fee's description.
    fee_description: str


@dataclass(slots=True)
class Dispute:
    """A payer's objection to one charge, raised at the payer's bank."""

    id: str
    charge: Charge
    created: int
    amount: int
    reason: str
    status: str
    #: Whether it is still an inquiry, without a withdrawal.
    inquiry: bool
    #: The withdrawal and the return, in that order.
    lines: list[BalanceTransaction] = field(default_factory=list)
