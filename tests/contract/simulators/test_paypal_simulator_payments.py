"""The simulated PayPal's authorizations, captures, refunds and tokens."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.support.simulator_process import (
    PayPalCaller,
    Simulator,
    captures_of,
    issue_of,
    new_key,
)

DAY = 86400.0
PAYMENTS = "/v2/payments"


def authorized(paypal: PayPalCaller, **unit: Any) -> str:
    """Authorize 19.99 USD and return the authorization's id."""
    order = paypal.order(intent="AUTHORIZE", **unit).json()
    return str(order["purchase_units"][0]["payments"]["authorizations"][0]["id"])


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


def test_a_voided_authorization_releases_the_rest_and_cannot_be_captured(
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


def test_an_authorization_that_lapses_is_voided_when_its_time_ends(
    paypal: PayPalCaller,
) -> None:
    id = authorized(paypal)
    path = f"{PAYMENTS}/authorizations/{id}"
    paypal.simulator.advance(29 * DAY + 1)
    paypal.renew_token()
    lapsed = paypal.call("GET", path).json()
    assert lapsed["status"] == "VOIDED"
    assert lapsed["update_time"] == lapsed["expiration_time"]
    assert issue_of(paypal.call("POST", f"{path}/void")) == "PREVIOUSLY_VOIDED"
    assert [row["kind"] for row in paypal.simulator.movements(id=id)] == ["authorize"]


def test_refunds_never_exceed_the_captured_amount(paypal: PayPalCaller) -> None:
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
def test_a_refund_by_bank_ends_days_later(
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


def test_another_merchants_order_is_not_found(paypal: PayPalCaller) -> None:
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
