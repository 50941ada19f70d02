"""Money is exact, in ISO 4217 units, in every provider's notation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidPayment
from domain.money import CURRENCIES, Money
from domain.provider_rules import PAYPAL_RULES, STRIPE_RULES, ProviderRules
from providers.amounts import from_paypal, from_stripe, to_paypal, to_stripe

#: Above any provider's largest amount (Stripe: eight digits in most currencies).
minors = st.integers(min_value=0, max_value=10**15)
currencies = st.sampled_from(sorted(CURRENCIES))
paypal_currencies = st.sampled_from(sorted(PAYPAL_RULES.currencies))


@given(minors, currencies)
def test_stripe_units_convert_back_to_the_same_amount(
    minor: int, currency: str
) -> None:
    money = Money(minor, currency)
    try:
        amount = to_stripe(money)
    except InvalidPayment as error:
        assert error.field == "amount"
        assert minor % {"MGA": 100}.get(currency, 10)
        assert money.exponent == 3 or currency == "MGA"
    else:
        assert from_stripe(amount, currency.lower()) == money


@given(minors, paypal_currencies)
def test_paypal_units_convert_back_to_the_same_amount(
    minor: int, currency: str
) -> None:
    money = Money(minor, currency)
    try:
        value = to_paypal(money)
    except InvalidPayment as error:
        assert error.field == "amount"
        assert currency == "HUF" or currency == "TWD"
        assert minor % 100
    else:
        assert from_paypal(value, currency.lower()) == money
        assert ("." in value) == (currency not in PAYPAL_RULES.decimals)


@given(minors, currencies)
def test_an_amount_is_printed_as_a_decimal(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    digits, code = str(money).split(" ")
    assert code == currency
    assert int(digits.replace(".", "")) == minor
    assert len(digits.partition(".")[2]) == money.exponent


@pytest.mark.parametrize(
    ("money", "words"),
    [
        (Money(1999, "USD"), "19.99 USD"),
        (Money(5, "USD"), "0.05 USD"),
        (Money(1999, "JPY"), "1999 JPY"),
        (Money(1999, "KWD"), "1.999 KWD"),
    ],
)
def test_a_currency_has_its_own_number_of_digits(money: Money, words: str) -> None:
    assert str(money) == words


@pytest.mark.parametrize(
    ("money", "amount"),
    [
        (Money(1999, "USD"), 1999),
        (Money(500, "JPY"), 500),
        (Money(500, "ISK"), 50000),
        (Money(500, "UGX"), 50000),
        (Money(50000, "MGA"), 500),
        (Money(1990, "KWD"), 1990),
    ],
)
def test_stripe_has_its_own_zero_decimal_currencies(money: Money, amount: int) -> None:
    assert to_stripe(money) == amount
    assert from_stripe(amount, money.currency) == money


def test_stripe_accepts_no_fraction_of_a_currency_without_decimals() -> None:
    with pytest.raises(InvalidPayment, match="MGA"):
        to_stripe(Money(1999, "MGA"))


@pytest.mark.parametrize("currency", ["ISK", "UGX"])
def test_a_fraction_that_iso_4217_does_not_have_is_refused(currency: str) -> None:
    with pytest.raises(InvalidPayment, match=currency):
        from_stripe(150, currency)


@pytest.mark.parametrize(
    ("money", "value"),
    [
        (Money(1999, "USD"), "19.99"),
        (Money(5, "EUR"), "0.05"),
        (Money(500, "JPY"), "500"),
        (Money(50000, "HUF"), "500"),
        (Money(50000, "TWD"), "500"),
    ],
)
def test_paypal_has_its_own_currencies_without_decimals(
    money: Money, value: str
) -> None:
    assert to_paypal(money) == value


def test_paypal_accepts_only_its_own_currencies() -> None:
    with pytest.raises(InvalidPayment) as caught:
        to_paypal(Money(1000, "KWD"))
    assert caught.value.field == "currency"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-1.00",
        "+1.00",
        "1.001",
        "1,00",
        "1e2",
        "1E99999999",
        "NaN",
        "Infinity",
        " 1.00",
        "1_0.00",
        "٥.00",
        "1.",
        "10.000000000000000000000000000001",
    ],
)
def test_a_malformed_decimal_amount_is_refused(value: str) -> None:
    with pytest.raises(InvalidPayment) as caught:
        from_paypal(value, "USD")
    assert caught.value.field == "amount"


@given(st.text(max_size=40), paypal_currencies)
def test_a_parsed_text_equals_its_amount(text: str, currency: str) -> None:
    try:
        money = from_paypal(text, currency)
    except InvalidPayment:
        return
    assert set(text) <= set("0123456789.")
    assert float(str(money).split(" ")[0]) == float(text)


@pytest.mark.parametrize("currency", ["XTS", "usd", "", "US"])
def test_an_unknown_currency_is_refused(currency: str) -> None:
    with pytest.raises(InvalidPayment) as caught:
        Money(1, currency)
    assert caught.value.field == "currency"


def test_an_amount_is_never_negative() -> None:
    with pytest.raises(InvalidPayment) as caught:
        Money(-1, "USD")
    assert caught.value.field == "amount"


@pytest.mark.parametrize("rules", [STRIPE_RULES, PAYPAL_RULES])
def test_each_providers_currencies_are_currencies(rules: ProviderRules) -> None:
    named = {*rules.decimals, *rules.steps, *rules.largest_in, *rules.currencies}
    assert named <= CURRENCIES


@pytest.mark.parametrize(
    ("rules", "most"),
    [
        (STRIPE_RULES, Money(99_999_999, "USD")),
        (STRIPE_RULES, Money(99_999_990, "KWD")),
        (STRIPE_RULES, Money(999_999, "UGX")),
        (STRIPE_RULES, Money(9_999_999_900, "MGA")),
        (STRIPE_RULES, Money(999_999_999, "INR")),
        (STRIPE_RULES, Money(999_999_999_999, "IDR")),
        (STRIPE_RULES, Money(999_999_999_999, "JPY")),
        (PAYPAL_RULES, Money(10**17 - 1, "USD")),
        (PAYPAL_RULES, Money(10**15 - 1, "JPY")),
        (PAYPAL_RULES, Money(10**17 - 100, "HUF")),
    ],
)
def test_a_payment_over_the_largest_of_its_provider_and_currency_is_refused(
    rules: ProviderRules, most: Money
) -> None:
    rules.check_payment(most)
    steps = {"KWD": 10, "MGA": 100, "HUF": 100}
    over = Money(most.minor + steps.get(most.currency, 1), most.currency)
    with pytest.raises(InvalidPayment) as caught:
        rules.check_payment(over)
    assert str(over) in str(caught.value)
    assert caught.value.field == "amount"


def test_the_text_of_a_refused_amount_names_the_limit() -> None:
    with pytest.raises(InvalidPayment) as caught:
        STRIPE_RULES.check_payment(Money(1_000_000, "UGX"))
    assert str(caught.value) == (
        "1000000 UGX is more than Stripe takes: 999999 UGX at most"
    )


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        *((19.99, "usd"), (1999.0, "usd"), ("1999", "usd"), (None, "usd")),
        *((True, "usd"), ([], "usd"), (-1, "usd")),
        *((10**30, "usd"), (10**18, "usd"), (10**16, "mga"), (10**20, "isk")),
        *((1999, "xxx"), (1999, None), (1999, 5), (1999, "\ud800"), (1999, [])),
    ],
)
def test_a_malformed_amount_of_stripe_is_refused(
    amount: object, currency: object
) -> None:
    with pytest.raises(InvalidPayment):
        from_stripe(amount, currency)


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        *((19.99, "USD"), (1999, "USD"), (None, "USD"), ([], "USD")),
        *(("1" * 18, "USD"), ("-1.00", "USD")),
        *(("1.00", None), ("1.00", 5), ("1.00", "XXX"), ("1.00", "\ud800")),
    ],
)
def test_a_malformed_amount_of_paypal_is_refused(
    value: object, currency: object
) -> None:
    with pytest.raises(InvalidPayment):
        from_paypal(value, currency)
