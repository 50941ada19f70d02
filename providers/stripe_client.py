"""Stripe's own client of an account: one for all that speaks with it."""

from __future__ import annotations

from typing import Final

import stripe
from stripe import StripeClient

from providers.http import PooledSession

#: The version of Stripe's API that these translations were written for.
API_VERSION: Final = "2026-10-28.endive"


def client_of(
    *,
    api_base: str,
    secret_key: str,
    session: PooledSession,
    connected: str | None = None,
) -> StripeClient:
    """Stripe's own client, by pooled connections, with timeouts, retrying nothing."""
    # Its telemetry keeps an id in the home folder and sends it with every call.
    stripe.enable_telemetry = False
    return StripeClient(
        secret_key,
        stripe_account=connected,
        stripe_version=API_VERSION,
        base_addresses={"api": api_base.rstrip("/")},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=session.timeout, session=session),
    )
