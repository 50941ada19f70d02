"""The web side of the peers with Flask: a payment is taken, and the answer is 202."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Flask, request

#: The fields that Stripe requires.
REQUIRED: Final = ("amount", "currency", "payment_method")


def create_app(accept: Callable[[str, dict[str, Any]], object]) -> Flask:
    """The application; ``accept`` keeps a payment under its Idempotency-Key."""
    app = Flask(__name__)

    @app.post("/payments")
    def submit() -> tuple[dict[str, Any], int]:
        """Accepts the payment; 400 if a field is missing."""
        operation_id = request.headers.get("Idempotency-Key")
        payment = request.get_json()
        if not operation_id or not all(payment.get(name) for name in REQUIRED):
            needed = f"Idempotency-Key and {', '.join(REQUIRED)} are needed"
            return {"error": needed}, 400
        accept(operation_id, payment)
        return {"id": operation_id, "status": "processing"}, 202

    @app.get("/healthz")
    def alive() -> dict[str, str]:
        """Answers once the web side serves."""
        return {"status": "ok"}

    return app
