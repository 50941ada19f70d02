"""Answers of PayPal, as faults of its simulator."""

from __future__ import annotations

from typing import Any, Final

from tests.support.answer_rows import QUOTED, canned_answer

#: Fields of a captured and of an authorized payment in the API. Refunds and captures
#: are other operations.
PAID: Final = {"status": "captured", "amount_captured": 1999, "amount_refunded": 0}
HELD: Final = {"status": "authorized", "amount_authorized": 1999, "amount_captured": 0}
#: The payer's page, and the payment's fields that lead to it.
PAGE: Final = "https://paypal.test/page?token=1ORDER"
TO_THE_PAGE: Final = {
    "status": "requires_action",
    "provider_refs": {"order": "1ORDER"},
    "next_action": {"type": "redirect", "url": PAGE},
}
#: When the authorization of ``resource`` ends.
ENDS: Final = "2030-01-01T00:00:00Z"
_PRICE: Final = {"currency_code": "USD", "value": "19.99"}


def resource(status: str, reason: str = "ECHECK", **more: Any) -> dict[str, Any]:
    """A capture, an authorization or a refund of 19.99 USD."""
    return {
        "id": "2CANNED",
        "status": status,
        "amount": _PRICE,
        "status_details": {"reason": reason},
        "expiration_time": ENDS,
        **more,
    }


def order(status: str, rel: str = "approve", **payments: list[Any]) -> dict[str, Any]:
    """A fault: an order, with its ``captures`` or its ``authorizations``."""
    shown = {
        "id": "1ORDER",
        "status": status,
        "purchase_units": [{"reference_id": "default", "payments": payments}],
        "links": [{"rel": rel, "href": PAGE}],
    }
    return canned_answer(201, shown)


def captured(status: str, reason: str = "ECHECK") -> dict[str, Any]:
    """A fault: a completed order with a capture."""
    return order("COMPLETED", captures=[resource(status, reason)])


def held(status: str, **more: str) -> dict[str, Any]:
    """A fault: a completed order with an authorization."""
    return order("COMPLETED", authorizations=[resource(status, **more)])


def refusal(
    status: int, *issues: str, name: str = "NAMED", rel: str = "self"
) -> dict[str, Any]:
    """A fault: PayPal's error object, with a token in its messages."""
    details = [
        {"issue": issue, "description": f"It is {QUOTED} that failed."}
        for issue in issues
    ]
    shown = {"name": name, "message": QUOTED, "details": details}
    return canned_answer(status, {**shown, "links": [{"rel": rel, "href": PAGE}]})
