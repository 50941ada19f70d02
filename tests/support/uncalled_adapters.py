"""Adapters that prepare, and may call nobody."""

from __future__ import annotations

from providers.paypal.adapter import PayPal
from providers.stripe.adapter import Stripe
from tests.support.provider_clients import paypal_api, stripe_client

#: What Stripe is asked to show of a charge, so that its fee is known.
FEES = ["latest_charge.balance_transaction"]
#: Nobody listens on port 9; nothing here calls anybody.
NOBODY = "http://127.0.0.1:9"


def observe(call: str, status_class: str, seconds: float) -> None:
    """Nothing may be called here."""
    raise AssertionError(f"{call} was called")


STRIPE = Stripe(stripe_client(NOBODY, observe))
PAYPAL = PayPal(paypal_api(NOBODY, observe))
