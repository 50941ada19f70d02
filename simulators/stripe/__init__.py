"""Stripe's API v1, simulated: ``api`` routes, ``store`` keeps, the rest is one each."""
