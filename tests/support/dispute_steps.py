"""Steps of disputes at the providers, and their events on the timeline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from domain.payments.payment import Payment
from domain.payments.states import State, Status
from tests.support.webhook_workbench import WebhookWorkbench, SignedDelivery

OPENED, WITHDRAWN = "dispute.opened", "dispute.funds_withdrawn"
REINSTATED, UPDATED = "dispute.funds_reinstated", "dispute.updated"


def open_dispute(bench: WebhookWorkbench, payment_id: str, **wanted: Any) -> str:
    """Opens a dispute of the payment or the object in ``wanted``; returns its id."""
    payment = bench.work.stored(payment_id)
    provider = payment.provider
    name = "charge" if provider == "stripe" else "capture"
    asked = {name: payment.refs[name], **wanted}
    answer = bench.work.simulator(provider).post("/_disputes", asked)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id" if provider == "stripe" else "dispute_id"])


def move(bench: WebhookWorkbench, provider: str, dispute_id: str, status: str) -> None:
    path = f"/_disputes/{dispute_id}"
    answer = bench.work.simulator(provider).post(path, {"status": status})
    assert answer.status_code == 200, answer.text


def reverse(bench: WebhookWorkbench, payment_id: str) -> str:
    """Reverses the payment at PayPal; returns the id of the refund."""
    capture = bench.work.stored(payment_id).refs["capture"]
    answer = bench.work.paypal.post("/_reversals", {"capture": capture})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def deliveries_of(
    bench: WebhookWorkbench, provider: str, types: Iterable[str]
) -> list[SignedDelivery]:
    """The webhooks of these types, once all have arrived."""
    begin = "charge.dispute." if provider == "stripe" else "CUSTOMER.DISPUTE."
    named = {
        f"PAYMENT.{one}" if one.startswith("CAPTURE") else f"{begin}{one}"
        for one in types
    }
    return [one for one in bench.deliveries(provider, *named) if one.type in named]


def deliver_all(bench: WebhookWorkbench, provider: str, *types: str) -> None:
    """Delivers all disputes' events so far, older ones again."""
    end = "created" if provider == "stripe" else "CREATED"
    deliveries_of(bench, provider, types or (end,))
    sent = bench.work.simulator(provider).get("/_webhooks")["deliveries"]
    bench.all_deliveries(provider, len({one["event_id"] for one in sent}))
    webhooks = [
        one
        for one in bench.deliveries(provider)
        if "dispute" in one.type.lower() or one.type == "PAYMENT.CAPTURE.REVERSED"
    ]
    bench.deliver(*webhooks)


def facts(bench: WebhookWorkbench, payment_id: str) -> list[str]:
    """The events of disputes on the timeline, in order."""
    return [
        one for one in bench.work.event_types(payment_id) if one.startswith("dispute.")
    ]


def is_untouched(payment: Payment) -> None:
    """Asserts that the dispute changed no amount and no status."""
    assert (payment.status, payment.captured) == (Status.CAPTURED, 1999)
    assert (payment.refunded, payment.refund_reserved) == (0, 0)
    assert payment.first_operation.state is State.SUCCEEDED
