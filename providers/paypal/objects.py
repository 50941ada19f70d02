"""Paths, amounts and links that PayPal's objects have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from domain.money import Money
from providers.amounts import from_paypal

ORDERS: Final = "v2/checkout/orders"
AUTHORIZATIONS: Final = "v2/payments/authorizations"
CAPTURES: Final = "v2/payments/captures"
REFUNDS: Final = "v2/payments/refunds"
#: Characters read of a link; PayPal's have a hundred.
_LINK: Final = 1024


def parse_money(amount: Mapping[str, Any]) -> Money:
    """Parses an amount of 0 or more. Raises InvalidPayment."""
    return from_paypal(amount["value"], amount["currency_code"])


def parent_id(found: Mapping[str, Any], path: str) -> str | None:
    """The id of an object's parent at ``path``, from its ``up`` link."""
    for link in found.get("links") or ():
        parent_path, _, last = str(link.get("href"))[:_LINK].rpartition("/")
        if link.get("rel") == "up" and parent_path.endswith(f"/{path}"):
            return last
    return None
