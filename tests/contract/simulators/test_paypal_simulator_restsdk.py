"""PayPal's older SDK, as it is, against the simulated PayPal."""

from __future__ import annotations

import paypalrestsdk

from tests.support.simulator_process import Simulator, new_key, order_body


def test_paypalrestsdk_works_unchanged_with_the_simulator(
    paypal_simulator: Simulator,
) -> None:
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
