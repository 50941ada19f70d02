"""The state of the simulated PayPal, and its webhooks."""

from __future__ import annotations

from typing import Final

from simulators.calls import Answer, Call, Json, Refused, new_id, to_json
from simulators.clock import rfc3339
from simulators.ledger import Kind
from simulators.paypal.errors import error, new_debug_id, not_found
from simulators.paypal.money import Money
from simulators.paypal.objects import (
    Authorization,
    Capture,
    Dispute,
    Order,
    PaymentToken,
    Refund,
)
from simulators.provider import World

#: Characters of PayPal's identifiers.
ALPHABET: Final = b"ABCDEFGHJKLMNPRSTUVWXY0123456789"

#: Version of each type of resource in an event; a dispute's has none.
RESOURCE_VERSIONS: Final = {
    "checkout-order": "2.0",
    "authorization": "2.0",
    "capture": "2.0",
    "refund": "2.0",
    "payment_token": "3.0",
}


class Store:
    """Objects by id, one merchant's never visible to another."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.orders: dict[str, Order] = {}
        self.authorizations: dict[str, Authorization] = {}
        self.captures: dict[str, Capture] = {}
        self.refunds: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
        self.tokens: dict[str, PaymentToken] = {}
        #: The order that paid an invoice, by merchant and invoice id.
        self._invoices: dict[tuple[str, str], str] = {}
        self._refund_invoices: set[tuple[str, str]] = set()

    def now(self) -> float:
        """Return seconds since the Unix epoch on the simulator's clock."""
        return self.world.clock.now()

    def order(self, call: Call) -> Order:
        """Return the order of the path. Raises ``Refused`` without one."""
        order = self.orders.get(call.ids["id"])
        if order is None or order.account != call.account:
            raise not_found()
        return order

    def authorization(self, call: Call) -> Authorization:
        """Return the authorization of the path. Raises ``Refused``."""
        authorization = self.authorizations.get(call.ids["id"])
        if authorization is None or authorization.order.account != call.account:
            raise not_found()
        return authorization

    def capture(self, call: Call) -> Capture:
        """Return the capture of the path. Raises ``Refused``."""
        capture = self.captures.get(call.ids["id"])
        if capture is None or capture.order.account != call.account:
            raise not_found()
        return capture

    def refund(self, call: Call) -> Refund:
        """Return the refund of the path. Raises ``Refused``."""
        refund = self.refunds.get(call.ids["id"])
        if refund is None or refund.capture.order.account != call.account:
            raise not_found()
        return refund

    def dispute(self, call: Call) -> Dispute:
        """Return the dispute of the path. Raises ``Refused`` without one."""
        dispute = self.disputes.get(call.ids["id"])
        if dispute is None or dispute.capture.order.account != call.account:
            raise not_found()
        return dispute

    def token(self, call: Call) -> PaymentToken:
        """Return the payment token of the path. Raises ``Refused`` without one."""
        token = self.tokens.get(call.ids["id"])
        if token is None or token.account != call.account:
            raise not_found()
        return token

    def claim_invoice(self, order: Order, invoice_id: str | None) -> None:
        """Store that an order pays an invoice. Raises ``Refused`` if another did."""
        if invoice_id is None:
            return
        owner = self._invoices.setdefault((order.account, invoice_id), order.id)
        if owner != order.id:
            raise Refused(error(422, "DUPLICATE_INVOICE_ID"))

    def check_invoice(self, order: Order, invoice_id: str | None) -> None:
        """Raise ``Refused`` if another order paid this invoice."""
        owner = self._invoices.get((order.account, invoice_id or ""))
        if owner not in (None, order.id):
            raise Refused(error(422, "DUPLICATE_INVOICE_ID"))

    def claim_refund_invoice(self, account: str, invoice_id: str | None) -> None:
        """Store the invoice id of a refund. Raises ``Refused`` if it was used."""
        if invoice_id is None:
            return
        if (account, invoice_id) in self._refund_invoices:
            raise Refused(error(422, "DUPLICATE_INVOICE_ID"))
        self._refund_invoices.add((account, invoice_id))

    def move(
        self,
        kind: Kind,
        id: str,
        order: Order,
        money: Money,
        key: str | None,
        custom_id: str | None,
        invoice_id: str | None,
    ) -> None:
        """Write a movement of money to the ledger."""
        self.world.ledger.record(
            kind,
            id=id,
            amount=money.minor,
            currency=money.currency,
            key=key,
            account=order.account,
            metadata={"custom_id": custom_id, "invoice_id": invoice_id},
        )

    def send_event(self, type: str, resource_type: str | None, resource: Json) -> None:
        """Send an event to the webhook targets; some have no type of resource."""
        event: Json = {
            "id": new_id("WH-", 17, ALPHABET) + new_id("-", 17, ALPHABET),
            "event_version": "1.0",
            "create_time": rfc3339(self.now()),
            "event_type": type,
            "summary": f"{type.replace('.', ' ').capitalize()}.",
            "resource": resource,
            "links": [],
        }
        if resource_type is not None:
            event["resource_type"] = resource_type
        if resource_type in RESOURCE_VERSIONS:
            event["resource_version"] = RESOURCE_VERSIONS[resource_type]
        self.world.webhooks.publish(str(event["id"]), type, event)


def new_paypal_id() -> str:
    """Return an identifier in PayPal's form."""
    return new_id("", 17, ALPHABET)


def wants_all(call: Call) -> bool:
    """Whether the caller requested the whole object."""
    return "return=representation" in call.headers.get("Prefer", "")


def answer(shown: Json, status: int = 200) -> Answer:
    """Return an object as an answer."""
    return Answer(status, to_json(shown), {"PayPal-Debug-Id": new_debug_id()})
