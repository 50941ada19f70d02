"""The web side: a payment is stored, then becomes a message."""

from __future__ import annotations

from typing import Any

from bench.peers import payment_store
from bench.peers.durable_dramatiq.tasks import charge
from bench.peers.web import create_app


def accept(operation_id: str, payment: dict[str, Any]) -> None:
    """Stores the payment and queues it."""
    payment_store.insert(operation_id, payment)
    charge.send(operation_id)


app = create_app(accept)
