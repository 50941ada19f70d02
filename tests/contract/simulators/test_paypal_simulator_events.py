"""Every change of a PayPal object sends its own event with the whole object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.support.simulator_process import (
    PATIENCE,
    PayPalCaller,
    Receiver,
    captures_of,
    eventually,
    new_key,
    order_body,
    simulator,
)

HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture(scope="module")
def module_receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.close()


@pytest.fixture(scope="module")
def telling(module_receiver: Receiver) -> Iterator[PayPalCaller]:
    """A merchant whose events go to the receiver."""
    with simulator("paypal", "--webhook-url", module_receiver.url) as running:
        yield PayPalCaller(running)


def _open_order(paypal: PayPalCaller) -> str:
    order = paypal.call("POST", "/v2/checkout/orders", order_body(None)).json()
    page = f"{paypal.simulator.url}/checkoutnow?token={order['id']}"
    requests.post(page, data={"outcome": "approve"}, timeout=PATIENCE)
    return str(order["id"])


def _later(paypal: PayPalCaller, seconds: float) -> None:
    paypal.simulator.advance(seconds)
    paypal.renew_token()


def _hold(paypal: PayPalCaller, vault: str = "vault_ok") -> str:
    order = paypal.order(vault, intent="AUTHORIZE").json()
    held: str = order["purchase_units"][0]["payments"]["authorizations"][0]["id"]
    return f"/v2/payments/authorizations/{held}"


def _refund(paypal: PayPalCaller, vault: str) -> None:
    [capture] = captures_of(paypal.order(vault).json())
    path = f"/v2/payments/captures/{capture['id']}/refund"
    paypal.call("POST", path, key=new_key())
    _later(paypal, 3 * DAY + 1)


def approve_and_capture(paypal: PayPalCaller) -> None:
    id = _open_order(paypal)
    paypal.call("POST", f"/v2/checkout/orders/{id}/capture", key=new_key())
    _later(paypal, 3 * HOUR + 1)


def approve_and_forget(paypal: PayPalCaller) -> None:
    _open_order(paypal)
    _later(paypal, 3 * HOUR + 1)


def be_reviewed(paypal: PayPalCaller) -> None:
    paypal.order("vault_pending")
    _later(paypal, DAY + 1)


def be_denied(paypal: PayPalCaller) -> None:
    paypal.order("vault_pending_denied")
    _later(paypal, DAY + 1)


def be_declined(paypal: PayPalCaller) -> None:
    paypal.order("vault_capture_declined")


def hold_and_capture(paypal: PayPalCaller) -> None:
    paypal.call("POST", f"{_hold(paypal)}/capture", key=new_key())


def hold_and_void(paypal: PayPalCaller) -> None:
    paypal.call("POST", f"{_hold(paypal)}/void")


def hold_and_let_lapse(paypal: PayPalCaller) -> None:
    _hold(paypal)
    _later(paypal, 29 * DAY + 1)


def hold_and_renew(paypal: PayPalCaller) -> None:
    path = _hold(paypal)
    _later(paypal, 4 * DAY)
    paypal.call("POST", f"{path}/reauthorize", key=new_key())


def hold_after_a_review(paypal: PayPalCaller) -> None:
    _hold(paypal, "vault_pending")
    _later(paypal, DAY + 1)


def refund(paypal: PayPalCaller) -> None:
    _refund(paypal, "vault_ok")


def refund_slowly(paypal: PayPalCaller) -> None:
    _refund(paypal, "vault_refund_pending")


def refund_in_vain(paypal: PayPalCaller) -> None:
    _refund(paypal, "vault_refund_failed")


APPROVED, COMPLETED = "CHECKOUT.ORDER.APPROVED", "CHECKOUT.ORDER.COMPLETED"
CAPTURED = "PAYMENT.CAPTURE.COMPLETED"
PENDING = ["PAYMENT.CAPTURE.PENDING", COMPLETED]
HELD = "PAYMENT.AUTHORIZATION.CREATED"
VOIDED = "PAYMENT.AUTHORIZATION.VOIDED"
REFUNDED = "PAYMENT.CAPTURE.REFUNDED"
REFUND_PENDING = "PAYMENT.REFUND.PENDING"


@pytest.mark.parametrize(
    ("happens", "events"),
    [
        (approve_and_capture, [APPROVED, CAPTURED, COMPLETED]),
        (approve_and_forget, [APPROVED, "CHECKOUT.PAYMENT-APPROVAL.REVERSED"]),
        (be_reviewed, [*PENDING, CAPTURED]),
        (be_denied, [*PENDING, "PAYMENT.CAPTURE.DENIED"]),
        (be_declined, ["PAYMENT.CAPTURE.DECLINED", COMPLETED]),
        (hold_and_capture, [HELD, COMPLETED, CAPTURED]),
        (hold_and_void, [HELD, COMPLETED, VOIDED]),
        (hold_and_let_lapse, [HELD, COMPLETED, VOIDED]),
        (hold_and_renew, [HELD, COMPLETED, VOIDED, HELD]),
        (hold_after_a_review, [COMPLETED, HELD]),
        (refund, [CAPTURED, COMPLETED, REFUNDED]),
        (refund_slowly, [CAPTURED, COMPLETED, REFUND_PENDING, REFUNDED]),
        (
            refund_in_vain,
            [CAPTURED, COMPLETED, REFUND_PENDING, "PAYMENT.REFUND.FAILED"],
        ),
    ],
)
def test_every_change_sends_an_event(
    telling: PayPalCaller,
    module_receiver: Receiver,
    happens: Callable[[PayPalCaller], None],
    events: list[str],
) -> None:
    module_receiver.received.clear()
    happens(telling)
    eventually(
        lambda: len(module_receiver.types()) >= len(events), "all events are delivered"
    )
    # Deliveries may overtake each other, so their order is not checked.
    assert sorted(module_receiver.types()) == sorted(events)


def test_an_event_names_its_resource_and_the_related_ids(
    telling: PayPalCaller, module_receiver: Receiver
) -> None:
    module_receiver.received.clear()
    path = _hold(telling)
    capture = telling.call("POST", f"{path}/capture", key=new_key()).json()
    refunded = f"/v2/payments/captures/{capture['id']}/refund"
    refund_shown = telling.call("POST", refunded, key=new_key()).json()
    eventually(lambda: len(module_receiver.types()) == 4, "all events are delivered")
    events: dict[str, Any] = {
        event["event_type"]: event
        for event in (json.loads(body) for _, body in module_receiver.received)
    }
    kinds = {type: event["resource_type"] for type, event in events.items()}
    assert kinds == {
        HELD: "authorization",
        COMPLETED: "checkout-order",
        CAPTURED: "capture",
        REFUNDED: "refund",
    }
    related = events[CAPTURED]["resource"]["supplementary_data"]["related_ids"]
    assert related == {
        "order_id": events[COMPLETED]["resource"]["id"],
        "authorization_id": path.rpartition("/")[2],
    }
    assert events[REFUNDED]["resource"] == refund_shown
