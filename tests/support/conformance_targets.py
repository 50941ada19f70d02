"""The targets of the conformance suite: a simulator, or a provider's test environment.

The environment chooses; CONTRIBUTING.md lists its variables. Real money is never moved:
live keys and live addresses are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import stripe
from paypalserversdk.configuration import Configuration, Environment, Server
from paypalserversdk.http.auth.o_auth_2 import ClientCredentialsAuthCredentials
from paypalserversdk.paypal_serversdk_client import PaypalServersdkClient

from tests.support import published_shapes
from tests.support.simulator_process import Simulator

STRIPE_BASE: Final = "https://api.stripe.com"
PAYPAL_BASE: Final = "https://api-m.sandbox.paypal.com"
#: Hosts that move real money.
LIVE_PAYPAL: Final = ("api.paypal.com", "api-m.paypal.com")
#: Seconds for a call, because a sandbox can be slow.
TIMEOUT: Final = 60

#: Returns the simulator, or skips the test with the reason.
OnlySimulated = Callable[[str], Simulator]


@dataclass(frozen=True, slots=True)
class StripeAt:
    """Credentials of a Stripe account, and the address of the API."""

    base: str
    key: str
    #: Whether fields beyond the published examples are errors.
    strict: bool = False


@dataclass(frozen=True, slots=True)
class PayPalAt:
    """Credentials of a PayPal merchant, and the address of the API."""

    base: str
    client_id: str
    secret: str
    #: A saved wallet that pays, or None.
    vault_id: str | None
    strict: bool = False


def stripe_named(environ: Mapping[str, str]) -> StripeAt | None:
    """Return the Stripe account that the environment names, or None.

    Raises ``ValueError`` for a key that could move real money.
    """
    key = environ.get("STRIPE_TEST_SECRET_KEY")
    if not key:
        return None
    if not key.startswith(("sk_test_", "rk_test_")):
        raise ValueError("STRIPE_TEST_SECRET_KEY must be a key of test mode")
    return StripeAt(environ.get("STRIPE_TEST_API_BASE") or STRIPE_BASE, key)


def paypal_named(environ: Mapping[str, str]) -> PayPalAt | None:
    """Return the PayPal merchant that the environment names, or None.

    Raises ``ValueError`` for an address that could move real money, and for a missing
    secret.
    """
    client_id = environ.get("PAYPAL_SANDBOX_CLIENT_ID")
    if not client_id:
        return None
    base = environ.get("PAYPAL_SANDBOX_API_BASE") or PAYPAL_BASE
    if urlsplit(base).hostname in LIVE_PAYPAL:
        raise ValueError("PAYPAL_SANDBOX_API_BASE is PayPal's live address")
    secret = environ.get("PAYPAL_SANDBOX_CLIENT_SECRET")
    if not secret:
        raise ValueError("PAYPAL_SANDBOX_CLIENT_SECRET is missing")
    vault_id = environ.get("PAYPAL_SANDBOX_VAULT_ID") or None
    return PayPalAt(base, client_id, secret, vault_id)


def stripe_client(at: StripeAt) -> stripe.StripeClient:
    """Return Stripe's own SDK with checks of its answers."""
    session = published_shapes.session("stripe", strict=at.strict)
    return stripe.StripeClient(
        at.key,
        base_addresses={"api": at.base},
        http_client=stripe.RequestsClient(session=session, timeout=TIMEOUT),
        max_network_retries=0,
    )


def paypal_client(at: PayPalAt) -> Any:
    """Return PayPal's own Server SDK with checks of its answers."""
    servers = {Environment.SANDBOX: {Server.DEFAULT: at.base}}
    configuration = type("At", (Configuration,), {"environments": servers})
    return PaypalServersdkClient(
        config=configuration(
            http_client_instance=published_shapes.session("paypal", strict=at.strict),
            timeout=TIMEOUT,
            client_credentials_auth_credentials=ClientCredentialsAuthCredentials(
                o_auth_client_id=at.client_id, o_auth_client_secret=at.secret
            ),
        )
    )
