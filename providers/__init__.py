"""Adapters to Stripe and PayPal: they translate and decide nothing."""
