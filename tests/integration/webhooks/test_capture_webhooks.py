"""Tests of webhooks of several captures of one payment."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.payments.states import State, Status
from tests.support.simulator_process import eventually
from tests.support.webhook_workbench import WebhookWorkbench

#: The event of each capture that leaves the rest on hold, and of the authorization.
PART = "payment_intent.amount_capturable_updated"


def test_one_of_several_captures_is_resolved_by_a_webhook_alone(
    bench: WebhookWorkbench,
) -> None:
    work = bench.work
    payment_id = work.complete_payment(capture="manual", multicapture=True)
    assert work.request(payment_id, "captures", amount=500, final=False).ok
    work.work(payment_id)
    intent = work.stored(payment_id).refs["payment_intent"]
    work.lose_answer("stripe", f"/v1/payment_intents/{intent}/capture")
    assert work.request(payment_id, "captures", amount=700, final=False).ok
    assert work.step(payment_id).operations[-1].state is State.UNKNOWN
    posts = work.calls("stripe", "POST")
    receiver = bench.receivers["stripe"]
    eventually(lambda: receiver.types().count(PART) == 3, "every webhook arrives")
    bench.deliver(*bench.deliveries("stripe"))
    after = work.stored(payment_id)
    assert [one.moved for one in after.operations] == [1999, 500, 700]
    assert after.status is Status.PARTIALLY_CAPTURED
    assert work.calls("stripe", "POST") == posts, "it was looked up, not sent again"


@pytest.mark.parametrize("arrival", ["before the next part", "after it"])
def test_the_fee_of_a_capture_with_a_lost_answer_is_found_by_webhook_or_lookup(
    bench: WebhookWorkbench, arrival: str
) -> None:
    work = bench.work
    payment_id = work.complete_payment(capture="manual", multicapture=True)
    intent = work.stored(payment_id).refs["payment_intent"]
    work.lose_answer("stripe", f"/v1/payment_intents/{intent}/capture")
    assert work.request(payment_id, "captures", amount=500, final=False).ok
    lost = work.step(payment_id).operations[-1]
    assert lost.state is State.UNKNOWN
    if arrival == "before the next part":
        _handle_all(bench, parts=2)
    else:
        # Its resend is due after the next capture.
        work.database.payments.update_one(
            {"_id": payment_id, "operations.id": lost.id},
            {"$set": {"operations.$.due_at": work.now() + timedelta(hours=1)}},
        )
    assert work.request(payment_id, "captures", amount=700, final=False).ok
    work.step(payment_id)
    _handle_all(bench, parts=3)
    after = work.stored(payment_id)
    assert [one.moved for one in after.operations] == [1999, 500, 700]
    assert (
        work.event_types(payment_id).count("attempt.sent") == 3
    ), "no operation was sent again"
    # 2.9 % of each part, and 0.30 USD.
    assert work.fetch(payment_id)["amount_fee"] == 45 + 50


def _handle_all(bench: WebhookWorkbench, *, parts: int) -> None:
    """Handles all webhooks of Stripe, once those of ``parts`` captures arrived."""
    receiver = bench.receivers["stripe"]
    eventually(lambda: receiver.types().count(PART) == parts, "every webhook arrives")
    bench.deliver(*bench.deliveries("stripe"))


def test_webhooks_of_known_captures_change_nothing(bench: WebhookWorkbench) -> None:
    work = bench.work
    payment_id = work.complete_payment(capture="manual", multicapture=True)
    for amount, final in ((500, False), (700, False), (99, True)):
        asked = work.request(payment_id, "captures", amount=amount, final=final)
        assert asked.status_code == 202, asked.text
        work.work(payment_id)
    before = work.stored(payment_id)
    deliveries = bench.deliveries("stripe", PART, "payment_intent.succeeded")
    bench.deliver(*deliveries, *reversed(deliveries))
    after = work.stored(payment_id)
    assert after.version == before.version
    assert "webhook.received" not in work.event_types(payment_id)
