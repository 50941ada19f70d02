"""A charge by Stripe's SDK, for the peers that use it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, Final

import stripe

log = logging.getLogger(__name__)

#: Seconds to connect, and to read: Stripe answers within a second or two.
TIMEOUT: Final = (3.0, 10.0)
#: Errors after which the request is sent again, safely because of its key.
TRANSIENT: Final = (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError)

stripe.enable_telemetry = False
# The SDK keeps one connection per thread, and repeats failed connections.
client = stripe.StripeClient(
    os.environ["PEER_STRIPE_KEY"],
    base_addresses={"api": os.environ["PEER_STRIPE_API_BASE"]},
    max_network_retries=2,
    http_client=stripe.RequestsClient(timeout=TIMEOUT),
)


def charge(operation_id: str, payment: Mapping[str, Any]) -> dict[str, str]:
    """Charges once for ``operation_id``; returns the fields of the outcome.

    Raises one of TRANSIENT if the request may be sent again.
    """
    try:
        intent = client.v1.payment_intents.create(
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
        return {"status": "declined", "code": str(declined.code)}
    return {"status": "captured", "intent": intent.id}
