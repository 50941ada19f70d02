"""Money in minor units, and how each provider wants it written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.errors import InvalidPayment

#: ISO 4217 (list one, 2024): currencies whose minor unit is not two digits.
_EXPONENTS: Final = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}
_TWO_DIGITS: Final = frozenset(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN"
    " BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD"
    " FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR JMD KES KGS KHR KYD"
    " KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN"
    " NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD SAR SBD SCR SEK SGD"
    " SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU"
    " UZS WST XCD YER ZAR ZMW".split()
)
CURRENCIES: Final = frozenset(_EXPONENTS) | _TWO_DIGITS

#: Zero-decimal in ISO 4217, yet Stripe takes them as if they had two digits
#: (docs.stripe.com/currencies, special cases).
STRIPE_TIMES_100: Final = frozenset({"ISK", "UGX"})
#: Two digits in ISO 4217, yet zero-decimal at Stripe (same page): an ariary has five
#: iraimbilanja, which nobody pays in.
STRIPE_NO_DECIMALS: Final = frozenset({"MGA"})

#: Currencies PayPal settles in (developer.paypal.com, currency codes).
PAYPAL_CURRENCIES: Final = frozenset(
    "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS JPY MXN MYR NOK NZD PHP PLN SEK"
    " SGD THB TWD USD".split()
)
#: PayPal refuses a decimal point in these, whatever ISO 4217 says.
PAYPAL_NO_DECIMALS: Final = frozenset({"HUF", "JPY", "TWD"})
#: Neither sign nor exponent, and few enough digits that Decimal (28) never rounds.
_DECIMAL: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class Money:
    """``minor`` is the smallest ISO 4217 unit: 1999 is $19.99 or 1,999 yen."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if self.currency not in CURRENCIES:
            raise InvalidPayment("not an ISO 4217 currency we know", field="currency")
        if self.minor < 0:
            raise InvalidPayment("an amount is never negative", field="amount")

    @property
    def exponent(self) -> int:
        """Digits after the point in ISO 4217."""
        return _EXPONENTS.get(self.currency, 2)

    def __str__(self) -> str:
        digits = self.exponent
        return f"{Decimal(self.minor).scaleb(-digits):.{digits}f} {self.currency}"


@dataclass(frozen=True, slots=True)
class Fee:
    """What a provider kept of a movement; below 0 where it gave a fee back."""

    minor: int  #: as in Money
    currency: str  #: ISO 4217; not always the payment's


def to_stripe(money: Money) -> int:
    """The integer Stripe wants. Raises InvalidPayment where it takes no such amount."""
    if money.currency in STRIPE_TIMES_100:
        return money.minor * 100
    if money.currency in STRIPE_NO_DECIMALS:
        if money.minor % 100:
            raise InvalidPayment(
                f"Stripe takes {money.currency} only in whole units", field="amount"
            )
        return money.minor // 100
    if money.exponent == 3 and money.minor % 10:
        raise InvalidPayment(
            f"Stripe takes {money.currency} only in steps of ten", field="amount"
        )
    return money.minor


def from_stripe(amount: int, currency: str) -> Money:
    """What Stripe's integer is in ISO 4217 units.

    Raises InvalidPayment where Stripe names a fraction that ISO 4217 does not have.
    """
    code = currency.upper()
    if code in STRIPE_NO_DECIMALS:
        return Money(amount * 100, code)
    if code not in STRIPE_TIMES_100:
        return Money(amount, code)
    if amount % 100:
        raise InvalidPayment(f"a fraction of {code}", field="amount")
    return Money(amount // 100, code)


def to_paypal(money: Money) -> str:
    """The decimal string PayPal wants. Raises InvalidPayment where it takes none."""
    if money.currency not in PAYPAL_CURRENCIES:
        raise InvalidPayment(f"PayPal takes no {money.currency}", field="currency")
    value = Decimal(money.minor).scaleb(-money.exponent)
    if money.currency not in PAYPAL_NO_DECIMALS:
        return f"{value:.{money.exponent}f}"
    if value != value.to_integral_value():
        raise InvalidPayment(
            f"PayPal takes {money.currency} only in whole units", field="amount"
        )
    return f"{value:.0f}"


def from_paypal(value: str, currency: str) -> Money:
    """What PayPal's decimal string is in minor units.

    Raises InvalidPayment where the string is no amount of that currency.
    """
    zero = Money(0, currency.upper())
    if not _DECIMAL.fullmatch(value):
        raise InvalidPayment("not a decimal amount", field="amount")
    minor = Decimal(value).scaleb(zero.exponent)
    if minor != minor.to_integral_value():
        raise InvalidPayment("a fraction of the minor unit", field="amount")
    return Money(int(minor), zero.currency)
