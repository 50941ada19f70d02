"""Tests of prepared requests: pure, complete, and refused if they cannot succeed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from application.ports.provider import Provider
from domain.errors import InvalidPayment
from domain.money import Money
from domain.payments.payment import Payment
from domain.payments.submission import (
    CaptureMethod,
    FutureUsage,
    ProviderName,
    Submission,
)
from tests.suites import samples
from tests.support.uncalled_adapters import FEES, PAYPAL, STRIPE


def a_charge(
    amount: Money = samples.PRICE,
    provider: ProviderName = ProviderName.STRIPE,
    **fields: Any,
) -> Payment:
    """A new payment with fixed ids."""
    asked = Submission(amount=amount, provider=provider, **fields)
    payment = samples.payment(submitted=asked)
    first = replace(payment.first_operation, id="op_1")
    return replace(payment, id="pay_1", operations=(first,))


def prepared(adapter: Provider, **fields: Any) -> Any:
    """The body, parsed."""
    payment = a_charge(**fields)
    return json.loads(adapter.prepare(payment, payment.first_operation))


def test_a_stripe_charge_is_one_confirmed_intent_without_redirects() -> None:
    assert prepared(STRIPE, payment_method="pm_card_visa") == {
        "amount": 1999,
        "currency": "usd",
        "confirm": True,
        "capture_method": "automatic",
        "payment_method": "pm_card_visa",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "metadata": {"payment": "pay_1", "operation": "op_1"},
        "expand": FEES,
    }


def test_a_stripe_charge_with_a_return_url_may_redirect() -> None:
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


def test_a_paypal_charge_is_one_order_that_names_our_payment_and_operation() -> None:
    body = prepared(PAYPAL, provider=ProviderName.PAYPAL, payment_method="vault_ok")
    assert body == {
        "intent": "CAPTURE",
        "purchase_units": [
            {
                "custom_id": "pay_1",
                "invoice_id": "op_1",
                "amount": {"currency_code": "USD", "value": "19.99"},
            }
        ],
        "payment_source": {"paypal": {"vault_id": "vault_ok"}},
    }


def test_a_paypal_order_without_a_token_has_its_return_url() -> None:
    url = "https://shop.test/back"
    body = prepared(PAYPAL, provider=ProviderName.PAYPAL, return_url=url)
    context = body["payment_source"]["paypal"]["experience_context"]
    assert context == {"return_url": url, "cancel_url": url, "user_action": "PAY_NOW"}


def test_a_paypal_order_without_a_token_or_return_url_has_no_source() -> None:
    assert "payment_source" not in prepared(PAYPAL, provider=ProviderName.PAYPAL)


def test_a_stripe_payment_names_the_customer_of_its_method() -> None:
    asked = {"payment_method": "pm_1", "customer": "cus_ann"}
    used = prepared(STRIPE, off_session=True, **asked)
    assert (used["customer"], used["off_session"]) == ("cus_ann", True)
    assert "setup_future_usage" not in used
    saves = prepared(STRIPE, setup_future_usage=FutureUsage.OFF_SESSION, **asked)
    assert (saves["customer"], saves["setup_future_usage"]) == (
        "cus_ann",
        "off_session",
    )
    assert "off_session" not in saves


def test_a_stripe_payment_that_requires_its_payer_is_confirmed_with_a_return_url() -> (
    None
):
    url = "https://shop.test/back"
    payment = a_charge(
        payment_method="pm_1", customer="cus_ann", off_session=True, return_url=url
    )
    first = replace(payment.first_operation, approved=True)
    assert json.loads(STRIPE.prepare(payment, first)) == {
        "expand": FEES,
        "payment_method": "pm_1",
        "return_url": url,
    }


@pytest.mark.parametrize("customer", [None, "payer1"])
def test_a_paypal_order_asks_to_save_the_wallet(
    customer: str | None,
) -> None:
    body = prepared(
        PAYPAL,
        provider=ProviderName.PAYPAL,
        return_url="https://shop.test/back",
        setup_future_usage=FutureUsage.ON_SESSION,
        customer=customer,
    )
    wallet = body["payment_source"]["paypal"]
    assert wallet["attributes"] == {
        "vault": {"store_in_vault": "ON_SUCCESS", "usage_type": "MERCHANT"},
        **({"customer": {"id": customer}} if customer else {}),
    }
    assert wallet["experience_context"]["return_url"] == "https://shop.test/back"


def test_a_stripe_authorization_is_captured_manually() -> None:
    asked = replace(samples.submission(), capture=CaptureMethod.MANUAL)
    payment = samples.payment(submitted=asked)
    body = json.loads(STRIPE.prepare(payment, payment.first_operation))
    assert body["capture_method"] == "manual"
    assert body["expand"] == FEES
    assert "payment_method_options" not in body


def test_a_stripe_authorization_asks_for_several_captures_on_request() -> None:
    asked = replace(
        samples.submission(), capture=CaptureMethod.MANUAL, multicapture=True
    )
    payment = samples.payment(submitted=asked)
    body = json.loads(STRIPE.prepare(payment, payment.first_operation))
    several = {"card": {"request_multicapture": "if_available"}}
    assert body["payment_method_options"] == several


def test_a_paypal_authorization_is_an_order_of_that_intent() -> None:
    asked = samples.submission(provider=ProviderName.PAYPAL, payment_method="vault_ok")
    payment = samples.payment(submitted=replace(asked, capture=CaptureMethod.MANUAL))
    body = json.loads(PAYPAL.prepare(payment, payment.first_operation))
    assert body["intent"] == "AUTHORIZE"


def test_a_description_is_truncated_to_paypals_limit() -> None:
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
def test_an_amount_without_units_at_the_provider_is_refused_before_the_send(
    adapter: Provider, amount: Money
) -> None:
    payment = a_charge(amount, payment_method="any")
    with pytest.raises(InvalidPayment):
        adapter.prepare(payment, payment.first_operation)
