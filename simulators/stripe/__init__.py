"""Stripe's API v1, simulated: ``api`` routes, ``store`` keeps, others are one each."""
