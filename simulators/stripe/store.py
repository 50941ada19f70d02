"""The state of the simulated Stripe, by account, and its events."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from simulators.calls import Call, Json, Refused, new_id
from simulators.ledger import Kind
from simulators.provider import World
from simulators.stripe.cards import METHODS
from simulators.stripe.errors import API_VERSION, error, missing
from simulators.stripe.objects import (
    BalanceTransaction,
    Charge,
    Customer,
    Dispute,
    Intent,
    PaymentMethod,
    Refund,
)

#: Events kept for ``GET /v1/events``, some 30 MB; the oldest are forgotten, as Stripe
#: forgets them after 30 days.
MAX_EVENTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most objects of each kind; no more are made, and none is forgotten."""

    customers: int = 100_000
    disputes: int = 100_000
    #: Each payment makes one, some 300 MB in all.
    methods: int = 2_000_000
    #: Accounts with objects, far more than any test has.
    accounts: int = 100_000


def connected_account(platform: str, name: str) -> str:
    """Return the key of a platform's connected account."""
    return f"{platform}/{name}"


def name_of(account: str) -> str:
    """Return Stripe's name of an account, connected or not."""
    return account.rpartition("/")[2]


@dataclass(slots=True)
class Account:
    """One merchant's objects, each list in order of creation."""

    intents: list[Intent] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    lines: list[BalanceTransaction] = field(default_factory=list)
    events: deque[Json] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))


class Store:
    """Objects by id, one account's never visible to another."""

    def __init__(self, world: World, bounds: Bounds) -> None:
        self.world = world
        self.bounds = bounds
        self.accounts: dict[str, Account] = {}
        self.intents: dict[str, Intent] = {}
        self.charges: dict[str, Charge] = {}
        self.refunds: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
        self.lines: dict[str, tuple[str, BalanceTransaction]] = {}
        self.customers: dict[str, Customer] = {}
        self.methods: dict[str, PaymentMethod] = {}

    def now(self) -> int:
        """Return whole seconds since the Unix epoch on the simulator's clock."""
        return int(self.world.clock.now())

    def account(self, name: str) -> Account:
        """Return an account's objects; the first use creates an account."""
        known = self.accounts.get(name)
        if known is None:
            if len(self.accounts) >= self.bounds.accounts:
                raise Refused(error(500, "The simulator is full.", type="api_error"))
            known = self.accounts[name] = Account()
        return known

    def intent(self, account: str, id: str, param: str = "intent") -> Intent:
        """Return an intent. Raises ``Refused`` if the account has none."""
        intent = self.intents.get(id)
        if intent is None or intent.account != account:
            raise missing("payment_intent", id, param)
        return intent

    def charge(self, account: str, id: str, param: str = "id") -> Charge:
        """Return a charge. Raises ``Refused`` if the account has none."""
        charge = self.charges.get(id)
        if charge is None or charge.intent.account != account:
            raise missing("charge", id, param)
        return charge

    def refund(self, account: str, id: str) -> Refund:
        """Return a refund. Raises ``Refused`` if the account has none."""
        refund = self.refunds.get(id)
        if refund is None or refund.charge.intent.account != account:
            raise missing("refund", id, "id")
        return refund

    def dispute(self, account: str, id: str) -> Dispute:
        """Return a dispute. Raises ``Refused`` if the account has none."""
        dispute = self.disputes.get(id)
        if dispute is None or dispute.charge.intent.account != account:
            raise missing("dispute", id, "dispute")
        return dispute

    def customer(
        self, account: str, id: str, param: str = "id", status: int = 404
    ) -> Customer:
        """Return a customer. Raises ``Refused`` if the account has none."""
        customer = self.customers.get(id)
        if customer is None or customer.account != account:
            raise missing("customer", id, param, status)
        return customer

    def method(self, account: str, id: str) -> PaymentMethod:
        """Return a payment method. Raises ``Refused`` for one the account lacks."""
        method = self.methods.get(id)
        if method is None or method.account != account:
            raise missing("PaymentMethod", id, "payment_method")
        return method

    def adopt_method(self, account: str, token: str) -> PaymentMethod:
        """Return the payment method of an id, or make one of a test token.

        Raises ``Refused`` (400, ``resource_missing``) for an unknown one.
        """
        known, kind = self.methods.get(token), METHODS.get(token)
        if known is not None and known.account == account:
            return known
        if kind is None:
            raise missing("PaymentMethod", token, "payment_method", 400)
        if len(self.methods) >= self.bounds.methods:
            raise Refused(error(500, "The simulator is full.", type="api_error"))
        made = PaymentMethod(new_id("pm_1", 23), account, self.now(), kind)
        self.methods[made.id] = made
        return made

    def move(
        self,
        kind: Kind,
        intent: Intent,
        id: str,
        amount: int,
        key: str | None,
        metadata: dict[str, str] | None = None,
    ) -> None:
        """Write a movement of money to the ledger (metadata: the intent's)."""
        self.world.ledger.record(
            kind,
            id=id,
            amount=amount,
            currency=intent.currency,
            key=key,
            account=name_of(intent.account),
            metadata=intent.metadata if metadata is None else metadata,
        )

    def settle(
        self,
        intent: Intent,
        type: str,
        source: str,
        amount: int,
        *,
        fee: int = 0,
        fee_description: str = "Stripe processing fees",
        category: str | None = None,
        description: str | None = None,
    ) -> BalanceTransaction:
        """Add a line to the balance; an outgoing amount is negative."""
        line = BalanceTransaction(
            id=new_id("txn_3", 23),
            created=self.now(),
            amount=amount,
            fee=fee,
            currency=intent.currency,
            type=type,
            source=source,
            category=category or type,
            description=description,
            fee_description=fee_description,
        )
        self.account(intent.account).lines.append(line)
        self.lines[line.id] = (intent.account, line)
        return line

    def send_event(
        self, account: str, type: str, snapshot: Json, call: Call | None
    ) -> None:
        """Record an event and send it to the webhook targets.

        ``call`` is the causing request; None for a change by time.
        """
        event: Json = {
            "id": new_id("evt_3", 23),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now(),
            "data": {"object": snapshot},
            "livemode": False,
            "pending_webhooks": len(self.world.webhooks.targets),
            "request": {
                "id": call.request_id if call is not None else None,
                "idempotency_key": call.key if call is not None else None,
            },
            "type": type,
        }
        if name_of(account) != account:
            event["account"] = name_of(account)
        self.account(account).events.append(event)
        self.world.webhooks.publish(event["id"], type, event)
