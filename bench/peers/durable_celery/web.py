"""The web side: a payment is stored, then becomes a task."""

from __future__ import annotations

from typing import Any

from bench.peers import payment_store
from bench.peers.durable_celery.tasks import charge
from bench.peers.web import create_app


def accept(operation_id: str, payment: dict[str, Any]) -> None:
    """Stores the payment and queues it."""
    payment_store.insert(operation_id, payment)
    charge.delay(operation_id)


app = create_app(accept)
