"""Tests of off-session charges of a saved card whose bank asks for the payer."""

from __future__ import annotations

from typing import Any

import requests
import stripe as sdk

from domain.payments.states import State, Status
from tests.support.workbench import CHARGES, Workbench

#: A card that needs authentication for every charge.
SECURE = "pm_card_authenticationRequired"


def charged_off_session(bench: Workbench, method: str, **fields: Any) -> str:
    """The id of a payment by a customer's saved method, at our own account."""
    client = sdk.StripeClient(
        bench.settings.stripe_secret_key, base_addresses={"api": bench.stripe.url}
    )
    ann = client.v1.customers.create({"email": "ann@example.com"}).id
    saved = client.v1.payment_methods.attach(method, {"customer": ann}).id
    return bench.pay(
        payment_method=saved, customer={"id": ann}, off_session=True, **fields
    )


def test_a_payer_asked_after_lost_answers_pays_once(
    bench: Workbench,
) -> None:
    payment_id = charged_off_session(
        bench, SECURE, return_url="https://shop.example/back"
    )
    bench.lose_answer("stripe")
    assert bench.step(payment_id).first_operation.state is State.UNKNOWN
    # The resend gets the decline. The next request asks the payer, and its answer is
    # lost as well.
    assert bench.step(payment_id).first_operation.approved
    intent = bench.stored(payment_id).refs["payment_intent"]
    bench.lose_answer("stripe", f"{CHARGES['stripe']}/{intent}/confirm")
    assert bench.step(payment_id).first_operation.state is State.UNKNOWN
    assert bench.work(payment_id).status is Status.REQUIRES_ACTION
    shown = bench.fetch(payment_id)
    assert shown["provider_refs"]["payment_intent"] == intent
    assert bench.list_movements(payment_id) == []
    url = shown["next_action"]["url"]
    assert requests.post(url, json={"outcome": "succeed"}, timeout=10).ok
    assert bench.step(payment_id).status is Status.CAPTURED
    assert bench.list_movements(payment_id) == [("charge", 1999)]


def test_an_off_session_payment_without_a_return_url_has_advice_and_is_voidable(
    bench: Workbench,
) -> None:
    payment_id = charged_off_session(bench, SECURE)
    assert bench.work(payment_id).status is Status.REQUIRES_ACTION
    shown = bench.fetch(payment_id)
    assert shown["next_action"] is None
    assert shown["last_error"]["code"] == "authentication_required"
    assert "return_url" in shown["operations"][0]["waiting_for"]
    assert bench.request(payment_id, "void").status_code == 202
    bench.work(payment_id)
    assert bench.fetch(payment_id)["status"] == "canceled"
    assert bench.list_movements(payment_id) == []
