"""Idempotency keys at both simulated providers, each by its own rules."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests
import stripe

from tests.support.simulator_process import (
    CHARGE,
    PayPalCaller,
    Simulator,
    eventually,
    issue_of,
    new_key,
    order_body,
)

HOUR = 3600.0
INTENTS = "/v1/payment_intents"
ORDERS = "/v2/checkout/orders"


def test_stripe_repeats_the_stored_answer(
    stripe_simulator: Simulator, merchant: str
) -> None:
    key = new_key()
    first, again = (
        stripe_simulator.stripe("POST", INTENTS, CHARGE, merchant=merchant, key=key)
        for _ in range(2)
    )
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert again.headers["Request-Id"] != first.headers["Request-Id"]
    assert len(stripe_simulator.movements(key=key)) == 1


def test_stripe_repeats_a_decline_without_asking_the_issuer(
    stripe_simulator: Simulator, merchant: str
) -> None:
    form = CHARGE | {"payment_method": "pm_card_chargeDeclined"}
    key = new_key()
    first, again = (
        stripe_simulator.stripe("POST", INTENTS, form, merchant=merchant, key=key)
        for _ in range(2)
    )
    assert first.status_code == again.status_code == 402
    assert first.content == again.content
    listed = stripe_simulator.stripe("GET", INTENTS, merchant=merchant).json()
    assert len(listed["data"]) == 1


def test_stripe_refuses_a_key_with_other_parameters(
    stripe_simulator: Simulator, merchant: str
) -> None:
    client = stripe_simulator.stripe_sdk(merchant)
    params: Any = {"amount": 1999, "currency": "usd"}
    other: Any = params | {"amount": 2000}
    options: Any = {"idempotency_key": new_key()}
    intent = client.v1.payment_intents.create(params, options)
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        client.v1.payment_intents.create(other, options)
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        client.v1.payment_intents.cancel(intent.id, {}, options)


def test_a_key_belongs_to_one_stripe_account(
    stripe_simulator: Simulator, merchant: str
) -> None:
    key = new_key()
    one, other = (
        stripe_simulator.stripe("POST", INTENTS, CHARGE, merchant=name, key=key)
        for name in (merchant, f"{merchant}x")
    )
    assert one.json()["id"] != other.json()["id"]
    assert len(stripe_simulator.movements(key=key)) == 2


def test_stripe_forgets_a_key_after_a_day(
    stripe_simulator: Simulator, merchant: str
) -> None:
    key = new_key()

    def send() -> str:
        answer = stripe_simulator.stripe(
            "POST", INTENTS, CHARGE, merchant=merchant, key=key
        )
        return str(answer.json()["id"])

    first = send()
    stripe_simulator.advance(23.9 * HOUR)
    assert send() == first
    stripe_simulator.advance(0.2 * HOUR)
    assert send() != first
    assert len(stripe_simulator.movements(key=key)) == 2


def test_stripe_stores_nothing_for_a_wrong_parameter_or_a_rate_limit(
    stripe_simulator: Simulator, merchant: str
) -> None:
    key = new_key()
    wrong = stripe_simulator.stripe(
        "POST", INTENTS, CHARGE | {"amount": "1"}, merchant=merchant, key=key
    )
    assert wrong.status_code == 400
    stripe_simulator.arm(do="rate_limit")
    limited = stripe_simulator.stripe(
        "POST", INTENTS, CHARGE, merchant=merchant, key=key
    )
    assert limited.status_code == 429
    right = stripe_simulator.stripe("POST", INTENTS, CHARGE, merchant=merchant, key=key)
    assert right.status_code == 200
    assert "Idempotent-Replayed" not in right.headers


def test_stripe_answers_in_use_while_the_first_request_runs(
    stripe_simulator: Simulator, merchant: str
) -> None:
    key = new_key()
    stripe_simulator.arm(do="delay", seconds=30)
    held: list[requests.Response] = []

    def send() -> requests.Response:
        return requests.post(
            stripe_simulator.url + INTENTS,
            data=CHARGE,
            headers={"Authorization": f"Bearer {merchant}", "Idempotency-Key": key},
            timeout=30,
        )

    thread = threading.Thread(target=lambda: held.append(send()))
    thread.start()
    eventually(
        lambda: stripe_simulator.get("/_health")["held_calls"], "the call is held"
    )
    refused = send()
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "idempotency_key_in_use"
    assert stripe_simulator.movements(key=key) == []
    stripe_simulator.heal()
    thread.join()
    assert held[0].status_code == 200
    assert send().headers["Idempotent-Replayed"] == "true"
    assert len(stripe_simulator.movements(key=key)) == 1


def test_paypal_answers_a_repeated_order_with_its_current_state(
    paypal: PayPalCaller,
) -> None:
    key = new_key()
    body = order_body("vault_ok")
    first = paypal.call("POST", ORDERS, body, key=key)
    capture = first.json()["purchase_units"][0]["payments"]["captures"][0]
    paypal.call("POST", f"/v2/payments/captures/{capture['id']}/refund", key=new_key())
    again = paypal.call("POST", ORDERS, body, key=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    now = again.json()["purchase_units"][0]["payments"]["captures"][0]["status"]
    assert (capture["status"], now) == ("COMPLETED", "REFUNDED")
    assert len(paypal.simulator.movements(key=key)) == 1


def test_paypal_refuses_a_request_id_with_another_body(
    paypal: PayPalCaller,
) -> None:
    key = new_key()
    assert paypal.order(key=key).status_code == 201
    other = paypal.order(key=key, value="20.00")
    assert (other.status_code, issue_of(other)) == (422, "DUPLICATE_REQUEST_ID")
    assert len(paypal.simulator.movements(key=key)) == 1


def test_paypal_keeps_order_ids_six_hours_and_payment_ids_45_days(
    paypal: PayPalCaller,
) -> None:
    order_key, refund_key = new_key(), new_key()
    order = paypal.order(key=order_key).json()
    capture = order["purchase_units"][0]["payments"]["captures"][0]["id"]
    refund_path = f"/v2/payments/captures/{capture}/refund"
    part = {"amount": {"currency_code": "USD", "value": "1.00"}}

    def refund() -> str:
        # Tokens last nine hours, so each request asks for its own.
        paypal.renew_token()
        answer = paypal.call("POST", refund_path, part, key=refund_key)
        assert answer.status_code == 201
        return str(answer.json()["id"])

    first_refund = refund()
    paypal.simulator.advance(5.9 * HOUR)
    assert paypal.order(key=order_key).json()["id"] == order["id"]
    paypal.simulator.advance(0.2 * HOUR)
    assert paypal.order(key=order_key).json()["id"] != order["id"]
    paypal.simulator.advance(44 * 24 * HOUR)
    assert refund() == first_refund
    paypal.simulator.advance(24 * HOUR)
    assert refund() != first_refund
    assert len(paypal.simulator.movements(key=refund_key)) == 2


def test_paypal_answers_in_progress_while_the_first_request_runs(
    paypal: PayPalCaller,
) -> None:
    key, held = new_key(), []
    paypal.simulator.arm(do="delay", seconds=30)
    headers = {"Authorization": f"Bearer {paypal.token}", "PayPal-Request-Id": key}

    def send() -> requests.Response:
        return requests.post(
            paypal.simulator.url + ORDERS,
            json=order_body("vault_ok"),
            headers=headers,
            timeout=30,
        )

    thread = threading.Thread(target=lambda: held.append(send()))
    thread.start()
    eventually(
        lambda: paypal.simulator.get("/_health")["held_calls"], "the call is held"
    )
    refused = send()
    assert refused.status_code == 409
    assert issue_of(refused) == "PREVIOUS_REQUEST_IN_PROGRESS"
    paypal.simulator.heal()
    thread.join()
    assert held[0].status_code == 201
    assert len(paypal.simulator.movements(key=key)) == 1


def test_a_declined_paypal_order_leaves_its_request_id_free(
    paypal: PayPalCaller,
) -> None:
    key = new_key()
    assert issue_of(paypal.order("vault_declined", key=key)) == "INSTRUMENT_DECLINED"
    assert paypal.order(key=key).status_code == 201
