"""Stripe's fee: a percentage and a fixed part. A refund returns none of it.

The percentage is that of cards in the United States, the fixed part that of the country
of the currency. Source: https://stripe.com/pricing
"""

from __future__ import annotations

from typing import Final

from simulators.stripe.cards import WHOLE_UNITS

#: Of each payment, in basis points.
PERCENTAGE: Final = 290
#: The fixed part per payment, in minor units; other currencies have none here.
FIXED: Final = {
    "usd": 30, "aud": 30, "brl": 39, "cad": 30, "chf": 30, "czk": 650, "dkk": 180,
    "eur": 25, "gbp": 20, "hkd": 235, "huf": 8500, "mxn": 300, "nok": 200, "nzd": 30,
    "pln": 100, "ron": 100, "sek": 180, "sgd": 50,
}  # fmt: skip
#: The fee per dispute, in minor units; a won dispute does not return it.
DISPUTE: Final = {"usd": 1500, "eur": 2000, "gbp": 2000, "jpy": 1300}
OTHER_DISPUTE: Final = 1500


def processing_fee(amount: int, currency: str) -> int:
    """Return the fee of a payment of ``amount`` minor units, rounded half up."""
    unit = 100 if currency in WHOLE_UNITS else 1
    half = 5_000 * unit
    return (amount * PERCENTAGE + half) // (2 * half) * unit + FIXED.get(currency, 0)


def dispute_fee(currency: str) -> int:
    """Return the fee of one dispute."""
    return DISPUTE.get(currency, OTHER_DISPUTE)
