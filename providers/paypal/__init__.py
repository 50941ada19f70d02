"""The adapter to PayPal."""
