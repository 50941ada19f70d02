"""What is going to be sent: pure, complete, and refused where it could never work."""

from __future__ import annotations

import json
from typing import Any

import pytest

from application.ports import Provider
from domain.errors import InvalidPayment
from domain.money import Money
from domain.submission import Mode, ProviderName
from providers.paypal import PayPal
from providers.stripe import Stripe
from tests.unit.providers.charges import a_charge

#: Nobody listens on port 9; nothing here calls anybody.
NOBODY = "http://127.0.0.1:9"


def observe(call: str, status_class: str, seconds: float) -> None:
    """Nothing may be called here."""
    raise AssertionError(f"{call} was called")


STRIPE = Stripe(api_base=NOBODY, secret_key="sk_test_x", connections=1, observe=observe)
PAYPAL = PayPal(
    api_base=NOBODY,
    client_id="client",
    client_secret="secret",
    mode=Mode.TEST,
    connections=1,
    observe=observe,
)


def prepared(adapter: Provider, **fields: Any) -> Any:
    """The body, parsed."""
    return json.loads(adapter.prepare(a_charge(**fields), a_charge(**fields).first))


@pytest.mark.parametrize(
    ("adapter", "provider", "method"),
    [
        (STRIPE, ProviderName.STRIPE, "pm_card_visa"),
        (PAYPAL, ProviderName.PAYPAL, "vault_ok"),
    ],
)
def test_preparing_twice_gives_the_same_text_and_calls_nobody(
    adapter: Provider, provider: ProviderName, method: str
) -> None:
    fields: dict[str, Any] = {
        "provider": provider,
        "payment_method": method,
        "description": "Äpfel",
        "reference": "order-7",
        "return_url": "https://shop.test/back",
    }
    first = adapter.prepare(a_charge(**fields), a_charge(**fields).first)
    assert first == adapter.prepare(a_charge(**fields), a_charge(**fields).first)


def test_a_stripe_charge_is_one_confirmed_intent_without_redirects() -> None:
    assert prepared(STRIPE, payment_method="pm_card_visa") == {
        "amount": 1999,
        "currency": "usd",
        "confirm": True,
        "capture_method": "automatic",
        "payment_method": "pm_card_visa",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "metadata": {"payment": "pay_1", "operation": "op_1"},
    }


def test_a_stripe_charge_with_a_way_back_may_redirect() -> None:
    body = prepared(
        STRIPE,
        payment_method="pm_card_visa",
        return_url="https://shop.test/back",
        reference="order-7",
        description="Apples",
    )
    assert body["return_url"] == "https://shop.test/back"
    assert body["automatic_payment_methods"] == {"enabled": True}
    assert body["metadata"]["reference"] == "order-7"
    assert body["description"] == "Apples"


def test_a_paypal_charge_is_one_order_that_carries_our_id_twice() -> None:
    body = prepared(PAYPAL, provider=ProviderName.PAYPAL, payment_method="vault_ok")
    assert body == {
        "intent": "CAPTURE",
        "purchase_units": [
            {
                "custom_id": "op_1",
                "invoice_id": "op_1",
                "amount": {"currency_code": "USD", "value": "19.99"},
            }
        ],
        "payment_source": {"paypal": {"vault_id": "vault_ok"}},
    }


def test_a_paypal_order_without_a_token_says_where_the_payer_comes_back() -> None:
    url = "https://shop.test/back"
    body = prepared(PAYPAL, provider=ProviderName.PAYPAL, return_url=url)
    context = body["payment_source"]["paypal"]["experience_context"]
    assert context == {"return_url": url, "cancel_url": url, "user_action": "PAY_NOW"}


def test_a_paypal_order_without_a_token_or_a_way_back_names_no_source() -> None:
    assert "payment_source" not in prepared(PAYPAL, provider=ProviderName.PAYPAL)


def test_a_description_is_cut_to_what_paypal_takes() -> None:
    text = "x" * 500
    body = prepared(PAYPAL, provider=ProviderName.PAYPAL, description=text)
    assert body["purchase_units"][0]["description"] == "x" * 127


@pytest.mark.parametrize(
    ("adapter", "amount"),
    [
        (STRIPE, Money(19_995, "KWD")),
        (PAYPAL, Money(19_990, "KWD")),
        (PAYPAL, Money(1500, "ISK")),
        (PAYPAL, Money(5000, "UGX")),
        (PAYPAL, Money(200_050, "HUF")),
        (PAYPAL, Money(10_001, "TWD")),
    ],
)
def test_an_amount_that_a_provider_takes_in_no_form_is_refused_before_it_is_sent(
    adapter: Provider, amount: Money
) -> None:
    with pytest.raises(InvalidPayment):
        adapter.prepare(
            a_charge(amount, payment_method="any"),
            a_charge(amount, payment_method="any").first,
        )
