"""The simulators' answers against the shapes that the providers publish.

Every answer and webhook of every test here is checked (``tests.contract.conftest``);
these tests make the objects and errors that no other one makes, and show that the
checks find each fault.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import published_shapes
from tests.support.published_shapes import (
    event_problems,
    paypal_problems,
    stripe_problems,
)
from tests.support.simulator_process import (
    CHARGE,
    PayPalCaller,
    Receiver,
    Simulator,
    captures_of,
    eventually,
    new_key,
    order_body,
    simulator,
)

pytestmark = pytest.mark.skipif(
    published_shapes.SPECS is None,
    reason="PAYMENTS_SPECS names no folder with the providers' specifications",
)

INTENTS = "/v1/payment_intents"


def test_every_object_of_stripe_has_the_fields_of_stripes_examples(
    stripe_simulator: Simulator, merchant: str
) -> None:
    def call(method: str, path: str, form: dict[str, str] | None = None) -> Any:
        return stripe_simulator.stripe(method, path, form, merchant=merchant).json()

    customer = call("POST", "/v1/customers", {"email": "ada@example.com"})["id"]
    paid = call("POST", INTENTS, CHARGE | {"customer": customer})
    for expanded in ("latest_charge.balance_transaction", "customer", "payment_method"):
        call("GET", f"{INTENTS}/{paid['id']}?expand[]={expanded}")
    call("POST", "/v1/refunds", {"payment_intent": paid["id"]})
    call("POST", INTENTS, CHARGE | {"payment_method": "pm_card_createDispute"})
    call("POST", INTENTS, CHARGE | {"payment_method": "pm_usBankAccount"})
    attach = "/v1/payment_methods/pm_card_visa/attach"
    call("POST", attach, {"customer": customer})
    seen = set()
    for listed in ("events", "balance_transactions", "disputes", "customers"):
        page = call("GET", f"/v1/{listed}")
        assert page["data"] and page["object"] == "list"
        seen |= {each["object"] for each in page["data"]}
    assert seen == {"event", "balance_transaction", "dispute", "customer"}
    assert published_shapes.take_problems() == []


def test_paypals_orders_and_payments_follow_its_schemas(paypal: PayPalCaller) -> None:
    for vault in ("vault_ok", "vault_pending", "vault_capture_declined"):
        for intent in ("CAPTURE", "AUTHORIZE"):
            paypal.order(vault, intent=intent, custom_id="op-1", description="Tickets")
    body = order_body(None)
    created = paypal.call("POST", "/v2/checkout/orders", body).json()
    paypal.call("POST", "/v2/checkout/orders", body, minimal=True)
    path = f"/v2/checkout/orders/{created['id']}"
    source = {"payment_source": {"card": {"vault_id": "vault_ok"}}}
    paypal.call("POST", f"{path}/confirm-payment-source", source)
    capture = paypal.call("POST", f"{path}/capture").json()
    paypal.call("GET", path)
    path = f"/v2/payments/captures/{captures_of(capture)[0]['id']}"
    paypal.call("POST", f"{path}/refund", {"note_to_payer": "Sorry"})
    paypal.call("GET", path)
    paypal.token = "expired"
    assert paypal.call("GET", path).status_code == 401
    assert published_shapes.take_problems() == []


def test_the_checks_find_a_missing_field_an_extra_field_and_another_type(
    stripe_simulator: Simulator, merchant: str
) -> None:
    intent = stripe_simulator.stripe("POST", INTENTS, CHARGE, merchant=merchant).json()
    assert list(stripe_problems(intent)) == []
    listed = {"object": "list", "data": [intent]}
    del intent["amount_received"]
    assert list(stripe_problems(listed)) == ["payment_intent lacks ['amount_received']"]
    intent["amount_received"] = "1999"
    [problem] = stripe_problems(listed)
    assert problem.startswith("payment_intent.amount_received is '1999'")
    intent |= {"amount_received": 1999, "mood": "good"}
    [problem] = stripe_problems(listed)
    assert "has ['mood']" in problem
    assert list(stripe_problems(listed, strict=False)) == []
    assert list(stripe_problems({"error": {"type": "mood"}}))


def test_the_checks_find_a_paypal_answer_unknown_to_its_operation(
    paypal: PayPalCaller,
) -> None:
    path = "/v2/checkout/orders"
    order = paypal.order().json()
    assert list(paypal_problems("POST", path, 201, order)) == []
    assert list(paypal_problems("POST", path, 201, order | {"status": "GOOD"}))
    declined = paypal.order("vault_declined").json()
    assert list(paypal_problems("POST", path, 422, declined)) == []
    declined["details"][0]["issue"] = "ORDER_NOT_APPROVED"
    assert list(paypal_problems("POST", path, 422, declined))
    [capture] = captures_of(order)
    event = {"event_type": "X", "resource_type": "capture", "resource": capture}
    assert list(event_problems(event)) == []
    capture["amount"] = 19.99
    assert list(event_problems(event))


def test_every_answer_and_webhook_of_a_test_is_checked(
    receiver: Receiver, merchant: str
) -> None:
    with simulator("stripe", "--webhook-url", receiver.url) as running:
        wrong = {"id": "pi_1", "object": "payment_intent"}
        running.arm(do="answer", status=200, body=wrong)
        running.stripe("GET", f"{INTENTS}/pi_1", merchant=merchant)
        [problem] = published_shapes.take_problems()
        assert f"{INTENTS}/pi_1: payment_intent lacks" in problem
        running.heal()
        running.stripe("POST", INTENTS, CHARGE, merchant=merchant, key=new_key())
        eventually(lambda: len(receiver.received) == 3, "the webhooks arrive")
