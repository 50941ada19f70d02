"""Adapters that prepare requests and must make no call."""

from __future__ import annotations

from providers.paypal.adapter import PayPal
from providers.stripe.adapter import Stripe
from tests.support.provider_clients import paypal_api, stripe_client

#: The expansion that shows a charge's fee.
FEES = ["latest_charge.balance_transaction"]
#: No server listens on port 9.
NOBODY = "http://127.0.0.1:9"


def observe(call: str, status_class: str, seconds: float) -> None:
    """Fails: no call is expected."""
    raise AssertionError(f"{call} was called")


STRIPE = Stripe(stripe_client(NOBODY, observe))
PAYPAL = PayPal(paypal_api(NOBODY, observe))
