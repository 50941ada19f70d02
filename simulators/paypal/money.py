"""Money at PayPal: decimal strings, with rules by currency."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from simulators.calls import Json
from simulators.paypal.errors import bad_field, unprocessable

#: Decimal places that ISO 4217 gives each currency PayPal takes.
#: Source of the list: https://developer.paypal.com/reference/currency-codes/
ISO_EXPONENT: Final = {
    "AUD": 2, "BRL": 2, "CAD": 2, "CHF": 2, "CNY": 2, "CZK": 2, "DKK": 2, "EUR": 2,
    "GBP": 2, "HKD": 2, "HUF": 2, "ILS": 2, "JPY": 0, "MXN": 2, "MYR": 2, "NOK": 2,
    "NZD": 2, "PHP": 2, "PLN": 2, "SEK": 2, "SGD": 2, "THB": 2, "TWD": 2, "USD": 2,
}  # fmt: skip
#: Currencies that PayPal takes without decimals, independent of ISO 4217.
NO_DECIMALS: Final = frozenset(("HUF", "JPY", "TWD"))
#: The form and the length of an amount, by the published schema of money.
_VALUE: Final = re.compile(r"(?=.{1,32}\Z)-?[0-9]+(?:\.([0-9]+))?\Z")
#: The largest amount, 999999999999999.99, without its decimals.
_MOST: Final = 999_999_999_999_999
#: PayPal's list price of a checkout in the United States, in basis points.
#: Source: https://www.paypal.com/us/business/paypal-business-fees
FEE_PERCENTAGE: Final = 349
#: The fixed part per payment, in PayPal's smallest unit, from the same page.
FEE_FIXED: Final = {
    "AUD": 59, "BRL": 290, "CAD": 59, "CHF": 49, "CZK": 900, "DKK": 290, "EUR": 39,
    "GBP": 39, "HKD": 379, "HUF": 149, "ILS": 160, "JPY": 49, "MXN": 900, "MYR": 200,
    "NOK": 390, "NZD": 69, "PHP": 2500, "PLN": 189, "SEK": 409, "SGD": 69, "THB": 1500,
    "TWD": 14, "USD": 49,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Money:
    """``units`` is the smallest unit PayPal takes: cents of USD, whole forints."""

    units: int
    currency: str

    @property
    def minor(self) -> int:
        """The amount in ISO 4217 minor units: 10 forints are 1,000."""
        missing = ISO_EXPONENT[self.currency] - _places(self.currency)
        return self.units * int(10**missing)

    @property
    def fee(self) -> Money:
        """PayPal's fee of a capture, rounded half up, at most the whole amount."""
        share = (self.units * FEE_PERCENTAGE + 5_000) // 10_000
        fee = share + FEE_FIXED.get(self.currency, 0)
        return Money(min(fee, self.units), self.currency)

    def less(self, other: Money) -> Money:
        """Return the difference to ``other``, in the same currency."""
        return Money(self.units - other.units, self.currency)

    def shown(self) -> Json:
        """Return ``{"currency_code": "USD", "value": "19.99"}``."""
        places = _places(self.currency)
        value = str(self.units)
        if places:
            padded = value.zfill(places + 1)
            value = f"{padded[:-places]}.{padded[-places:]}"
        return {"currency_code": self.currency, "value": value}


def _places(currency: str) -> int:
    return 0 if currency in NO_DECIMALS else 2


def read_money(raw: object, field: str) -> Money:
    """Check a money object; ``field`` is its JSON pointer.

    Raises ``Refused``: 400 for a wrong shape, 422 for an amount PayPal does not take.
    """
    if not isinstance(raw, dict):
        raise bad_field("MISSING_REQUIRED_PARAMETER", field)
    currency, value = raw.get("currency_code"), raw.get("value")
    if not isinstance(currency, str):
        raise bad_field("MISSING_REQUIRED_PARAMETER", f"{field}/currency_code")
    if not isinstance(value, str):
        raise bad_field("MISSING_REQUIRED_PARAMETER", f"{field}/value")
    if len(currency) != 3:
        raise bad_field("INVALID_STRING_LENGTH", f"{field}/currency_code", currency)
    match = _VALUE.match(value)
    if match is None:
        raise bad_field("INVALID_PARAMETER_SYNTAX", f"{field}/value", value)
    if currency not in ISO_EXPONENT:
        raise unprocessable("INVALID_CURRENCY_CODE", f"{field}/currency_code", currency)
    places, decimals = _places(currency), match[1] or ""
    if decimals and places == 0:
        raise unprocessable("DECIMALS_NOT_SUPPORTED", f"{field}/value", value)
    if len(decimals) > places:
        raise unprocessable("DECIMAL_PRECISION", f"{field}/value", value)
    whole = value.partition(".")[0]
    if int(whole) > _MOST:
        raise unprocessable("MAX_VALUE_EXCEEDED", f"{field}/value", value)
    units = int(whole + decimals.ljust(places, "0"))
    if units <= 0 or value.startswith("-"):
        raise unprocessable("CANNOT_BE_ZERO_OR_NEGATIVE", f"{field}/value", value)
    return Money(units, currency)
