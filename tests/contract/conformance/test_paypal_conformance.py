"""PayPal's promises, tested by its own Server SDK in its sandbox or simulated."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from apimatic_core.exceptions.auth_validation_exception import AuthValidationException
from paypalserversdk.exceptions.error_exception import ErrorException

from tests.support.conformance_targets import OnlySimulated, PayPalAt, paypal_client
from tests.support.simulator_process import PATIENCE, new_key, order_body

WHOLE = "return=representation"


def create(sdk: Any, body: dict[str, Any], key: str | None = None) -> Any:
    """Create an order and return all of it."""
    wanted = {"body": body, "paypal_request_id": key or new_key(), "prefer": WHOLE}
    return sdk.orders.create_order(wanted).body


def payments_of(order: Any) -> Any:
    """Return the payments of an order's only unit."""
    return order.purchase_units[0].payments


def refund(sdk: Any, capture_id: str, value: str | None = None) -> Any:
    """Refund a capture, or a part of it."""
    body = {"amount": {"currency_code": "USD", "value": value}} if value else {}
    wanted = {
        "capture_id": capture_id,
        "body": body,
        "prefer": WHOLE,
        "paypal_request_id": new_key(),
    }
    return sdk.payments.refund_captured_payment(wanted).body


def issue_of(caught: pytest.ExceptionInfo[ErrorException]) -> str:
    """Return the issue of the error that the SDK raised."""
    assert caught.value.debug_id
    issue: str = caught.value.details[0].issue
    return issue


def test_an_order_waits_for_its_payer_with_a_link(paypal_sdk: Any) -> None:
    order = create(paypal_sdk, order_body(None, custom_id="op-1"))
    assert order.status == "CREATED"
    assert "approve" in [link.rel for link in order.links]
    read = paypal_sdk.orders.get_order({"id": order.id}).body
    assert (read.id, read.intent) == (order.id, "CAPTURE")
    assert read.purchase_units[0].custom_id == "op-1"


def test_a_repeated_request_id_gets_the_same_order(paypal_sdk: Any) -> None:
    body, key = order_body(None), new_key()
    assert create(paypal_sdk, body, key).id == create(paypal_sdk, body, key).id


def test_an_unapproved_order_cannot_be_captured(paypal_sdk: Any) -> None:
    order = create(paypal_sdk, order_body(None))
    with pytest.raises(ErrorException) as caught:
        paypal_sdk.orders.capture_order({"id": order.id})
    assert caught.value.name == "UNPROCESSABLE_ENTITY"
    assert issue_of(caught) == "ORDER_NOT_APPROVED"


def test_a_missing_object_is_not_found(paypal_sdk: Any) -> None:
    for read, wanted in (
        (paypal_sdk.orders.get_order, {"id": "5O190127TN364715T"}),
        (paypal_sdk.payments.get_captured_payment, {"capture_id": "5O190127TN364715T"}),
    ):
        with pytest.raises(ErrorException) as caught:
            read(wanted)
        assert caught.value.name == "RESOURCE_NOT_FOUND"
        assert issue_of(caught) == "INVALID_RESOURCE_ID"


@pytest.mark.parametrize(
    ("value", "currency", "issue"),
    [
        ("19.999", "USD", "DECIMAL_PRECISION"),
        ("0.00", "USD", "CANNOT_BE_ZERO_OR_NEGATIVE"),
        ("1,000.00", "USD", "INVALID_PARAMETER_SYNTAX"),
    ],
)
def test_an_amount_that_paypal_does_not_accept_is_refused(
    paypal_sdk: Any, value: str, currency: str, issue: str
) -> None:
    with pytest.raises(ErrorException) as caught:
        create(paypal_sdk, order_body(None, value=value, currency=currency))
    assert issue_of(caught) == issue


def test_a_wrong_secret_is_refused(paypal_at: PayPalAt) -> None:
    stranger = paypal_client(PayPalAt(paypal_at.base, "nobody", "wrong", None))
    # The SDK's message for every failed request of a token.
    with pytest.raises(AuthValidationException):
        stranger.orders.get_order({"id": "5O190127TN364715T"})


def test_an_approved_order_is_captured_once(
    paypal_sdk: Any, only_at_simulated_paypal: OnlySimulated
) -> None:
    simulated = only_at_simulated_paypal("lets a program be the payer")
    order = create(paypal_sdk, order_body(None))
    [href] = [link.href for link in order.links if link.rel == "approve"]
    requests.post(href, data={"outcome": "approve"}, timeout=PATIENCE)
    key = new_key()
    wanted = {"id": order.id, "paypal_request_id": key, "prefer": WHOLE}
    captured = paypal_sdk.orders.capture_order(wanted).body
    assert captured.status == "COMPLETED"
    assert len(simulated.movements(key=key)) == 1
    with pytest.raises(ErrorException) as caught:
        paypal_sdk.orders.capture_order({"id": order.id})
    assert issue_of(caught) == "ORDER_ALREADY_CAPTURED"


def test_a_saved_wallet_pays_and_its_fee_and_net_add_up(
    paypal_sdk: Any, wallet: str
) -> None:
    order = create(paypal_sdk, order_body(wallet, custom_id="op-1"))
    assert order.status == "COMPLETED"
    [capture] = payments_of(order).captures
    assert (capture.status, capture.amount.value) == ("COMPLETED", "19.99")
    parts = capture.seller_receivable_breakdown
    gross, fee, net = (
        float(each.value)
        for each in (parts.gross_amount, parts.paypal_fee, parts.net_amount)
    )
    assert fee > 0 and net == pytest.approx(gross - fee)
    read = paypal_sdk.payments.get_captured_payment({"capture_id": capture.id}).body
    assert read.supplementary_data.related_ids.order_id == order.id


def test_refunds_never_exceed_the_captured_amount(paypal_sdk: Any, wallet: str) -> None:
    [capture] = payments_of(create(paypal_sdk, order_body(wallet))).captures
    part = refund(paypal_sdk, capture.id, "12.00")
    assert (part.status, part.amount.value) == ("COMPLETED", "12.00")
    with pytest.raises(ErrorException) as caught:
        refund(paypal_sdk, capture.id, "8.00")
    assert issue_of(caught) == "REFUND_AMOUNT_EXCEEDED"
    rest = refund(paypal_sdk, capture.id)
    assert rest.amount.value == "7.99"
    assert rest.seller_payable_breakdown.total_refunded_amount.value == "19.99"
    with pytest.raises(ErrorException) as caught:
        refund(paypal_sdk, capture.id)
    assert issue_of(caught) == "CAPTURE_FULLY_REFUNDED"


def test_a_hold_is_captured_in_parts_and_then_voided(
    paypal_sdk: Any, wallet: str
) -> None:
    order = create(paypal_sdk, order_body(wallet, intent="AUTHORIZE"))
    [held] = payments_of(order).authorizations
    assert held.status == "CREATED"
    wanted = {"authorization_id": held.id}
    part = {"amount": {"currency_code": "USD", "value": "5.00"}}
    capture = paypal_sdk.payments.capture_authorized_payment(
        {**wanted, "body": part, "paypal_request_id": new_key()}
    ).body
    assert capture.status == "COMPLETED"
    read = paypal_sdk.payments.get_authorized_payment(wanted).body
    assert read.status == "PARTIALLY_CAPTURED"
    paypal_sdk.payments.void_payment(wanted)
    assert paypal_sdk.payments.get_authorized_payment(wanted).body.status == "VOIDED"
    with pytest.raises(ErrorException) as caught:
        paypal_sdk.payments.void_payment(wanted)
    assert issue_of(caught) == "PREVIOUSLY_VOIDED"


def test_a_decline_is_an_error_with_its_issue(
    paypal_sdk: Any, only_at_simulated_paypal: OnlySimulated
) -> None:
    only_at_simulated_paypal("has wallets that are declined")
    with pytest.raises(ErrorException) as caught:
        create(paypal_sdk, order_body("vault_declined"))
    assert issue_of(caught) == "INSTRUMENT_DECLINED"


def test_a_wallet_is_saved_while_it_pays(
    paypal_sdk: Any, only_at_simulated_paypal: OnlySimulated
) -> None:
    only_at_simulated_paypal("lets a program be the payer")
    body = order_body(None)
    vault = {"store_in_vault": "ON_SUCCESS", "usage_type": "MERCHANT"}
    back = {
        "return_url": "https://shop.example/done",
        "cancel_url": "https://shop.example/basket",
    }
    wallet = {"attributes": {"vault": vault}, "experience_context": back}
    body["payment_source"] = {"paypal": wallet}
    order = create(paypal_sdk, body)
    [href] = [link.href for link in order.links if link.rel == "payer-action"]
    requests.post(
        href, data={"outcome": "approve"}, allow_redirects=False, timeout=PATIENCE
    )
    wanted = {"id": order.id, "paypal_request_id": new_key(), "prefer": WHOLE}
    captured = paypal_sdk.orders.capture_order(wanted).body
    saved = captured.payment_source.paypal.attributes.vault
    assert saved.status == "VAULTED"
    assert create(paypal_sdk, order_body(saved.id)).status == "COMPLETED"
    token = paypal_sdk.vault.get_payment_token(saved.id).body
    assert token.customer.id == saved.customer.id


def test_a_wallet_is_saved_only_with_return_addresses(
    paypal_sdk: Any,
) -> None:
    body = order_body(None)
    vault = {"store_in_vault": "ON_SUCCESS", "usage_type": "MERCHANT"}
    body["payment_source"] = {"paypal": {"attributes": {"vault": vault}}}
    with pytest.raises(ErrorException) as caught:
        create(paypal_sdk, body)
    assert issue_of(caught) in ("RETURN_URL_REQUIRED", "CANCEL_URL_REQUIRED")
