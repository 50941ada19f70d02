"""Stripe's API v1, simulated: ``api`` has the routes and ``store`` the objects."""
