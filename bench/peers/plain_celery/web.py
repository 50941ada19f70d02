"""The web side: a payment becomes a task, and the answer is 202."""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, request

from bench.peers.plain_celery.tasks import charge

#: The fields that Stripe requires.
REQUIRED: Final = ("amount", "currency", "payment_method")

app = Flask(__name__)


@app.post("/payments")
def submit() -> tuple[dict[str, Any], int]:
    """Queues the payment under its Idempotency-Key; 400 if a field is missing."""
    operation_id = request.headers.get("Idempotency-Key")
    payment = request.get_json()
    if not operation_id or not all(payment.get(name) for name in REQUIRED):
        return {"error": f"Idempotency-Key and {', '.join(REQUIRED)} are needed"}, 400
    charge.delay(operation_id, payment)
    return {"id": operation_id, "status": "processing"}, 202


@app.get("/healthz")
def alive() -> dict[str, str]:
    """Answers once the web side serves."""
    return {"status": "ok"}
