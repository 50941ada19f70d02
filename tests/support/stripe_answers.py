"""Answers of Stripe, as faults of its simulator."""

from __future__ import annotations

from typing import Any, Final

from tests.support.answer_rows import QUOTED, canned_answer


def payment_intent(id: str, **fields: Any) -> dict[str, Any]:
    """Stripe's PaymentIntent of 19.99 USD, with ``fields`` changed."""
    return {
        "id": id,
        "object": "payment_intent",
        "amount": 1999,
        "amount_received": 0,
        "cancellation_reason": None,
        "currency": "usd",
        "last_payment_error": None,
        "latest_charge": None,
        "metadata": {},
        "next_action": None,
        **fields,
    }


def intent(status: str, **fields: Any) -> dict[str, Any]:
    """A fault: a PaymentIntent of 19.99 USD."""
    return canned_answer(200, payment_intent("pi_3canned", status=status, **fields))


def refund(status: str, failure_reason: str = "lost_or_stolen_card") -> dict[str, Any]:
    """A fault: a Refund of 19.99 USD."""
    shown = {
        "id": "re_3canned",
        "object": "refund",
        "amount": 1999,
        "currency": "usd",
        "status": status,
        "failure_reason": failure_reason,
    }
    return canned_answer(200, shown)


def refusal(
    status: int, type: str = "invalid_request_error", **fields: Any
) -> dict[str, Any]:
    """A fault: Stripe's error object, with a token in its message."""
    error = {"type": type, "message": f"No such thing: {QUOTED}", **fields}
    return canned_answer(status, {"error": error})


def failed(**headers: str) -> dict[str, Any]:
    """A fault: a 500 without an effect."""
    error = {"error": {"type": "api_error", "message": f"About {QUOTED}."}}
    return canned_answer(500, error, **headers)


DECLINED: Final = {
    "type": "card_error",
    "code": "card_declined",
    "decline_code": "do_not_honor",
    "message": "Your card was declined.",
}
