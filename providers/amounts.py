"""Converts amounts between ISO 4217's minor units and the providers' notations."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from domain.errors import InvalidPayment
from domain.money import Money
from domain.provider_rules import PAYPAL_RULES, STRIPE_RULES

#: No sign and no exponent; few enough digits that Decimal (28) never rounds.
_DECIMAL: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")
#: Highest amount accepted from a provider, in minor units. It is above every provider's
#: limit for one payment, and MongoDB can store the sum of ninety such amounts (2**63).
_MAX_MINOR: Final = 10**17


def to_stripe(money: Money) -> int:
    """Returns Stripe's integer. Raises InvalidPayment if Stripe refuses the amount."""
    return STRIPE_RULES.to_units(money)


def from_stripe(amount: object, currency: object) -> Money:
    """Converts Stripe's integer to ISO 4217 units.

    Raises InvalidPayment if it is not a whole amount of a known currency, or has a
    fraction that ISO 4217 does not have.
    """
    if type(amount) is not int or not isinstance(currency, str):
        raise InvalidPayment("not a whole amount", field="amount")
    money = STRIPE_RULES.from_units(amount, currency.upper())
    return _check_bound(money.minor, money.currency)


def to_paypal(money: Money) -> str:
    """Returns PayPal's decimal string. Raises InvalidPayment if PayPal refuses it."""
    units = PAYPAL_RULES.to_units(money)
    digits = PAYPAL_RULES.decimals.get(money.currency, money.exponent)
    return f"{Decimal(units).scaleb(-digits):.{digits}f}"


def from_paypal(value: object, currency: object) -> Money:
    """Converts PayPal's decimal string to minor units.

    Raises InvalidPayment if the string is not an amount of that currency.
    """
    if not isinstance(value, str) or not isinstance(currency, str):
        raise InvalidPayment("not a decimal amount", field="amount")
    zero = Money(0, currency.upper())
    if not _DECIMAL.fullmatch(value):
        raise InvalidPayment("not a decimal amount", field="amount")
    minor = Decimal(value).scaleb(zero.exponent)
    if minor != minor.to_integral_value():
        raise InvalidPayment("a fraction of the minor unit", field="amount")
    return _check_bound(int(minor), zero.currency)


def _check_bound(minor: int, currency: str) -> Money:
    """Checks a provider's amount against the bound; ``Money`` checks the rest."""
    if minor > _MAX_MINOR:
        raise InvalidPayment("more than any payment", field="amount")
    return Money(minor, currency)
