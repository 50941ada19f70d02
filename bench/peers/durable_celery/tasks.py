"""The worker side: one task claims, charges and settles one payment."""

from __future__ import annotations

from pymongo.errors import ConnectionFailure

from bench.peers import payment_store, stripe_charge
from bench.peers.celery_app import create_app, retried_task

app = create_app("durable_celery")


@retried_task(app, (*stripe_charge.TRANSIENT, ConnectionFailure))
def charge(operation_id: str) -> None:
    """Carries the payment out, unless it has an outcome already."""
    payment = payment_store.claim(operation_id)
    if payment is not None:
        outcome = stripe_charge.charge(operation_id, payment)
        payment_store.settle(operation_id, outcome)
