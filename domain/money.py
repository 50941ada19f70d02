"""Money in minor units."""

from __future__ import annotations

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
    """The provider's fee for a movement; negative where it gave a fee back."""

    minor: int  #: as in Money
    currency: str  #: ISO 4217; not always the payment's
