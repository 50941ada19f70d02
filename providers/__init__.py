"""Adapters for Stripe and PayPal. They translate and decide nothing."""
