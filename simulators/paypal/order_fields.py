"""Read the fields of an order and of its payment, with PayPal's checks."""

from __future__ import annotations

import re
from typing import Any, Final

from simulators.calls import Json, length
from simulators.paypal.errors import bad_field, unprocessable
from simulators.paypal.money import read_money
from simulators.paypal.objects import Order, Unit

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


def intent_of(body: Json) -> str:
    """Return CAPTURE or AUTHORIZE. Raises ``Refused``."""
    intent = body.get("intent")
    if intent is None:
        raise bad_field("MISSING_REQUIRED_PARAMETER", "/intent")
    if intent not in ("CAPTURE", "AUTHORIZE"):
        raise bad_field("INVALID_PARAMETER_VALUE", "/intent", str(intent))
    return str(intent)


def units_of(body: Json) -> list[Unit]:
    """Return the purchase units, all in one currency. Raises ``Refused``."""
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
    if not 1 <= length(value) <= most:
        raise bad_field("INVALID_STRING_LENGTH", f"{pointer}/{name}", value[:200])
    return value


def set_urls(order: Order, context: object) -> None:
    """Store the URLs of the payer's return."""
    if not isinstance(context, dict):
        return
    for name in ("return_url", "cancel_url"):
        if isinstance(context.get(name), str):
            setattr(order, name, context[name])


def set_vault(order: Order, attributes: object) -> None:
    """Store whether the wallet is saved. Raises ``Refused`` for another request.

    Saving needs the payer's return, so ``set_urls`` comes first.
    """
    attributes = attributes if isinstance(attributes, dict) else {}
    vault, customer = attributes.get("vault"), attributes.get("customer")
    if isinstance(vault, dict):
        pointer = "/payment_source/paypal/attributes/vault"
        if vault.get("store_in_vault") != "ON_SUCCESS":
            raise bad_field("INVALID_PARAMETER_VALUE", f"{pointer}/store_in_vault")
        if vault.get("usage_type") not in ("MERCHANT", "PLATFORM"):
            raise bad_field("MISSING_REQUIRED_PARAMETER", f"{pointer}/usage_type")
        for name in ("return_url", "cancel_url"):
            if getattr(order, name) is None:
                context = "/payment_source/paypal/experience_context"
                raise unprocessable(f"{name.upper()}_REQUIRED", f"{context}/{name}")
        order.keep = True
    if isinstance(customer, dict):
        order.customer = _text(customer, "id", 22, "/payment_source/paypal/customer")


def change_of(order: Order, raw: object, at: int) -> tuple[Unit, str, Any]:
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
