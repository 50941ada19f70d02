"""PayPal's own SDKs, as they are, against the simulated PayPal."""

from __future__ import annotations

from collections.abc import Iterator

import paypalrestsdk
import pytest

from paypalserversdk.configuration import Environment, Server
from paypalserversdk.exceptions.error_exception import ErrorException
from paypalserversdk.http.auth.o_auth_2 import ClientCredentialsAuthCredentials
from paypalserversdk.paypal_serversdk_client import PaypalServersdkClient

from tests.contract.simulators.simulator_process import Simulator, new_key, order_body


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
