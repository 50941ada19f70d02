"""What all of PayPal's objects have: where they are, amounts, and links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from domain.money import Money
from providers.amounts import from_paypal

ORDERS: Final = "v2/checkout/orders"
AUTHORIZATIONS: Final = "v2/payments/authorizations"
CAPTURES: Final = "v2/payments/captures"
REFUNDS: Final = "v2/payments/refunds"
#: Characters of a link that are read; PayPal's have a hundred.
_LINK: Final = 1024


def parse_money(amount: Mapping[str, Any]) -> Money:
    """An amount that is no debit. Raises InvalidPayment where it is none."""
    return from_paypal(amount["value"], amount["currency_code"])


def parent_id(found: Mapping[str, Any], path: str) -> str | None:
    """The id of what an object belongs to, by its link, if that is one at ``path``."""
    for link in found.get("links") or ():
        where, _, last = str(link.get("href"))[:_LINK].rpartition("/")
        if link.get("rel") == "up" and where.endswith(f"/{path}"):
            return last
    return None
