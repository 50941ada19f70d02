"""The worker side: one task is one charge at Stripe."""

from __future__ import annotations

from typing import Any

from bench.peers import stripe_charge
from bench.peers.celery_app import create_app, retried_task

app = create_app("plain_celery")


@retried_task(app, stripe_charge.TRANSIENT)
def charge(operation_id: str, payment: dict[str, Any]) -> None:
    """Charges once for ``operation_id``. A decline ends the task."""
    stripe_charge.charge(operation_id, payment)
