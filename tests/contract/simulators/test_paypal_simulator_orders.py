"""The simulated PayPal's orders: vault tokens, approval, money, invoices."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.support.simulator_process import (
    PATIENCE,
    PayPalCaller,
    captures_of,
    issue_of,
    new_key,
    order_body,
)

HOUR = 3600.0
DAY = 24 * HOUR
PAYMENTS = "/v2/payments"


@pytest.mark.parametrize(
    ("vault", "issue"),
    [
        ("vault_declined", "INSTRUMENT_DECLINED"),
        ("vault_payer_cannot_pay", "PAYER_CANNOT_PAY"),
        ("vault_refused", "TRANSACTION_REFUSED"),
        ("vault_payee_restricted", "PAYEE_ACCOUNT_RESTRICTED"),
        ("vault_compliance", "COMPLIANCE_VIOLATION"),
        ("vault_missing_1", "TOKEN_ID_NOT_FOUND"),
        ("nonsense", "TOKEN_ID_NOT_FOUND"),
    ],
)
def test_a_vault_token_chooses_the_refusal_and_nothing_moves(
    paypal: PayPalCaller, vault: str, issue: str
) -> None:
    key = new_key()
    answer = paypal.order(vault, key=key)
    assert (answer.status_code, issue_of(answer)) == (422, issue)
    assert answer.headers["PayPal-Debug-Id"] == answer.json()["debug_id"]
    assert paypal.simulator.movements(key=key) == []


def test_a_declined_capture_comes_with_a_completed_order(paypal: PayPalCaller) -> None:
    key = new_key()
    answer = paypal.order("vault_capture_declined", key=key)
    assert (answer.status_code, answer.json()["status"]) == (201, "COMPLETED")
    [capture] = captures_of(answer.json())
    assert capture["status"] == "DECLINED"
    assert paypal.simulator.movements(key=key) == []
    refund = paypal.call("POST", f"{PAYMENTS}/captures/{capture['id']}/refund")
    assert issue_of(refund) == "REFUND_NOT_ALLOWED"


def test_a_pending_capture_completes_when_its_review_ends(paypal: PayPalCaller) -> None:
    key = new_key()
    [capture] = captures_of(paypal.order("vault_pending", key=key).json())
    path = f"{PAYMENTS}/captures/{capture['id']}"
    assert capture["status"] == "PENDING"
    assert capture["status_details"] == {"reason": "PENDING_REVIEW"}
    assert issue_of(paypal.call("POST", f"{path}/refund")) == "PENDING_CAPTURE"
    assert paypal.simulator.movements(key=key) == []
    paypal.simulator.advance(DAY)
    paypal.renew_token()
    assert paypal.call("GET", path).json()["status"] == "COMPLETED"
    assert len(paypal.simulator.movements(key=key)) == 1


def test_a_payer_approves_on_the_page_and_the_order_can_be_captured(
    paypal: PayPalCaller,
) -> None:
    body = order_body(None)
    body["payment_source"] = {
        "paypal": {
            "experience_context": {
                "return_url": "https://shop.example/done?x=1",
                "cancel_url": "https://shop.example/cancel",
            }
        }
    }
    order = paypal.call("POST", "/v2/checkout/orders", body, key=new_key()).json()
    assert order["status"] == "PAYER_ACTION_REQUIRED"
    capture_path = f"/v2/checkout/orders/{order['id']}/capture"
    early = paypal.call("POST", capture_path, key=new_key())
    assert issue_of(early) == "ORDER_NOT_APPROVED"
    [href] = [each["href"] for each in order["links"] if each["rel"] == "payer-action"]
    assert "Pay 19.99 USD" in requests.get(href, timeout=PATIENCE).text
    canceled = _decide(href, "cancel")
    assert canceled.headers["Location"].startswith("https://shop.example/cancel?token=")
    approved = _decide(href, "approve")
    assert approved.headers["Location"] == (
        f"https://shop.example/done?x=1&token={order['id']}&PayerID=QYR5Z8XDVJNXQ"
    )
    read = paypal.call("GET", f"/v2/checkout/orders/{order['id']}").json()
    assert read["status"] == "APPROVED"
    key = new_key()
    captured = paypal.call("POST", capture_path, key=key)
    assert (captured.status_code, captured.json()["status"]) == (201, "COMPLETED")
    assert len(paypal.simulator.movements(key=key)) == 1
    again = paypal.call("POST", capture_path, key=new_key())
    assert issue_of(again) == "ORDER_ALREADY_CAPTURED"


def _decide(href: str, outcome: str) -> requests.Response:
    return requests.post(
        href, data={"outcome": outcome}, allow_redirects=False, timeout=PATIENCE
    )


def test_an_approved_order_can_still_be_declined_and_approved_again(
    paypal: PayPalCaller,
) -> None:
    order = paypal.call("POST", "/v2/checkout/orders", order_body(None)).json()
    assert order["status"] == "CREATED"
    [href] = [each["href"] for each in order["links"] if each["rel"] == "approve"]
    path = f"/v2/checkout/orders/{order['id']}/capture"
    assert "close this page" in _decide(href, "approve_declined").text
    assert issue_of(paypal.call("POST", path)) == "INSTRUMENT_DECLINED"
    _decide(href, "approve")
    assert paypal.call("POST", path).json()["status"] == "COMPLETED"


def test_a_required_payer_action_has_a_link_to_the_order(
    paypal: PayPalCaller,
) -> None:
    answer = paypal.order("vault_payer_action")
    assert issue_of(answer) == "PAYER_ACTION_REQUIRED"
    [href] = [
        each["href"] for each in answer.json()["links"] if each["rel"] == "payer-action"
    ]
    _decide(href, "approve")
    order = href.partition("token=")[2]
    captured = paypal.call("POST", f"/v2/checkout/orders/{order}/capture")
    assert captured.json()["status"] == "COMPLETED"


def test_an_order_expires_three_hours_after_it_was_made_or_approved(
    paypal: PayPalCaller,
) -> None:
    order = paypal.call("POST", "/v2/checkout/orders", order_body(None)).json()
    href = f"{paypal.simulator.url}/checkoutnow?token={order['id']}"
    paypal.simulator.advance(2 * HOUR)
    _decide(href, "approve")
    paypal.simulator.advance(3 * HOUR + 1)
    late = paypal.call("POST", f"/v2/checkout/orders/{order['id']}/capture")
    assert issue_of(late) == "ORDER_EXPIRED"
    assert requests.get(href, timeout=PATIENCE).status_code == 404


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        ("19.99", "USD", 1999),
        ("19.9", "EUR", 1990),
        ("19", "GBP", 1900),
        ("0.01", "USD", 1),
        ("1999", "JPY", 1999),
        ("1999", "HUF", 199900),
        ("1999", "TWD", 199900),
    ],
)
def test_the_ledger_counts_in_iso_4217_minor_units(
    paypal: PayPalCaller, value: str, currency: str, minor: int
) -> None:
    key = new_key()
    order = paypal.order(value=value, currency=currency, key=key).json()
    [row] = paypal.simulator.movements(key=key)
    assert (row["amount"], row["currency"]) == (minor, currency)
    breakdown = captures_of(order)[0]["seller_receivable_breakdown"]
    fee, net, gross = (
        float(breakdown[name]["value"])
        for name in ("paypal_fee", "net_amount", "gross_amount")
    )
    assert net == pytest.approx(gross - fee)


@pytest.mark.parametrize(
    ("value", "currency", "status", "issue"),
    [
        ("19.999", "USD", 422, "DECIMAL_PRECISION"),
        ("19.00", "JPY", 422, "DECIMALS_NOT_SUPPORTED"),
        ("19.5", "HUF", 422, "DECIMALS_NOT_SUPPORTED"),
        ("19.99", "TWD", 422, "DECIMALS_NOT_SUPPORTED"),
        ("19.99", "KWD", 422, "INVALID_CURRENCY_CODE"),
        ("0.00", "USD", 422, "CANNOT_BE_ZERO_OR_NEGATIVE"),
        ("-1.00", "USD", 422, "CANNOT_BE_ZERO_OR_NEGATIVE"),
        ("1,000.00", "USD", 400, "INVALID_PARAMETER_SYNTAX"),
        (19.99, "USD", 400, "MISSING_REQUIRED_PARAMETER"),
        ("19.99", "dollars", 400, "INVALID_STRING_LENGTH"),
    ],
)
def test_an_amount_that_paypal_does_not_accept_is_refused(
    paypal: PayPalCaller, value: Any, currency: str, status: int, issue: str
) -> None:
    answer = paypal.order(value=value, currency=currency)
    assert (answer.status_code, issue_of(answer)) == (status, issue)


@pytest.mark.parametrize(
    ("body", "issue"),
    [
        ({}, "MISSING_REQUIRED_PARAMETER"),
        ({"intent": "STEAL", "purchase_units": []}, "INVALID_PARAMETER_VALUE"),
        ({"intent": "CAPTURE", "purchase_units": []}, "INVALID_ARRAY_MIN_ITEMS"),
        ({"intent": "CAPTURE", "purchase_units": [{}]}, "MISSING_REQUIRED_PARAMETER"),
        (order_body(None, custom_id="x" * 128), "INVALID_STRING_LENGTH"),
    ],
)
def test_a_malformed_order_is_a_400(
    paypal: PayPalCaller, body: Any, issue: str
) -> None:
    answer = paypal.call("POST", "/v2/checkout/orders", body, key=new_key())
    assert (answer.status_code, issue_of(answer)) == (400, issue)


def test_a_payment_source_needs_a_request_id(paypal: PayPalCaller) -> None:
    answer = paypal.call("POST", "/v2/checkout/orders", order_body("vault_ok"))
    assert (answer.status_code, issue_of(answer)) == (400, "PAYPAL_REQUEST_ID_REQUIRED")


def test_an_invoice_is_paid_once(paypal: PayPalCaller) -> None:
    invoice = new_key()
    assert paypal.order("vault_declined", invoice_id=invoice).status_code == 422
    assert paypal.order(invoice_id=invoice).status_code == 201
    assert issue_of(paypal.order(invoice_id=invoice)) == "DUPLICATE_INVOICE_ID"
    stranger = PayPalCaller(paypal.simulator)
    assert stranger.order(invoice_id=invoice).status_code == 201


def test_an_order_can_be_patched_until_it_is_completed(paypal: PayPalCaller) -> None:
    order = paypal.call("POST", "/v2/checkout/orders", order_body(None)).json()
    path = f"/v2/checkout/orders/{order['id']}"
    unit = "/purchase_units/@reference_id=='default'"
    amount = {"currency_code": "USD", "value": "25.00"}
    patch = [
        {"op": "replace", "path": f"{unit}/amount", "value": amount},
        {"op": "add", "path": f"{unit}/custom_id", "value": "op-9"},
    ]
    assert paypal.call("PATCH", path, patch).status_code == 204
    read = paypal.call("GET", path).json()["purchase_units"][0]
    assert (read["amount"]["value"], read["custom_id"]) == ("25.00", "op-9")
    wrong = [{"op": "replace", "path": "/status", "value": "COMPLETED"}]
    assert issue_of(paypal.call("PATCH", path, wrong)) == "NOT_PATCHABLE"
    source = {"payment_source": {"paypal": {"vault_id": "vault_ok"}}}
    confirmed = paypal.call("POST", f"{path}/confirm-payment-source", source)
    assert confirmed.json()["status"] == "APPROVED"
    paypal.call("POST", f"{path}/capture", key=new_key())
    assert issue_of(paypal.call("PATCH", path, patch)) == "ORDER_ALREADY_COMPLETED"


def test_the_minimal_answer_has_only_id_status_and_links(paypal: PayPalCaller) -> None:
    body = order_body(None)
    order = paypal.call("POST", "/v2/checkout/orders", body, minimal=True).json()
    assert set(order) == {"id", "status", "links"}
    [capture] = captures_of(paypal.order().json())
    path = f"{PAYMENTS}/captures/{capture['id']}/refund"
    refund = paypal.call("POST", path, minimal=True).json()
    assert set(refund) == {"id", "status", "links"}
