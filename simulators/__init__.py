"""HTTP servers that behave like Stripe and PayPal, for demos and tests.

Run one with ``python -m simulators stripe`` or ``python -m simulators paypal``.
They keep their state in memory, count every movement of money in a ledger, and
misbehave on demand. They import nothing of the product.
"""
