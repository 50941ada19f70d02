"""What Stripe keeps, by its list prices in the United States.

Source: https://stripe.com/pricing
"""

from __future__ import annotations

from typing import Final

#: Basis points of each payment.
PAYMENT: Final = 290
#: For each dispute, in minor units; it is not given back when the dispute is won.
DISPUTE: Final = {"usd": 1500, "eur": 2000, "gbp": 2000, "jpy": 1300}
OTHER_DISPUTE: Final = 1500


def processing_fee(amount: int) -> int:
    """Return the fee of a payment of ``amount`` minor units."""
    return amount * PAYMENT // 10_000


def dispute_fee(currency: str) -> int:
    """Return the fee of one dispute."""
    return DISPUTE.get(currency, OTHER_DISPUTE)
