"""The rules in which providers differ, as far as the domain knows them.

A provider is a row of ``RULES``; the rest of the domain reads rows and names no
provider. ``docs/adding-a-provider.md`` describes the other parts of a provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Final

from domain.errors import InvalidPayment
from domain.money import CURRENCIES, Money
from domain.payments.operation import Kind


class _Registered(type):
    """Makes ``ProviderName`` iterable, as an enum is: it has the names with a row."""

    def __iter__(cls) -> Iterator[ProviderName]:
        return iter(RULES)

    def __len__(cls) -> int:
        return len(RULES)

    def __contains__(cls, name: object) -> bool:
        return name in RULES


class ProviderName(str, metaclass=_Registered):
    """The name of a provider with a row in ``RULES``; one object for each name.

    Raises ValueError where the name has no row.
    """

    __slots__ = ()

    STRIPE: ClassVar[ProviderName]
    PAYPAL: ClassVar[ProviderName]

    def __new__(cls, name: str) -> ProviderName:
        for known in RULES:
            if known == name:
                return known
        raise ValueError(f"{name!r} is not the name of a provider")

    @property
    def value(self) -> str:
        """The name as a plain string."""
        return str(self)


@dataclass(frozen=True, slots=True)
class ObjectId:
    """The form of the provider's id of an operation's object, as dashboards show it."""

    ref: str  #: the name of the object among the operation's refs
    pattern: re.Pattern[str]  #: of the whole id
    example: str  #: for an error text

    def __str__(self) -> str:
        return f"{self.ref.replace('_', ' ')}: {self.example}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRules:
    """The rules of one provider. The sources are beside the values.

    Amounts are in the provider's *units*: cents of USD, and at PayPal whole forints.
    """

    #: The name in texts.
    name: str

    #: Decimals of the units, where they are not those of ISO 4217.
    decimals: Mapping[str, int]
    #: Units of the largest payment, in most currencies.
    largest: int
    #: Units of the largest payment in the other currencies.
    largest_in: Mapping[str, int]
    #: The number of units that every amount is a multiple of, if it is not 1.
    steps: Mapping[str, int] = field(default_factory=dict)
    #: ISO 4217 codes of the currencies that the provider takes.
    currencies: Set[str] = CURRENCIES

    #: The time in which a resend with the same key is safe. It is an hour less than the
    #: provider's own window, for clocks that differ and for slow calls.
    key_windows: Mapping[Kind, timedelta]
    #: A key that ended in an error is free again: a resend may make a new object. A
    #: provider that keeps such keys answers a resend with the object of the first send.
    forgets_failed_keys: bool
    #: A lookup finds the object of a first operation by our ids. Otherwise only the
    #: provider's own id finds it, which is unknown after a lost answer.
    finds_by_our_ids: bool

    #: A payment cannot be made without a payment method.
    needs_payment_method: bool
    #: A payment method is always one that was saved before.
    methods_are_saved: bool
    #: Methods are saved for a customer of the provider, whose id is needed to save one
    #: and to pay with one.
    saves_for_customer: bool
    #: Without a payment method the payer approves the payment first. An approval moves
    #: no money: a second request of ours does, under another key.
    needs_payer_approval: bool

    #: Each hold takes several captures, and a capture leaves the rest on hold unless it
    #: is final. Otherwise a capture releases the rest, unless the answer to the
    #: authorization allowed several (``Hold.multicapture``).
    captures_in_parts: bool
    #: Captures of one hold that may leave the rest on hold; None: any number.
    max_partial_captures: int | None
    #: The name, among an operation's refs, of the object that took the money. Refunds
    #: and disputes refer to its id, and captures that share one share what is left.
    charge_ref: str
    #: The delay of a movement in the provider's list of movements; 0: at once.
    list_lag: timedelta
    #: The id of an operation's object, which an operator copies from the dashboard.
    object_ids: Mapping[Kind, ObjectId]

    def to_units(self, money: Money) -> int:
        """The units of the amount of a payment, a capture or a refund.

        Raises InvalidPayment where the provider has no such amount.
        """
        currency = money.currency
        if currency not in self.currencies:
            raise InvalidPayment(f"{self.name} takes no {currency}", field="currency")
        units, rest = _scale(money.minor, self._shift(currency))
        if rest:
            words = f"{self.name} takes {currency} only in whole units, not {money}"
            raise InvalidPayment(words, field="amount")
        step = self.steps.get(currency, 1)
        if units % step:
            words = f"{self.name} takes {currency} only in steps of {step}, not {money}"
            raise InvalidPayment(words, field="amount")
        return units

    def from_units(self, units: int, currency: str) -> Money:
        """The money of ``units``, which may exceed the largest payment.

        Raises InvalidPayment where the units are a fraction of ISO 4217's minor unit.
        """
        minor, rest = _scale(units, -self._shift(currency))
        if rest:
            raise InvalidPayment(f"a fraction of {currency}", field="amount")
        return Money(minor, currency)

    def check_payment(self, money: Money) -> None:
        """Raises InvalidPayment where the provider is certain to refuse a payment."""
        units, currency = self.to_units(money), money.currency
        largest = self.largest_in.get(currency, self.largest)
        if units > largest:
            most = Money(_scale(largest, -self._shift(currency))[0], currency)
            words = f"{money} is more than {self.name} takes: {most} at most"
            raise InvalidPayment(words, field="amount")

    def _shift(self, currency: str) -> int:
        """Decimals of its units beyond those of ISO 4217."""
        exponent = Money(0, currency).exponent
        return self.decimals.get(currency, exponent) - exponent


def _scale(amount: int, digits: int) -> tuple[int, int]:
    """``amount`` times ten to the power of ``digits``, and the remainder."""
    scale = int(10 ** abs(digits))
    return (amount * scale, 0) if digits >= 0 else divmod(amount, scale)


#: The registry: each provider's row, by its name.
RULES: Final[dict[ProviderName, ProviderRules]] = {}


def register(name: str, rules: ProviderRules) -> ProviderName:
    """Adds a provider's row. Raises ValueError where the name has one already."""
    if name in RULES:
        raise ValueError(f"{name} has a row already")
    added = str.__new__(ProviderName, name)
    RULES[added] = rules
    return added


_HOUR: Final = timedelta(hours=1)
_INTENT: Final = ObjectId("payment_intent", re.compile(r"pi_[A-Za-z0-9]{8,64}"), "pi_…")

#: Sources of the amounts: docs.stripe.com/currencies (zero-decimal, special cases,
#: maximum amounts) and the reference of PaymentIntents: eight digits, and more in a few
#: currencies. The minimum depends on the currency in which the account is paid out, and
#: some methods have none, so only Stripe checks it.
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
    # Stripe keeps three decimals, and settles two.
    steps=dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 10),
    # docs.stripe.com/api/idempotent_requests: a day, and a 500 is kept as well.
    key_windows=dict.fromkeys(Kind, timedelta(hours=24) - _HOUR),
    forgets_failed_keys=False,
    finds_by_our_ids=True,  # docs.stripe.com/api/payment_intents/list
    needs_payment_method=True,
    methods_are_saved=False,
    saves_for_customer=True,  # docs.stripe.com/payments/save-during-payment
    needs_payer_approval=False,
    # docs.stripe.com/payments/multicapture: 50 captures of some cards. The limit is
    # 50 metadata keys as well: one for each capture, some for the payment, and some for
    # tries of the final capture.
    captures_in_parts=False,
    max_partial_captures=40,
    charge_ref="charge",
    list_lag=timedelta(0),
    object_ids={
        **dict.fromkeys(Kind, _INTENT),
        Kind.REFUND: ObjectId(
            "refund", re.compile(r"(?:re|pyr)_[A-Za-z0-9]{8,64}"), "re_…"
        ),
    },
)


def _paypal_id(ref: str) -> ObjectId:
    return ObjectId(ref, re.compile(r"[A-Z0-9]{17}"), "17 capital letters and digits")


#: PayPal-Request-Id: developer.paypal.com/api/rest/reference/idempotency keeps those of
#: Orders for 6 hours, and those of Payments v2 for 45 days.
_ORDERS: Final = timedelta(hours=6) - _HOUR
_PAYMENTS: Final = timedelta(days=45) - _HOUR

#: Sources of the amounts: developer.paypal.com/api/rest/reference/currency-codes, and
#: the issue MAX_VALUE_EXCEEDED of Orders v2. PayPal publishes no limit of an account.
PAYPAL_RULES: Final = ProviderRules(
    name="PayPal",
    decimals={"HUF": 0, "JPY": 0, "TWD": 0},
    largest=99_999_999_999_999_999,
    largest_in=dict.fromkeys("HUF JPY TWD".split(), 999_999_999_999_999),
    currencies=frozenset(
        "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS JPY MXN MYR NOK NZD PHP PLN"
        " SEK SGD THB TWD USD".split()
    ),
    # A void needs no key: a second one changes nothing.
    key_windows={
        **dict.fromkeys(Kind, _PAYMENTS),
        **dict.fromkeys((Kind.CHARGE, Kind.AUTHORIZE), _ORDERS),
    },
    forgets_failed_keys=True,
    finds_by_our_ids=False,  # Orders v2 has no list
    needs_payment_method=False,
    methods_are_saved=True,  # a wallet in its vault
    saves_for_customer=False,
    needs_payer_approval=True,  # Orders v2: CREATED, PAYER_ACTION_REQUIRED, APPROVED
    captures_in_parts=True,  # Payments v2: ``final_capture`` is false by default
    max_partial_captures=None,
    charge_ref="capture",
    # developer.paypal.com/docs/api/transaction-search/v1: up to three hours.
    list_lag=timedelta(hours=3),
    object_ids={
        Kind.CHARGE: _paypal_id("capture"),
        Kind.AUTHORIZE: _paypal_id("authorization"),
        Kind.CAPTURE: _paypal_id("capture"),
        Kind.VOID: _paypal_id("authorization"),
        Kind.REFUND: _paypal_id("refund"),
    },
)

ProviderName.STRIPE = register("stripe", STRIPE_RULES)
ProviderName.PAYPAL = register("paypal", PAYPAL_RULES)

#: The provider that a payment method or a customer belongs to, where a request names
#: no provider.
TOKEN_PROVIDER: Final = ProviderName.STRIPE
