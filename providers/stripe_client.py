"""Stripe's own client of an account: one for all that speaks with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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


class Found:
    """An object of Stripe's, whose fields are read as those of the SDK's own are.

    The SDK makes objects of all that an answer holds, read or not: of an intent with
    its charge and its line of the balance that costs as much as the call itself.
    """

    __slots__ = ("_fields", "last_response")

    def __init__(self, fields: Mapping[str, Any], last_response: Any = None) -> None:
        self._fields = fields
        self.last_response = last_response

    def __getattr__(self, name: str) -> Any:
        """Raises AttributeError where Stripe did not say it."""
        try:
            value = self._fields[name]
        except KeyError:
            raise AttributeError(name) from None
        return Found(value) if isinstance(value, dict) else value

    def to_dict(self) -> Mapping[str, Any]:
        """The fields, as Stripe wrote them."""
        return self._fields


def post(
    client: StripeClient, path: str, params: Mapping[str, Any], *, key: str
) -> Any:
    """What a call under an idempotency key found: see Found. Raises StripeError."""
    untyped: Any = client  # the SDK types its services, and not this
    answer = untyped.raw_request("post", path, **params, idempotency_key=key)
    return Found(answer.data, answer)
