"""Orders v2: create, read, patch, confirm, authorize, capture."""

from __future__ import annotations

from typing import Final

from simulators.calls import Answer, Call, Refused
from simulators.paypal.collection import Collection
from simulators.paypal.errors import bad_field, error, not_found, unprocessable
from simulators.paypal.objects import Order
from simulators.paypal.order_fields import (
    change_of,
    intent_of,
    set_urls,
    set_vault,
    units_of,
)
from simulators.paypal.payment_tokens import PaymentTokens
from simulators.paypal.shapes import show_order, show_reversed_approval
from simulators.paypal.store import Store, answer, new_paypal_id, wants_all
from simulators.paypal.vault import Outcome

#: Seconds a payer has to approve, and then the merchant to capture: three hours each.
#: Source: the description of an order's links in PayPal's OpenAPI file.
APPROVAL: Final = 3 * 3600.0
#: Orders kept, as many as the ledger has rows; no more are made.
MAX_ORDERS: Final = 1_000_000


class Orders:
    """The life of an order."""

    def __init__(self, store: Store, collection: Collection) -> None:
        self._store = store
        self._tokens = PaymentTokens(store)
        self._collection = collection

    def create(self, call: Call) -> Answer:
        """``POST /v2/checkout/orders``; carried out at once with a vault token."""
        body = call.body
        if len(self._store.orders) >= MAX_ORDERS:
            raise Refused(error(500))
        order = Order(
            id=new_paypal_id(),
            account=call.account,
            base=call.base,
            intent=intent_of(body),
            created=self._store.now(),
            units=units_of(body),
        )
        if order.intent == "AUTHORIZE" and len(order.units) > 1:
            raise unprocessable("UNSUPPORTED_INTENT", "/intent", order.intent)
        source = body.get("payment_source")
        if source is not None and call.key is None:
            raise Refused(error(400, "PAYPAL_REQUEST_ID_REQUIRED"))
        set_urls(order, body.get("application_context"))
        token = self._set_source(order, source)
        if token is not None:
            outcome = self._tokens.outcome(order.account, token)
            if outcome.issue == "PAYER_ACTION_REQUIRED":
                order.status = outcome.issue
                self._store.orders[order.id] = order
            self._collection.check(order, outcome)
            self._carry_out(order, outcome, call)
        self._store.orders[order.id] = order
        return self._shown(order, call, 201)

    def get(self, call: Call) -> Answer:
        """``GET /v2/checkout/orders/{id}``; an order past its time is unknown."""
        order = self._store.order(call)
        if self.expired(order):
            raise not_found()
        return answer(show_order(order, full=True))

    def patch(self, call: Call) -> Answer:
        """``PATCH /v2/checkout/orders/{id}`` of a unit's references or amount."""
        order = self._store.order(call)
        operations = call.body.get("patch")
        if not isinstance(operations, list) or not operations:
            raise Refused(error(400, "MISSING_REQUIRED_PARAMETER"))
        if order.status == "COMPLETED":
            raise unprocessable("ORDER_ALREADY_COMPLETED")
        changes = [change_of(order, each, at) for at, each in enumerate(operations)]
        for unit, name, value in changes:
            setattr(unit, name, value)
        order.updated = self._store.now()
        return Answer(204, headers=answer({}).headers)

    def confirm(self, call: Call) -> Answer:
        """``POST /v2/checkout/orders/{id}/confirm-payment-source``."""
        order = self._store.order(call)
        if order.status == "COMPLETED":
            raise unprocessable(_already(order))
        source = call.body.get("payment_source")
        if source is None:
            raise bad_field("MISSING_REQUIRED_PARAMETER", "/payment_source")
        token = self._set_source(order, source)
        if token is not None:
            order.outcome = self._tokens.outcome(order.account, token)
            self.approve(order)
        return answer(show_order(order, wants_all(call)))

    def authorize(self, call: Call) -> Answer:
        """``POST /v2/checkout/orders/{id}/authorize``."""
        return self._finish(call, "AUTHORIZE")

    def capture(self, call: Call) -> Answer:
        """``POST /v2/checkout/orders/{id}/capture``."""
        return self._finish(call, "CAPTURE")

    def approve(self, order: Order) -> None:
        """The payer agrees."""
        now = self._store.now()
        order.status, order.approved, order.updated = "APPROVED", now, now
        self._store.send_event(
            "CHECKOUT.ORDER.APPROVED", "checkout-order", show_order(order, full=True)
        )
        self._store.world.clock.schedule(APPROVAL, lambda: self._reverse(order, now))

    def _reverse(self, order: Order, approved: float) -> None:
        """Withdraw an approval of that time that was not carried out."""
        if order.status == "APPROVED" and order.approved == approved:
            shown = show_reversed_approval(order)
            self._store.send_event("CHECKOUT.PAYMENT-APPROVAL.REVERSED", None, shown)

    def expired(self, order: Order) -> bool:
        """Whether the order can no longer be approved or carried out."""
        since = order.created if order.approved is None else order.approved
        return order.status != "COMPLETED" and self._store.now() >= since + APPROVAL

    def _finish(self, call: Call, intent: str) -> Answer:
        order = self._store.order(call)
        if order.intent != intent:
            raise unprocessable("ACTION_DOES_NOT_MATCH_INTENT")
        if order.status == "COMPLETED":
            raise unprocessable(_already(order))
        if self.expired(order):
            raise unprocessable("ORDER_EXPIRED")
        token = self._set_source(order, call.body.get("payment_source"))
        outcome = (
            self._tokens.outcome(order.account, token)
            if token is not None
            else order.outcome
        )
        if outcome is None or (token is None and order.status != "APPROVED"):
            raise unprocessable("ORDER_NOT_APPROVED")
        self._collection.check(order, outcome)
        self._carry_out(order, outcome, call)
        return self._shown(order, call, 201)

    def _carry_out(self, order: Order, outcome: Outcome, call: Call) -> None:
        order.outcome = outcome
        if order.intent == "CAPTURE":
            self._collection.capture_order(order, outcome, call)
        else:
            self._collection.authorize_order(order, outcome, call)

    def _shown(self, order: Order, call: Call, status: int) -> Answer:
        """Answer with the order; a repeated request gets its current state."""
        fresh = answer(show_order(order, wants_all(call)), status)
        return Answer(
            fresh.status,
            fresh.body,
            fresh.headers,
            again=lambda later: answer(show_order(order, wants_all(later)), 200),
        )

    def _set_source(self, order: Order, source: object) -> str | None:
        """Store the payment source and return the vault token, if there is one."""
        if source is None:
            return None
        if not isinstance(source, dict) or len(source) != 1:
            raise bad_field("INVALID_PARAMETER_VALUE", "/payment_source")
        kind, details = next(iter(source.items()))
        if kind not in ("paypal", "card", "token") or not isinstance(details, dict):
            raise bad_field("INVALID_PARAMETER_VALUE", "/payment_source", kind)
        if "number" in details:
            raise Refused(error(403, "NOT_ENABLED_FOR_CARD_PROCESSING"))
        order.source = "card" if kind == "card" else "paypal"
        set_urls(order, details.get("experience_context"))
        if kind == "paypal":
            set_vault(order, details.get("attributes"))
        token = details.get("id" if kind == "token" else "vault_id")
        if token is None and kind == "paypal":
            order.status = "PAYER_ACTION_REQUIRED"
            return None
        if not isinstance(token, str) or not token:
            name = "id" if kind == "token" else "vault_id"
            raise bad_field(
                "MISSING_REQUIRED_PARAMETER", f"/payment_source/{kind}/{name}"
            )
        return token


def _already(order: Order) -> str:
    if order.intent == "CAPTURE":
        return "ORDER_ALREADY_CAPTURED"
    return "ORDER_ALREADY_AUTHORIZED"
