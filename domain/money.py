"""Money in minor units, and how each provider wants it written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
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

#: Neither sign nor exponent, and few enough digits that Decimal (28) never rounds.
_DECIMAL: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")
#: Minor units that a provider may name at once: more than any takes in one payment, and
#: little enough that MongoDB stores the sum of ninety such amounts (2**63).
_MOST: Final = 10**17


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


@dataclass(frozen=True, slots=True)
class ProviderRules:
    """The amounts that a provider takes.

    Its *units* are what it counts in: cents of USD, and at PayPal whole forints.
    """

    name: str  #: as people write it
    decimals: Mapping[str, int]  #: of its units, where they are not those of ISO 4217
    largest: int  #: units of one payment, in most currencies
    largest_in: Mapping[str, int]  #: and in the others
    steps: Mapping[str, int] = field(default_factory=dict)  #: only multiples of these
    currencies: Set[str] = CURRENCIES

    def to_units(self, money: Money) -> int:
        """The units of any amount: a payment, a capture or a refund.

        Raises InvalidPayment where the provider has no such amount.
        """
        currency = money.currency
        if currency not in self.currencies:
            raise InvalidPayment(f"{self.name} takes no {currency}", field="currency")
        units, rest = _scaled(money.minor, self._shift(currency))
        if rest:
            words = f"{self.name} takes {currency} only in whole units, not {money}"
            raise InvalidPayment(words, field="amount")
        step = self.steps.get(currency, 1)
        if units % step:
            words = f"{self.name} takes {currency} only in steps of {step}, not {money}"
            raise InvalidPayment(words, field="amount")
        return units

    def from_units(self, units: int, currency: str) -> Money:
        """The reverse, also of what is larger than one payment.

        Raises InvalidPayment where the units are a fraction that ISO 4217 lacks.
        """
        minor, rest = _scaled(units, -self._shift(currency))
        if rest:
            raise InvalidPayment(f"a fraction of {currency}", field="amount")
        return Money(minor, currency)

    def check_payment(self, money: Money) -> None:
        """Raises InvalidPayment where the provider is certain to refuse a payment."""
        units, currency = self.to_units(money), money.currency
        largest = self.largest_in.get(currency, self.largest)
        if units > largest:
            most = Money(_scaled(largest, -self._shift(currency))[0], currency)
            words = f"{money} is more than {self.name} takes: {most} at most"
            raise InvalidPayment(words, field="amount")

    def _shift(self, currency: str) -> int:
        """Decimals of its units beyond those of ISO 4217."""
        exponent = Money(0, currency).exponent
        return self.decimals.get(currency, exponent) - exponent


def _scaled(amount: int, digits: int) -> tuple[int, int]:
    """``amount`` times ten to the power of ``digits``, and what does not divide."""
    scale = int(10 ** abs(digits))
    return (amount * scale, 0) if digits >= 0 else divmod(amount, scale)


#: The sources are docs.stripe.com/currencies (zero-decimal, special cases, maximum
#: amounts) and the reference of PaymentIntents: eight digits, and more in a few
#: currencies. The minimum is that of the currency in which the account is paid out,
#: after conversion, and some methods have none: Stripe alone can say.
STRIPE_RULES: Final = ProviderRules(
    name="Stripe",
    # ISO 4217 has no decimals of the first two, yet Stripe takes them as if they had
    # two; an ariary has five iraimbilanja, which nobody pays in.
    decimals={"ISK": 2, "UGX": 2, "MGA": 0},
    largest=99_999_999,
    largest_in={
        **dict.fromkeys("COP HUF IDR JPY LBP".split(), 999_999_999_999),
        "INR": 999_999_999,
    },
    # It keeps three decimals, and settles two.
    steps=dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 10),
)
#: Sources: developer.paypal.com/api/rest/reference/currency-codes, and the issue
#: MAX_VALUE_EXCEEDED of Orders v2. What an account may take at once is told to no one.
PAYPAL_RULES: Final = ProviderRules(
    name="PayPal",
    decimals={"HUF": 0, "JPY": 0, "TWD": 0},
    largest=99_999_999_999_999_999,
    largest_in=dict.fromkeys("HUF JPY TWD".split(), 999_999_999_999_999),
    currencies=frozenset(
        "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS JPY MXN MYR NOK NZD PHP PLN"
        " SEK SGD THB TWD USD".split()
    ),
)


def to_stripe(money: Money) -> int:
    """The integer Stripe wants. Raises InvalidPayment where it takes no such amount."""
    return STRIPE_RULES.to_units(money)


def from_stripe(amount: object, currency: object) -> Money:
    """What Stripe's integer is in ISO 4217 units.

    Raises InvalidPayment where it is no whole amount of a currency that we know, or a
    fraction that ISO 4217 does not have.
    """
    if type(amount) is not int or not isinstance(currency, str):
        raise InvalidPayment("not a whole amount", field="amount")
    money = STRIPE_RULES.from_units(amount, currency.upper())
    return _bounded(money.minor, money.currency)


def to_paypal(money: Money) -> str:
    """The decimal string PayPal wants. Raises InvalidPayment where it takes none."""
    units = PAYPAL_RULES.to_units(money)
    digits = PAYPAL_RULES.decimals.get(money.currency, money.exponent)
    return f"{Decimal(units).scaleb(-digits):.{digits}f}"


def from_paypal(value: object, currency: object) -> Money:
    """What PayPal's decimal string is in minor units.

    Raises InvalidPayment where the string is no amount of that currency.
    """
    if not isinstance(value, str) or not isinstance(currency, str):
        raise InvalidPayment("not a decimal amount", field="amount")
    zero = Money(0, currency.upper())
    if not _DECIMAL.fullmatch(value):
        raise InvalidPayment("not a decimal amount", field="amount")
    minor = Decimal(value).scaleb(zero.exponent)
    if minor != minor.to_integral_value():
        raise InvalidPayment("a fraction of the minor unit", field="amount")
    return _bounded(int(minor), zero.currency)


def _bounded(minor: int, currency: str) -> Money:
    """An amount that a provider named; ``Money`` checks the rest."""
    if minor > _MOST:
        raise InvalidPayment("more than any payment", field="amount")
    return Money(minor, currency)
