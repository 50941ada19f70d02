"""Orders v2: create, read, patch, confirm, authorize, capture."""

from __future__ import annotations

import re
from typing import Any, Final

from simulators.calls import Answer, Call, Json, Refused
from simulators.paypal.collection import Collection
from simulators.paypal.errors import bad_field, error, not_found, unprocessable
from simulators.paypal.money import read_money
from simulators.paypal.objects import Order, Unit
from simulators.paypal.payment_tokens import PaymentTokens
from simulators.paypal.shapes import show_order, show_reversed_approval
from simulators.paypal.store import Store, answer, new_paypal_id, wants_all
from simulators.paypal.vault import Outcome

#: Seconds a payer has to approve, and then the merchant to capture: three hours each.
#: Source: the description of an order's links in PayPal's OpenAPI file.
APPROVAL: Final = 3 * 3600.0
#: Orders kept, as many as the ledger has rows; past it none is made.
MAX_ORDERS: Final = 1_000_000
#: Purchase units of one order.
MAX_UNITS: Final = 10
#: Text fields of a purchase unit and the most characters of each.
TEXTS: Final = {
    "reference_id": 256,
    "custom_id": 127,
    "invoice_id": 127,
    "description": 127,
    "soft_descriptor": 22,
}
PATCHABLE: Final = ("custom_id", "invoice_id", "description", "amount")
_PATCH_PATH: Final = re.compile(r"/purchase_units/@reference_id=='([^']*)'/([a-z_]+)\Z")


class Orders:
    """The life of an order."""

    def __init__(
        self, store: Store, collection: Collection, tokens: PaymentTokens
    ) -> None:
        self._store = store
        self._tokens = tokens
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
            intent=_intent(body),
            created=self._store.now(),
            units=_units(body),
        )
        if order.intent == "AUTHORIZE" and len(order.units) > 1:
            raise unprocessable("UNSUPPORTED_INTENT", "/intent", order.intent)
        source = body.get("payment_source")
        if source is not None and call.key is None:
            raise Refused(error(400, "PAYPAL_REQUEST_ID_REQUIRED"))
        _set_urls(order, body.get("application_context"))
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
        """``GET /v2/checkout/orders/{id}``; one whose time is over is forgotten."""
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
        changes = [_change(order, each, at) for at, each in enumerate(operations)]
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
        self._store.tell(
            "CHECKOUT.ORDER.APPROVED", "checkout-order", show_order(order, full=True)
        )
        self._store.world.clock.schedule(APPROVAL, lambda: self._reverse(order, now))

    def _reverse(self, order: Order, approved: float) -> None:
        """Nobody carried out what was approved at that time: PayPal takes it back."""
        if order.status == "APPROVED" and order.approved == approved:
            shown = show_reversed_approval(order)
            self._store.tell("CHECKOUT.PAYMENT-APPROVAL.REVERSED", None, shown)

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
        """Answer with the order, and a repeated request with its state by then."""
        fresh = answer(show_order(order, wants_all(call)), status)
        return Answer(
            fresh.status,
            fresh.body,
            fresh.headers,
            again=lambda later: answer(show_order(order, wants_all(later)), 200),
        )

    def _set_source(self, order: Order, source: object) -> str | None:
        """Note how the order is paid and return the vault token, if there is one."""
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
        _set_urls(order, details.get("experience_context"))
        if kind == "paypal":
            _set_vault(order, details.get("attributes"))
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


def _intent(body: Json) -> str:
    intent = body.get("intent")
    if intent is None:
        raise bad_field("MISSING_REQUIRED_PARAMETER", "/intent")
    if intent not in ("CAPTURE", "AUTHORIZE"):
        raise bad_field("INVALID_PARAMETER_VALUE", "/intent", str(intent))
    return str(intent)


def _units(body: Json) -> list[Unit]:
    raw = body.get("purchase_units")
    if not isinstance(raw, list):
        raise bad_field("MISSING_REQUIRED_PARAMETER", "/purchase_units")
    if not raw:
        raise bad_field("INVALID_ARRAY_MIN_ITEMS", "/purchase_units")
    if len(raw) > MAX_UNITS:
        raise bad_field("INVALID_ARRAY_MAX_ITEMS", "/purchase_units")
    units = [_read_unit(each, at) for at, each in enumerate(raw)]
    if len({unit.money.currency for unit in units}) > 1:
        raise unprocessable("MULTI_CURRENCY_ORDER", "/purchase_units")
    return units


def _read_unit(raw: object, at: int) -> Unit:
    pointer = f"/purchase_units/{at}"
    if not isinstance(raw, dict):
        raise bad_field("INVALID_PARAMETER_SYNTAX", pointer)
    texts = {name: _text(raw, name, most, pointer) for name, most in TEXTS.items()}
    amount = raw.get("amount")
    breakdown = amount.get("breakdown") if isinstance(amount, dict) else None
    return Unit(
        reference_id=texts["reference_id"] or "default",
        money=read_money(amount, f"{pointer}/amount"),
        breakdown=breakdown if isinstance(breakdown, dict) else None,
        custom_id=texts["custom_id"],
        invoice_id=texts["invoice_id"],
        description=texts["description"],
        soft_descriptor=texts["soft_descriptor"],
    )


def _text(raw: Json, name: str, most: int, pointer: str) -> str | None:
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise bad_field("INVALID_PARAMETER_SYNTAX", f"{pointer}/{name}")
    if not 1 <= len(value) <= most:
        raise bad_field("INVALID_STRING_LENGTH", f"{pointer}/{name}", value[:200])
    return value


def _set_urls(order: Order, context: object) -> None:
    if not isinstance(context, dict):
        return
    for name in ("return_url", "cancel_url"):
        if isinstance(context.get(name), str):
            setattr(order, name, context[name])


def _set_vault(order: Order, attributes: object) -> None:
    """Note whether the wallet is to be saved. Raises ``Refused`` for another wish."""
    attributes = attributes if isinstance(attributes, dict) else {}
    vault, customer = attributes.get("vault"), attributes.get("customer")
    if isinstance(vault, dict):
        pointer = "/payment_source/paypal/attributes/vault"
        if vault.get("store_in_vault") != "ON_SUCCESS":
            raise bad_field("INVALID_PARAMETER_VALUE", f"{pointer}/store_in_vault")
        if vault.get("usage_type") not in ("MERCHANT", "PLATFORM"):
            raise bad_field("MISSING_REQUIRED_PARAMETER", f"{pointer}/usage_type")
        order.keep = True
    if isinstance(customer, dict):
        order.customer = _text(customer, "id", 22, "/payment_source/paypal/customer")


def _change(order: Order, raw: object, at: int) -> tuple[Unit, str, Any]:
    """Read one patch operation: the unit, the attribute and its new value."""
    pointer = f"/{at}"
    if not isinstance(raw, dict) or raw.get("op") not in ("add", "replace", "remove"):
        raise bad_field("INVALID_PATCH_OPERATION", f"{pointer}/op")
    match = _PATCH_PATH.match(str(raw.get("path")))
    units = {unit.reference_id: unit for unit in order.units}
    if match is None or match[2] not in PATCHABLE or match[1] not in units:
        raise unprocessable("NOT_PATCHABLE", f"{pointer}/path", str(raw.get("path")))
    unit, name = units[match[1]], match[2]
    if name == "amount":
        return unit, "money", read_money(raw.get("value"), f"{pointer}/value")
    if raw["op"] == "remove":
        return unit, name, None
    value = _text({name: raw.get("value")}, name, TEXTS[name], pointer)
    return unit, name, value
