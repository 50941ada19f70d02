"""The providers' clients, for new accounts."""

from __future__ import annotations

import uuid
from typing import Final

from domain.payments.submission import Mode
from providers.http import TIMEOUT, Observe, PooledSession, Timeout
from providers.paypal.client import PayPalApi
from providers.stripe.client import (
    PooledClient,
    PostClient,
    connection_pools,
    create_client,
)

#: Connections, for the tests' concurrent calls.
_CONNECTIONS: Final = 16


def stripe_client(
    url: str, observe: Observe, *, secret: str | None = None, timeout: Timeout = TIMEOUT
) -> PostClient:
    """Stripe's client for a base URL, by default with a new account."""
    return create_client(
        api_base=url,
        secret_key=secret or f"sk_test_{uuid.uuid4().hex}",
        transport=PooledClient(
            connection_pools(connections=_CONNECTIONS, timeout=timeout),
            observe=observe,
        ),
    )


def paypal_api(
    url: str,
    observe: Observe,
    *,
    client: str | None = None,
    secret: str = "paypal-secret",
    timeout: Timeout = TIMEOUT,
) -> PayPalApi:
    """PayPal's API at a base URL, by default with a new account."""
    return PayPalApi(
        endpoint=url,
        client_id=client or f"client-{uuid.uuid4().hex}",
        client_secret=secret,
        mode=Mode.TEST,
        session=PooledSession(
            connections=_CONNECTIONS, observe=observe, timeout=timeout
        ),
    )
