"""``POST /_drift``: makes a provider's books differ from its earlier answers.

For tests and demonstrations of reconciliation. The ledger keeps the real
movements; the API's data drifts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

from aiohttp import web

from simulators.calls import Json, new_id, to_json
from simulators.overwrites import Overwrites
from simulators.paypal.api import PayPal
from simulators.paypal.collection import Collection
from simulators.paypal.money import Money
from simulators.paypal.objects import Capture, Order, Unit
from simulators.paypal.store import Store as PayPalStore
from simulators.paypal.store import new_paypal_id
from simulators.paypal.vault import Outcome
from simulators.server import Server
from simulators.stripe.api import Stripe
from simulators.stripe.charging import Charging
from simulators.stripe.objects import Charge, Intent
from simulators.stripe.store import Store as StripeStore

#: The largest amount, and the longest lag in seconds, of a request.
MOST: Final = 99_999_999

T = TypeVar("T")


class Drift(Protocol):
    """A provider's books. Amounts are in its smallest unit of the currency.

    Each method returns the id of the changed object, and raises ``ValueError`` without
    one; without an id it changes the newest.
    """

    def unknown_charge(self, amount: int) -> str:
        """Make a foreign charge on the account of the newest payment."""

    def change_amount(self, id: str | None, amount: int) -> str:
        """Show another amount of a charge or capture."""

    def lose_refund(self, id: str | None) -> str:
        """Remove a refund."""

    def report_late(self, seconds: int) -> str:
        """Leave younger movements out of reports."""


def install(server: Server) -> None:
    """Add ``/_drift`` to the server; call it before the server starts."""
    provider, overwrites = server.provider, server.provider.world.overwrites
    drift: Drift
    if isinstance(provider, Stripe):
        drift = StripeDrift(provider.store)
    elif isinstance(provider, PayPal):
        drift = PayPalDrift(provider)
    else:
        raise TypeError("a provider without drift")

    async def plant(request: web.Request) -> web.Response:
        try:
            wanted = json.loads(await request.read())
            if not isinstance(wanted, dict):
                raise ValueError("the body must be a JSON object")
            done, status = {
                "do": wanted.get("do"),
                "id": _plant(drift, wanted, overwrites),
            }, 201
        except ValueError as bad:
            done, status = {"error": str(bad)}, 400
        body = to_json(done)
        return web.Response(body=body, status=status, content_type="application/json")

    server.app.router.add_post("/_drift", plant)


def _plant(drift: Drift, wanted: Json, overwrites: Overwrites) -> str:
    """Carry out a request and return the object's id. Raises ``ValueError``."""
    id = wanted.get("id")
    if id is not None and not isinstance(id, str):
        raise ValueError("id must be a text")
    match wanted.get("do"):
        case "unknown_charge":
            return drift.unknown_charge(_number(wanted, "amount"))
        case "change_amount":
            return drift.change_amount(id, _number(wanted, "amount"))
        case "lose_refund":
            return drift.lose_refund(id)
        case "report_late":
            return drift.report_late(_number(wanted, "seconds", least=0))
        case "overwrite":
            fields = wanted.get("fields")
            if id is None or not isinstance(fields, dict):
                raise ValueError("overwrite takes an id, and fields as an object")
            overwrites.set(id, fields)
            return id
    raise ValueError(
        "do must be unknown_charge, change_amount, lose_refund, report_late or"
        " overwrite"
    )


def _number(wanted: Json, name: str, least: int = 1) -> int:
    value = wanted.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number")
    if not least <= value <= MOST:
        raise ValueError(f"{name} must be between {least} and {MOST}")
    return value


class StripeDrift:
    """A Drift of the simulated Stripe."""

    def __init__(self, store: StripeStore) -> None:
        self._store = store

    def unknown_charge(self, amount: int) -> str:
        newest = _newest(self._store.intents.values(), "payment")
        account = self._store.account(newest.account)
        intent = Intent(
            id=new_id("pi_3", 23),
            account=newest.account,
            position=len(account.intents),
            created=self._store.now(),
            amount=amount,
            currency=newest.currency,
            secret=new_id("", 25),
            capture_method="automatic",
            method_types=["card"],
            automatic=None,
            metadata={},
            payment_method=self._store.adopt_method(newest.account, "pm_card_visa").id,
        )
        account.intents.append(intent)
        self._store.intents[intent.id] = intent
        Charging(self._store).ask_issuer(intent, None)
        return self._charge(intent.id).id

    def change_amount(self, id: str | None, amount: int) -> str:
        """See Drift; ``id`` is an intent's or a charge's."""
        charge = self._charge(id)
        charge.amount_captured = charge.intent.amount_received = amount
        _, line = self._store.lines[charge.balance_transaction or ""]
        line.amount = amount
        return charge.id

    def lose_refund(self, id: str | None) -> str:
        store = self._store
        found = (one for one in store.refunds.values() if id in (None, one.id))
        refund = _newest(found, "refund")
        account = store.account(refund.charge.intent.account)
        account.refunds.remove(refund)
        account.lines[:] = [one for one in account.lines if one.source != refund.id]
        store.lines.pop(refund.balance_transaction or "", None)
        refund.charge.amount_refunded -= refund.amount
        del store.refunds[refund.id]
        return refund.id

    def report_late(self, seconds: int) -> str:
        """See Drift; Stripe's lists do not lag."""
        raise ValueError("only PayPal reports late")

    def _charge(self, id: str | None) -> Charge:
        """A captured charge, by its id or its intent's."""
        captured = (
            charge
            for charge in self._store.charges.values()
            if charge.balance_transaction and id in (None, charge.id, charge.intent.id)
        )
        return _newest(captured, "captured charge")


class PayPalDrift:
    """A Drift of the simulated PayPal."""

    def __init__(self, provider: PayPal) -> None:
        self._store: PayPalStore = provider.store
        self._reporting = provider.reporting

    def unknown_charge(self, amount: int) -> str:
        newest = _newest(self._store.orders.values(), "order")
        money = Money(amount, newest.units[0].money.currency)
        now = self._store.now()
        order = Order(
            id=new_paypal_id(),
            account=newest.account,
            base=newest.base,
            intent="CAPTURE",
            created=now,
            units=[Unit("default", money, None, None, None, None, None)],
            status="COMPLETED",
            source="paypal",
            outcome=Outcome(),
        )
        capture = Capture(
            id=new_paypal_id(),
            order=order,
            unit=order.units[0],
            money=money,
            created=now,
            status="COMPLETED",
            key=None,
            custom_id=None,
            invoice_id=None,
        )
        self._store.orders[order.id] = order
        Collection(self._store).add_capture(capture)
        return capture.id

    def change_amount(self, id: str | None, amount: int) -> str:
        """See Drift; ``id`` is a capture's or an order's."""
        found = (
            capture
            for capture in self._store.captures.values()
            if id in (None, capture.id, capture.order.id)
        )
        capture = _newest(found, "capture")
        capture.money = Money(amount, capture.money.currency)
        return capture.id

    def lose_refund(self, id: str | None) -> str:
        found = (one for one in self._store.refunds.values() if id in (None, one.id))
        refund = _newest(found, "refund")
        capture = refund.capture
        capture.refunds.remove(refund)
        capture.refunded -= refund.money.units
        capture.status = "PARTIALLY_REFUNDED" if capture.refunded else "COMPLETED"
        del self._store.refunds[refund.id]
        return refund.id

    def report_late(self, seconds: int) -> str:
        self._reporting.lag = float(seconds)
        return "transactions"


def _newest(found: Iterable[T], kind: str) -> T:
    """Return the last one. Raises ``ValueError`` without one."""
    for one in reversed(list(found)):
        return one
    raise ValueError(f"there is no such {kind}")
