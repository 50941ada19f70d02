"""The worker side: one task is one charge at Stripe."""

from __future__ import annotations

import logging
import os
from typing import Any, Final

import stripe
from celery import Celery

log = logging.getLogger(__name__)

#: Seconds to connect, and to read: Stripe answers within a second or two.
TIMEOUT: Final = (3.0, 10.0)
#: Errors after which the request is sent again, safely because of its key.
TRANSIENT: Final = (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError)

app = Celery("plain_celery", broker=os.environ["PEER_REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    # A killed worker must not lose its payments.
    task_acks_late=True,
    # Tasks wait for Stripe; four per thread keep the threads busy.
    worker_prefetch_multiplier=4,
    # One for each thread of the web side, so that none waits to publish.
    broker_pool_limit=64,
    broker_connection_retry_on_startup=True,
)

# The SDK keeps one connection per thread, and repeats failed connections.
client = stripe.StripeClient(
    os.environ["PEER_STRIPE_KEY"],
    base_addresses={"api": os.environ["PEER_STRIPE_API_BASE"]},
    max_network_retries=2,
    http_client=stripe.RequestsClient(timeout=TIMEOUT),
)


@app.task(  # type: ignore[untyped-decorator]  # Celery has no types
    autoretry_for=TRANSIENT, retry_backoff=True, max_retries=5
)
def charge(operation_id: str, payment: dict[str, Any]) -> None:
    """Charges once for ``operation_id``. A decline ends the task."""
    try:
        client.v1.payment_intents.create(
            params={
                "amount": payment["amount"],
                "currency": payment["currency"].lower(),
                "payment_method": payment["payment_method"],
                "confirm": True,
                "automatic_payment_methods": {
                    "enabled": True,
                    "allow_redirects": "never",
                },
                "metadata": {"reference": payment.get("reference", "")},
            },
            options={"idempotency_key": operation_id},
        )
    except stripe.CardError as declined:
        log.warning("payment %s was declined: %s", operation_id, declined.code)
