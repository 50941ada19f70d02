"""Answers against the shapes that the providers publish.

``PAYMENTS_SPECS`` names a folder with Stripe's example objects
(``stripe_fixtures3.json``) and PayPal's OpenAPI files; without it nothing is checked.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

# Its types are a package of their own, which only this module would need.
import jsonschema
import pytest

from tests.contract.simulators.simulator_process import (
    PayPalCaller,
    Simulator,
    new_key,
    order_body,
)

pytestmark = pytest.mark.skipif(
    "PAYMENTS_SPECS" not in os.environ,
    reason="PAYMENTS_SPECS names no folder with the providers' specifications",
)

INTENTS = "/v1/payment_intents"
#: Fields that an object of Stripe has only in some states or API versions.
CONDITIONAL = {
    # Charges hold their refunds only where they are expanded.
    "charge": {"refunds"},
    "refund": {"failure_balance_transaction", "failure_reason", "pending_reason"},
    "payment_intent": set(),
    "balance_transaction": set(),
    # Only events of connected accounts name theirs.
    "event": {"account"},
    "dispute": set(),
    "customer": set(),
    "payment_method": set(),
}


@cache
def specification(name: str) -> Any:
    """Read one of the files."""
    return json.loads((Path(os.environ["PAYMENTS_SPECS"]) / name).read_text())


def check_paypal(file: str, schema: str, shown: Any) -> None:
    """Validate an object against a component of one of PayPal's files."""
    whole = {"$ref": f"#/components/schemas/{schema}", **specification(file)}
    jsonschema.Draft202012Validator(whole).validate(shown)


def without_descriptions(error: Any) -> Any:
    """Return an error without the texts that PayPal's files fix, but may change."""
    details = [
        {name: value for name, value in detail.items() if name != "description"}
        for detail in error.get("details", [])
    ]
    return error | {"details": details}


def check_order(shown: Any, schema: str = "order") -> None:
    """Validate an order."""
    check_paypal("paypal_checkout_orders_v2.json", schema, shown)


def check_payment(shown: Any, schema: str) -> None:
    """Validate an authorization, capture, refund or error of Payments v2."""
    check_paypal("paypal_payments_payment_v2.json", schema, shown)


def check_stripe(shown: dict[str, Any]) -> None:
    """Compare fields and types with Stripe's example of the same object."""
    kind = shown["object"]
    example = specification("stripe_fixtures3.json")["resources"][kind]
    missing = set(example) - set(shown) - CONDITIONAL[kind]
    assert not missing, f"{kind} lacks {missing}"
    extra = set(shown) - set(example) - CONDITIONAL[kind]
    assert not extra, f"{kind} has {extra}, which the example has not"
    for field, value in shown.items():
        if value is not None and example.get(field) is not None:
            assert type(value) is type(example[field]), f"{kind}.{field}"


def test_stripe_objects_have_the_fields_of_stripe_s_examples(
    stripe_simulator: Simulator, merchant: str
) -> None:
    def call(method: str, path: str, form: dict[str, str] | None = None) -> Any:
        return stripe_simulator.stripe(method, path, form, merchant=merchant).json()

    form = {"amount": "1999", "currency": "usd", "confirm": "true"}
    form |= {"off_session": "true", "payment_method": "pm_card_visa"}
    paid = call("POST", INTENTS, form)
    held = call("POST", INTENTS, form | {"capture_method": "manual"})
    bank = call("POST", INTENTS, form | {"payment_method": "pm_usBankAccount"})
    secure = {
        "off_session": "false",
        "payment_method": "pm_card_authenticationRequired",
    }
    acting = call("POST", INTENTS, form | secure | {"return_url": "https://x.example"})
    for intent in (paid, held, bank, acting):
        check_stripe(intent)
    declined = {"payment_method": "pm_card_chargeDeclined"}
    error = call("POST", INTENTS, form | declined)["error"]
    check_stripe(error["payment_intent"])
    for charge in (paid["latest_charge"], held["latest_charge"], error["charge"]):
        check_stripe(call("GET", f"/v1/charges/{charge}"))
    check_stripe(call("POST", "/v1/refunds", {"payment_intent": paid["id"]}))
    call("POST", INTENTS, form | {"payment_method": "pm_card_createDispute"})
    customer = call("POST", "/v1/customers", {"email": "ada@example.com"})
    check_stripe(customer)
    attach = "/v1/payment_methods/pm_card_visa/attach"
    check_stripe(call("POST", attach, {"customer": customer["id"]}))
    for listed in ("events", "balance_transactions", "disputes"):
        page = call("GET", f"/v1/{listed}")
        assert page["data"] and page["object"] == "list"
        for each in page["data"]:
            check_stripe(each)


def test_paypal_orders_follow_paypal_s_schema(paypal: PayPalCaller) -> None:
    for vault in ("vault_ok", "vault_pending", "vault_capture_declined"):
        for intent in ("CAPTURE", "AUTHORIZE"):
            answer = paypal.order(
                vault, intent=intent, custom_id="op-1", description="Two tickets"
            )
            assert answer.status_code == 201
            check_order(answer.json())
    body = order_body(None)
    created = paypal.call("POST", "/v2/checkout/orders", body).json()
    check_order(created)
    path = f"/v2/checkout/orders/{created['id']}"
    source = {"payment_source": {"card": {"vault_id": "vault_ok"}}}
    check_order(paypal.call("POST", f"{path}/confirm-payment-source", source).json())
    check_order(paypal.call("POST", f"{path}/capture").json())
    check_order(paypal.call("GET", path).json())
    minimal = paypal.call("POST", "/v2/checkout/orders", body, minimal=True)
    check_order(minimal.json())


def test_paypal_payments_follow_paypal_s_schema(paypal: PayPalCaller) -> None:
    order = paypal.order(intent="AUTHORIZE", invoice_id=new_key()).json()
    held = order["purchase_units"][0]["payments"]["authorizations"][0]["id"]
    path = f"/v2/payments/authorizations/{held}"
    check_payment(paypal.call("GET", path).json(), "authorization-2")
    part = {"amount": {"currency_code": "USD", "value": "5.00"}}
    capture = paypal.call("POST", f"{path}/capture", part).json()
    check_payment(capture, "capture-2")
    check_payment(paypal.call("POST", f"{path}/void").json(), "authorization-2")
    path = f"/v2/payments/captures/{capture['id']}"
    refund = paypal.call("POST", f"{path}/refund", {"note_to_payer": "Sorry"}).json()
    check_payment(refund, "refund")
    check_payment(paypal.call("GET", path).json(), "capture-2")
    read = paypal.call("GET", f"/v2/payments/refunds/{refund['id']}").json()
    check_payment(read, "refund")


def test_paypal_errors_have_the_name_message_and_issue_of_paypal_s_schema(
    paypal: PayPalCaller,
) -> None:
    def both(status: int, schema: str, shown: Any, check: Any) -> None:
        check(shown, f"error_{status}")
        check(without_descriptions(shown), schema)

    declined = paypal.order("vault_declined").json()
    both(422, "422", declined, check_order)
    check_order(paypal.order(value="1.999").json(), "error_422")
    malformed = paypal.call("POST", "/v2/checkout/orders", {}).json()
    both(400, "400", malformed, check_order)
    none = paypal.call("GET", "/v2/checkout/orders/none").json()
    both(404, "404", none, check_order)
    none = paypal.call("GET", "/v2/payments/captures/none").json()
    both(404, "404", none, check_payment)
    paypal.token = "expired"
    refused = paypal.call("GET", "/v2/checkout/orders/none").json()
    check_order(refused, "error_401")


def test_every_issue_is_one_that_its_operation_documents(
    paypal: PayPalCaller,
) -> None:
    def post(path: str, body: object = None) -> Any:
        return without_descriptions(paypal.call("POST", path, body).json())

    order = paypal.order(intent="AUTHORIZE").json()
    held = order["purchase_units"][0]["payments"]["authorizations"][0]["id"]
    path = f"/v2/payments/authorizations/{held}"
    paypal.call("POST", f"{path}/void")
    check_payment(post(f"{path}/capture"), "422")
    check_payment(post(f"{path}/void"), "authorizations.void-422")
    [capture] = paypal.order().json()["purchase_units"][0]["payments"]["captures"]
    path = f"/v2/payments/captures/{capture['id']}/refund"
    too_much = {"amount": {"currency_code": "USD", "value": "20.00"}}
    check_payment(post(path, too_much), "captures.refund-422")
    paypal.call("POST", path)
    check_payment(post(path), "captures.refund-422")
    open_order = paypal.call("POST", "/v2/checkout/orders", order_body(None)).json()
    path = f"/v2/checkout/orders/{open_order['id']}/capture"
    check_order(post(path), "orders.capture-422")
