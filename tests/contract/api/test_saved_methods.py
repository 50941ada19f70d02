"""Saved methods, fees and several captures, as a web app asks for and sees them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from domain.money import Fee, Money
from domain.payments.answer import Answer, SavedMethod, Verdict
from tests.support.running_web import Client, RunningWeb, stripe_payment

PRICE: Final = Money(1999, "USD")
CUSTOMER: Final = {"id": "cus_ada"}
WALLET: Final = {"provider": "paypal", "payment_method": "vault_ada"}
PAYER: Final = {"provider": "paypal", "payment_method": None}


def test_a_saved_method_is_shown_to_its_merchant_and_nowhere_else(
    web: RunningWeb, merchant: Client
) -> None:
    asked = stripe_payment(customer=CUSTOMER, setup_future_usage="off_session")
    made = merchant.submit(asked).json()
    saved = SavedMethod("pm_savedToken", "cus_ada")
    web.work(made["id"], Answer(Verdict.SUCCEEDED, PRICE, saved_method=saved))
    path = f"/v1/payments/{made['id']}"
    shown = merchant.get(path).json()
    assert shown["saved_method"] == {"id": "pm_savedToken", "customer": "cus_ada"}
    assert "pm_savedToken" not in merchant.get(f"{path}/events").text
    again = stripe_payment(
        payment_method=shown["saved_method"]["id"],
        customer={"id": shown["saved_method"]["customer"]},
        off_session=True,
    )
    assert merchant.submit(again).status_code == 202


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"off_session": True}, "/customer/id"),
        ({"setup_future_usage": "on_session"}, "/customer/id"),
        ({"setup_future_usage": "always"}, "/setup_future_usage"),
        (
            {
                "off_session": True,
                "setup_future_usage": "on_session",
                "customer": CUSTOMER,
            },
            "/setup_future_usage",
        ),
        ({"off_session": "yes"}, "/off_session"),
        ({"customer": {"id": "two words"}}, "/customer/id"),
        ({"customer": {"id": "x" * 256}}, "/customer/id"),
        ({"customer": {"phone": "1"}}, "/customer/phone"),
        ({"multicapture": True}, "/multicapture"),
        ({**PAYER, "off_session": True}, "/payment_method"),
        ({**WALLET, "setup_future_usage": "off_session"}, "/setup_future_usage"),
        ({**PAYER, "setup_future_usage": "off_session"}, "/return_url"),
    ],
)
def test_contradictory_fields_are_refused_with_their_pointer(
    merchant: Client, fields: dict[str, Any], pointer: str
) -> None:
    answer = merchant.submit(stripe_payment(**fields))
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert merchant.get("/v1/payments").json()["data"] == []


def test_a_card_number_as_customer_is_refused(merchant: Client) -> None:
    answer = merchant.submit(stripe_payment(customer={"id": "4242424242424242"}))
    assert answer.status_code == 422
    assert answer.json()["code"] == "card_number_refused"


def test_fees_are_shown_for_each_operation_and_in_total(
    web: RunningWeb, merchant: Client
) -> None:
    made = merchant.submit(stripe_payment()).json()
    assert (made["amount_fee"], made["fee_currency"]) == (None, None)
    web.work(made["id"], Answer(Verdict.SUCCEEDED, PRICE, fee=Fee(81, "EUR")))
    shown = merchant.get(f"/v1/payments/{made['id']}").json()
    [charge] = shown["operations"]
    assert (charge["fee"], charge["fee_currency"]) == (81, "EUR")
    assert (shown["amount_fee"], shown["fee_currency"]) == (81, "EUR")


@pytest.mark.parametrize("several", [True, False])
def test_an_authorization_shows_whether_it_can_be_captured_in_parts(
    web: RunningWeb, merchant: Client, several: bool
) -> None:
    asked = stripe_payment(capture="manual", multicapture=True)
    made = merchant.submit(asked).json()
    held = Answer(
        Verdict.SUCCEEDED, PRICE, {"payment_intent": "pi_1"}, multicapture=several
    )
    web.work(made["id"], held)
    path = f"/v1/payments/{made['id']}"
    assert merchant.get(path).json()["authorization"]["multicapture"] is several


def test_an_authorization_at_paypal_can_always_be_captured_in_parts(
    web: RunningWeb, merchant: Client
) -> None:
    made = merchant.submit(stripe_payment(**WALLET, capture="manual")).json()
    web.work(made["id"], Answer(Verdict.SUCCEEDED, PRICE, {"order": "5O1"}))
    shown = merchant.get(f"/v1/payments/{made['id']}").json()
    assert shown["authorization"]["multicapture"] is True
