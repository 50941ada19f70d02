"""Answers as PayPal writes them, given as faults of its simulator."""

from __future__ import annotations

from typing import Any, Final

from tests.integration.answers.saying import QUOTED, said

_PRICE: Final = {"currency_code": "USD", "value": "19.99"}


def resource(status: str, reason: str = "ECHECK") -> dict[str, Any]:
    """A capture, an authorization or a refund of 19.99 USD."""
    return {
        "id": "2CANNED",
        "status": status,
        "amount": _PRICE,
        "status_details": {"reason": reason},
        "expiration_time": "2030-01-01T00:00:00Z",
    }


def order(status: str, reason: str = "ECHECK", **payments: str) -> dict[str, Any]:
    """A fault: an order, with a ``captures`` or ``authorizations`` of that status."""
    found = {name: [resource(each, reason)] for name, each in payments.items()}
    link = {"rel": "approve", "href": "https://paypal.test/approve"}
    shown = {
        "id": "1ORDER",
        "status": status,
        "purchase_units": [{"reference_id": "default", "payments": found}],
        "links": [link],
    }
    return said(201, shown)


def captured(status: str, reason: str = "ECHECK") -> dict[str, Any]:
    """A fault: a completed order of which a capture came."""
    return order("COMPLETED", reason, captures=status)


def held(status: str) -> dict[str, Any]:
    """A fault: a completed order of which an authorization came."""
    return order("COMPLETED", authorizations=status)


def refusal(status: int, *issues: str, name: str = "NAMED") -> dict[str, Any]:
    """A fault: PayPal's error object, its sentences quoting a token."""
    details = [
        {"issue": issue, "description": f"It is {QUOTED} that failed."}
        for issue in issues
    ]
    return said(status, {"name": name, "message": QUOTED, "details": details})
