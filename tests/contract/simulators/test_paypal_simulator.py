"""The simulated PayPal, spoken to by PayPal's own SDK and by raw HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import paypalrestsdk
import pytest
import requests

# The package ships no types: each of these lines hides one missing stub.
from paypalserversdk.configuration import (  # type: ignore[import-untyped]
    Environment,
    Server,
)
from paypalserversdk.exceptions.error_exception import (  # type: ignore[import-untyped]
    ErrorException,
)
from paypalserversdk.http.auth.o_auth_2 import (  # type: ignore[import-untyped]
    ClientCredentialsAuthCredentials,
)
from paypalserversdk.paypal_serversdk_client import (  # type: ignore[import-untyped]
    PaypalServersdkClient,
)
from tests.contract.simulators.simulator_process import (
    PATIENCE,
    PayPalCaller,
    Simulator,
    issue_of,
    new_key,
    order_body,
)

HOUR = 3600.0
DAY = 24 * HOUR
PAYMENTS = "/v2/payments"


@pytest.fixture
def sdk(
    paypal_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PaypalServersdkClient]:
    """PayPal's Server SDK as it is, but for the address."""
    client = PaypalServersdkClient(
        client_credentials_auth_credentials=ClientCredentialsAuthCredentials(
            o_auth_client_id=f"sdk-{new_key()}", o_auth_client_secret="secret"
        ),
        environment=Environment.SANDBOX,
    )
    servers = type(client.config).environments[Environment.SANDBOX]
    monkeypatch.setitem(servers, Server.DEFAULT, paypal_simulator.url)
    yield client


def captures_of(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the captures of an order's only unit."""
    captures: list[dict[str, Any]] = order["purchase_units"][0]["payments"]["captures"]
    return captures


def authorized(paypal: PayPalCaller, **unit: Any) -> str:
    """Authorize 19.99 USD and return the authorization's id."""
    order = paypal.order(intent="AUTHORIZE", **unit).json()
    return str(order["purchase_units"][0]["payments"]["authorizations"][0]["id"])


def test_the_server_sdk_creates_captures_and_refunds(
    sdk: PaypalServersdkClient, paypal_simulator: Simulator
) -> None:
    key = new_key()
    order = sdk.orders.create_order(
        {
            "body": order_body("vault_ok", custom_id="op-1"),
            "paypal_request_id": key,
            "prefer": "return=representation",
        }
    ).body
    assert order.status == "COMPLETED"
    capture = order.purchase_units[0].payments.captures[0]
    assert (capture.status, capture.amount.value) == ("COMPLETED", "19.99")
    [row] = paypal_simulator.movements(key=key)
    assert (row["kind"], row["id"], row["amount"]) == ("charge", capture.id, 1999)
    assert row["metadata"] == {"custom_id": "op-1", "invoice_id": None}
    refund = sdk.payments.refund_captured_payment(
        {"capture_id": capture.id, "prefer": "return=representation"}
    ).body
    assert (refund.status, refund.amount.value) == ("COMPLETED", "19.99")
    assert sdk.payments.get_captured_payment(
        {"capture_id": capture.id}
    ).body.status == ("REFUNDED")
    assert sdk.orders.get_order({"id": order.id}).body.id == order.id


def test_the_server_sdk_authorizes_captures_and_voids(
    sdk: PaypalServersdkClient,
) -> None:
    order = sdk.orders.create_order(
        {
            "body": order_body("vault_ok", intent="AUTHORIZE"),
            "paypal_request_id": new_key(),
        }
    ).body
    held = order.purchase_units[0].payments.authorizations[0]
    assert held.status == "CREATED"
    part = {"amount": {"currency_code": "USD", "value": "5.00"}}
    capture = sdk.payments.capture_authorized_payment(
        {"authorization_id": held.id, "body": part}
    ).body
    assert capture.status == "COMPLETED"
    read = sdk.payments.get_authorized_payment({"authorization_id": held.id}).body
    assert read.status == "PARTIALLY_CAPTURED"
    sdk.payments.void_payment({"authorization_id": held.id})
    read = sdk.payments.get_authorized_payment({"authorization_id": held.id}).body
    assert read.status == "VOIDED"


def test_the_server_sdk_raises_on_a_decline(sdk: PaypalServersdkClient) -> None:
    with pytest.raises(ErrorException) as caught:
        sdk.orders.create_order(
            {"body": order_body("vault_declined"), "paypal_request_id": new_key()}
        )
    assert caught.value.name == "UNPROCESSABLE_ENTITY"
    assert caught.value.details[0].issue == "INSTRUMENT_DECLINED"
    assert caught.value.debug_id


def test_paypalrestsdk_talks_to_it_unchanged(paypal_simulator: Simulator) -> None:
    api = paypalrestsdk.Api(
        mode="sandbox",
        endpoint=paypal_simulator.url,
        client_id=f"rest-{new_key()}",
        client_secret="secret",
    )
    headers = {"PayPal-Request-Id": new_key(), "Prefer": "return=representation"}
    order = api.post("v2/checkout/orders", order_body("vault_ok"), headers=headers)
    assert order["status"] == "COMPLETED"
    assert api.get(f"v2/checkout/orders/{order['id']}")["id"] == order["id"]


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


def test_a_payer_action_is_asked_for_with_a_link_to_the_order(
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
def test_an_amount_that_paypal_does_not_take_is_refused(
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


def test_an_authorization_is_captured_in_parts_up_to_its_limit(
    paypal: PayPalCaller,
) -> None:
    held = authorized(paypal)
    path = f"{PAYMENTS}/authorizations/{held}"

    def capture(value: str) -> requests.Response:
        amount = {"currency_code": "USD", "value": value}
        return paypal.call("POST", f"{path}/capture", {"amount": amount}, key=new_key())

    assert capture("10.00").status_code == 201
    assert paypal.call("GET", path).json()["status"] == "PARTIALLY_CAPTURED"
    assert issue_of(capture("13.00")) == "MAX_CAPTURE_AMOUNT_EXCEEDED"
    assert capture("12.98").status_code == 201
    assert paypal.call("GET", path).json()["status"] == "CAPTURED"
    assert issue_of(capture("0.01")) == "AUTHORIZATION_ALREADY_CAPTURED"
    assert issue_of(paypal.call("POST", f"{path}/void")) == "PREVIOUSLY_CAPTURED"


def test_a_voided_authorization_releases_what_is_left_and_takes_no_more(
    paypal: PayPalCaller,
) -> None:
    held = authorized(paypal)
    path = f"{PAYMENTS}/authorizations/{held}"
    void = paypal.call("POST", f"{path}/void", minimal=True)
    assert (void.status_code, void.content) == (204, b"")
    assert issue_of(paypal.call("POST", f"{path}/void")) == "PREVIOUSLY_VOIDED"
    capture = paypal.call("POST", f"{path}/capture", key=new_key())
    assert issue_of(capture) == "AUTHORIZATION_VOIDED"
    rows = paypal.simulator.movements(id=held)
    assert [(row["kind"], row["amount"]) for row in rows] == [
        ("authorize", 1999),
        ("void", 1999),
    ]


def test_an_authorization_lapses_after_29_days_and_can_be_renewed_once(
    paypal: PayPalCaller,
) -> None:
    first, second = authorized(paypal), authorized(paypal)

    def act(id: str, action: str) -> requests.Response:
        paypal.renew_token()
        path = f"{PAYMENTS}/authorizations/{id}/{action}"
        return paypal.call("POST", path, key=new_key())

    assert issue_of(act(second, "reauthorize")) == "REAUTHORIZATION_NOT_SUPPORTED"
    paypal.simulator.advance(4 * DAY)
    renewed = act(second, "reauthorize")
    assert renewed.status_code == 201
    again = act(renewed.json()["id"], "reauthorize")
    assert issue_of(again) == "REAUTHORIZATION_NOT_SUPPORTED"
    paypal.simulator.advance(25 * DAY + 1)
    assert issue_of(act(first, "capture")) == "AUTHORIZATION_EXPIRED"
    assert act(renewed.json()["id"], "capture").status_code == 201


def test_refunds_never_pass_what_was_captured(paypal: PayPalCaller) -> None:
    [capture] = captures_of(paypal.order().json())
    path = f"{PAYMENTS}/captures/{capture['id']}"

    def refund(value: str | None, currency: str = "USD") -> requests.Response:
        body = {"amount": {"currency_code": currency, "value": value}} if value else {}
        return paypal.call("POST", f"{path}/refund", body, key=new_key())

    part = refund("12.00").json()
    assert (part["status"], part["amount"]["value"]) == ("COMPLETED", "12.00")
    assert paypal.call("GET", path).json()["status"] == "PARTIALLY_REFUNDED"
    assert issue_of(refund("8.00")) == "REFUND_AMOUNT_EXCEEDED"
    assert issue_of(refund("1.00", "EUR")) == "REFUND_CAPTURE_CURRENCY_MISMATCH"
    rest = refund(None).json()
    assert rest["amount"]["value"] == "7.99"
    assert rest["seller_payable_breakdown"]["total_refunded_amount"]["value"] == "19.99"
    assert issue_of(refund(None)) == "CAPTURE_FULLY_REFUNDED"
    read = paypal.call("GET", f"{PAYMENTS}/refunds/{part['id']}").json()
    assert read["amount"] == part["amount"]


@pytest.mark.parametrize(
    ("vault", "status", "rows"),
    [("vault_refund_pending", "COMPLETED", 1), ("vault_refund_failed", "FAILED", 0)],
)
def test_a_refund_by_bank_is_known_days_later(
    paypal: PayPalCaller, vault: str, status: str, rows: int
) -> None:
    [capture] = captures_of(paypal.order(vault).json())
    path = f"{PAYMENTS}/captures/{capture['id']}"
    refund = paypal.call("POST", f"{path}/refund", key=new_key()).json()
    assert refund["status"] == "PENDING"
    paypal.simulator.advance(3 * DAY)
    paypal.renew_token()
    read = paypal.call("GET", f"{PAYMENTS}/refunds/{refund['id']}").json()
    assert read["status"] == status
    assert len(paypal.simulator.movements(id=refund["id"])) == rows


def test_a_refund_without_funds_is_refused(paypal: PayPalCaller) -> None:
    [capture] = captures_of(paypal.order("vault_refund_no_funds").json())
    answer = paypal.call("POST", f"{PAYMENTS}/captures/{capture['id']}/refund")
    assert issue_of(answer) == "REFUND_FAILED_INSUFFICIENT_FUNDS"


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


def test_the_minimal_answer_has_no_more_than_it_must(paypal: PayPalCaller) -> None:
    body = order_body(None)
    order = paypal.call("POST", "/v2/checkout/orders", body, minimal=True).json()
    assert set(order) == {"id", "status", "links"}
    [capture] = captures_of(paypal.order().json())
    path = f"{PAYMENTS}/captures/{capture['id']}/refund"
    refund = paypal.call("POST", path, minimal=True).json()
    assert set(refund) == {"id", "status", "links"}


def test_another_merchant_s_order_is_not_found(paypal: PayPalCaller) -> None:
    order = paypal.order().json()["id"]
    stranger = PayPalCaller(paypal.simulator)
    answer = stranger.call("GET", f"/v2/checkout/orders/{order}")
    assert (answer.status_code, issue_of(answer)) == (404, "INVALID_RESOURCE_ID")


def test_tokens_expire_and_can_be_revoked(paypal: PayPalCaller) -> None:
    def read() -> requests.Response:
        return paypal.call("GET", "/v2/checkout/orders/none")

    assert read().status_code == 404
    paypal.simulator.post("/_tokens/revoke", {})
    assert read().status_code == 401
    assert read().json()["name"] == "AUTHENTICATION_FAILURE"
    answer = paypal.simulator.paypal_token(paypal.client).json()
    paypal.token = answer["access_token"]
    assert read().status_code == 404
    paypal.simulator.advance(answer["expires_in"] + 1)
    assert read().status_code == 401


def test_a_wrong_client_secret_is_refused(paypal_simulator: Simulator) -> None:
    answer = paypal_simulator.paypal_token("client", "wrong")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
