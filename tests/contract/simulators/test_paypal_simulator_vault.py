"""Wallets that the simulated PayPal saves while they pay."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.support.simulator_process import (
    PATIENCE,
    PayPalCaller,
    Receiver,
    captures_of,
    eventually,
    issue_of,
    new_key,
    order_body,
    simulator,
)

TOKENS = "/v3/vault/payment-tokens"
BACK = {
    "return_url": "https://shop.example/done",
    "cancel_url": "https://shop.example/basket",
}


def saving_order(paypal: PayPalCaller, intent: str = "CAPTURE") -> dict[str, Any]:
    """Create an order that saves the payer's wallet once it is paid."""
    body = order_body(None, intent=intent)
    vault = {"store_in_vault": "ON_SUCCESS", "usage_type": "MERCHANT"}
    body["payment_source"] = {
        "paypal": {
            "attributes": {"vault": vault},
            "experience_context": BACK,
        }
    }
    answer = paypal.call("POST", "/v2/checkout/orders", body, key=new_key())
    assert answer.json()["status"] == "PAYER_ACTION_REQUIRED"
    order: dict[str, Any] = answer.json()
    return order


def approve(order: dict[str, Any], outcome: str = "approve") -> None:
    """Have the payer approve."""
    [href] = [each["href"] for each in order["links"] if each["rel"] == "payer-action"]
    requests.post(
        href, data={"outcome": outcome}, allow_redirects=False, timeout=PATIENCE
    )


def vault_of(order: dict[str, Any]) -> dict[str, Any]:
    """Return the saved wallet in an order."""
    vault: dict[str, Any] = order["payment_source"]["paypal"]["attributes"]["vault"]
    return vault


@pytest.mark.parametrize(
    ("intent", "kind"), [("CAPTURE", "charge"), ("AUTHORIZE", "authorize")]
)
def test_a_saved_wallet_pays_without_its_payer(
    paypal: PayPalCaller, intent: str, kind: str
) -> None:
    order = saving_order(paypal, intent)
    assert "attributes" not in order["payment_source"]["paypal"]
    approve(order)
    path = f"/v2/checkout/orders/{order['id']}/{intent.lower()}"
    vault = vault_of(paypal.call("POST", path, key=new_key()).json())
    assert vault["status"] == "VAULTED" and vault["customer"]["id"]
    assert (
        vault_of(paypal.call("GET", f"/v2/checkout/orders/{order['id']}").json())
        == vault
    )
    key = new_key()
    again = paypal.order(vault["id"], key=key, intent=intent).json()
    assert again["status"] == "COMPLETED"
    [row] = paypal.simulator.movements(key=key)
    assert (row["kind"], row["amount"]) == (kind, 1999)


def test_a_saved_wallet_belongs_to_its_merchant_until_it_is_deleted(
    paypal: PayPalCaller,
) -> None:
    order = saving_order(paypal)
    approve(order)
    path = f"/v2/checkout/orders/{order['id']}/capture"
    id = vault_of(paypal.call("POST", path, key=new_key()).json())["id"]
    stranger = PayPalCaller(paypal.simulator)
    assert issue_of(stranger.order(id)) == "TOKEN_ID_NOT_FOUND"
    assert stranger.call("GET", f"{TOKENS}/{id}").status_code == 404
    read = paypal.call("GET", f"{TOKENS}/{id}").json()
    assert (read["id"], "paypal" in read["payment_source"]) == (id, True)
    assert paypal.call("DELETE", f"{TOKENS}/{id}").status_code == 204
    assert issue_of(paypal.order(id)) == "TOKEN_ID_NOT_FOUND"


def test_a_wallet_may_be_saved_only_after_it_has_paid() -> None:
    with simulator("paypal") as running:
        paypal = PayPalCaller(running)
        order = saving_order(paypal)
        approve(order, "approve_saved_later")
        path = f"/v2/checkout/orders/{order['id']}"
        paid = paypal.call("POST", f"{path}/capture", key=new_key()).json()
        assert captures_of(paid)[0]["status"] == "COMPLETED"
        assert vault_of(paid)["status"] == "APPROVED" and "id" not in vault_of(paid)
        running.advance(60)
        vault = vault_of(paypal.call("GET", path).json())
        assert vault["status"] == "VAULTED"
        assert paypal.order(vault["id"]).json()["status"] == "COMPLETED"


def test_a_wallet_is_saved_on_success_only(paypal: PayPalCaller) -> None:
    order = saving_order(paypal)
    path = f"/v2/checkout/orders/{order['id']}/capture"
    approve(order, "approve_declined")
    assert issue_of(paypal.call("POST", path, key=new_key())) == "INSTRUMENT_DECLINED"
    approve(order, "approve_pending")
    pending = paypal.call("POST", path, key=new_key()).json()
    assert captures_of(pending)[0]["status"] == "PENDING"
    assert "attributes" not in pending["payment_source"]["paypal"]


@pytest.mark.parametrize(
    "vault", [{}, {"store_in_vault": "ALWAYS"}, {"store_in_vault": "ON_SUCCESS"}]
)
def test_a_save_request_that_paypals_schema_forbids_is_refused(
    paypal: PayPalCaller, vault: dict[str, str]
) -> None:
    body = order_body(None)
    body["payment_source"] = {"paypal": {"attributes": {"vault": vault}}}
    answer = paypal.call("POST", "/v2/checkout/orders", body, key=new_key())
    assert answer.status_code == 400


@pytest.mark.parametrize("missing", ["return_url", "cancel_url"])
def test_a_wallet_is_saved_only_with_return_addresses(
    paypal: PayPalCaller, missing: str
) -> None:
    body = order_body(None)
    vault = {"store_in_vault": "ON_SUCCESS", "usage_type": "MERCHANT"}
    context = {name: url for name, url in BACK.items() if name != missing}
    wallet = {"attributes": {"vault": vault}, "experience_context": context}
    body["payment_source"] = {"paypal": wallet}
    answer = paypal.call("POST", "/v2/checkout/orders", body, key=new_key())
    assert issue_of(answer) == f"{missing.upper()}_REQUIRED"


def test_a_saved_wallet_sends_an_event(receiver: Receiver) -> None:
    with simulator("paypal", "--webhook-url", receiver.url) as running:
        paypal = PayPalCaller(running)
        order = saving_order(paypal)
        approve(order)
        path = f"/v2/checkout/orders/{order['id']}/capture"
        vault = vault_of(paypal.call("POST", path, key=new_key()).json())
        wanted = "VAULT.PAYMENT-TOKEN.CREATED"
        eventually(lambda: wanted in receiver.types(), "the event arrives")
        events = [json.loads(body) for _, body in receiver.received]
        [event] = [each for each in events if each["event_type"] == wanted]
        assert event["resource_type"] == "payment_token"
        assert event["resource"]["id"] == vault["id"]
        assert event["resource"]["customer"] == vault["customer"]
