"""Tests of webhooks that are early, late, repeated, or the only answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
import requests

from application import webhooks
from domain.payments.states import State, Status
from domain.webhooks import WebhookStatus
from tests.support.killed_webhook_worker import BOUNDARIES
from tests.support.webhook_workbench import WebhookWorkbench, SignedDelivery
from tests.support.workbench import CHARGES

#: Seconds by which a provider's answer is delayed; its webhooks are not.
_LATE = 1.5
#: The event type of a successful charge.
_PAID = {"stripe": "payment_intent.succeeded", "paypal": "PAYMENT.CAPTURE.COMPLETED"}


@pytest.fixture(params=["stripe", "paypal"])
def provider(request: pytest.FixtureRequest) -> str:
    """Each provider in turn."""
    return str(request.param)


def test_a_webhook_before_the_answer_waits_for_it(
    bench: WebhookWorkbench, provider: str
) -> None:
    work = bench.work
    payment_id = work.pay(provider)
    match = {"method": "POST", "path": CHARGES[provider]}
    work.simulator(provider).arm(do="delay", when="after", seconds=_LATE, match=match)
    calling = threading.Thread(target=work.step, args=(payment_id,))
    calling.start()
    deliveries = bench.deliveries(provider, _PAID[provider])
    before = work.stored(payment_id)
    assert before.first_operation.state is State.RUNNING
    for one in deliveries:
        assert bench.post(one).status_code == 200
    names = [one.id for one in deliveries]
    handled = webhooks.handle(names, bench.context)
    assert {one.status for one in handled} == {WebhookStatus.WAITING}
    assert work.stored(payment_id).version == before.version, "it is not disturbed"
    calling.join()
    work.pass_time(timedelta(seconds=2))
    bench.handle(names)
    after = work.stored(payment_id)
    assert after.status is Status.CAPTURED
    assert bench.facts(after) == [
        (after.first_operation.id, "running"),
        (after.first_operation.id, "succeeded"),
    ]
    assert "webhook.received" not in work.event_types(
        payment_id
    ), "the answer was already stored"
    assert work.list_movements(payment_id) == [("charge", 1999)]


def test_an_unknown_charge_is_resolved_by_a_webhook_alone(
    bench: WebhookWorkbench, provider: str
) -> None:
    work = bench.work
    payment_id = work.pay(provider)
    work.lose_answer(provider)
    assert work.step(payment_id).first_operation.state is State.UNKNOWN
    posts = work.calls(provider, "POST")
    bench.deliver(*bench.deliveries(provider, _PAID[provider]))
    after = work.stored(payment_id)
    assert after.status is Status.CAPTURED
    assert work.calls(provider, "POST") == posts, "it was looked up, not sent again"
    assert work.list_movements(payment_id) == [("charge", 1999)]


def test_an_unknown_paypal_charge_without_an_order_id_is_resolved_by_a_webhook(
    bench: WebhookWorkbench,
) -> None:
    work = bench.work
    payment_id = work.pay("paypal")
    work.lose_answer("paypal")
    work.step(payment_id)
    work.pass_time(timedelta(hours=7))
    lost = work.work(payment_id)
    assert lost.first_operation.state is State.REVIEW
    assert lost.first_operation.error == "nothing_to_look_up"
    bench.deliver(*bench.deliveries("paypal", "PAYMENT.CAPTURE.COMPLETED"))
    after = work.stored(payment_id)
    assert (after.status, after.captured) == (Status.CAPTURED, 1999)
    assert set(after.refs) == {"order", "capture"}
    assert work.list_movements(payment_id) == [("charge", 1999)]


def test_money_moved_after_a_proof_of_absence_is_not_moved_again(
    bench: WebhookWorkbench,
) -> None:
    work = bench.work
    payment_id = work.pay()
    work.stripe.arm(do="replay_500", match={"path": CHARGES["stripe"]})
    work.step(payment_id)
    work.step(payment_id)
    work.pass_time(timedelta(minutes=11))
    proven = work.step(payment_id)
    while proven.first_operation.state is State.UNKNOWN:
        proven = work.step(payment_id)
    assert (proven.first_operation.state, proven.first_operation.generation) == (
        State.RETRYING,
        2,
    )
    # The first request arrives late.
    form = {"amount": "1999", "currency": "usd", "payment_method": "pm_card_visa"}
    form |= {"confirm": "true", "off_session": "true"}
    form |= {"metadata[payment]": payment_id}
    form |= {"metadata[operation]": proven.first_operation.id}
    merchant = work.settings.stripe_secret_key
    work.stripe.stripe("POST", CHARGES["stripe"], form, merchant=merchant)
    posts = work.calls("stripe", "POST")
    bench.deliver(*bench.deliveries("stripe", "payment_intent.succeeded"))
    assert work.work(payment_id).status is Status.CAPTURED
    assert work.calls("stripe", "POST") == posts, "another key was never sent"
    assert work.list_movements(payment_id) == [("charge", 1999)]


def test_an_approved_order_is_captured_without_the_browsers_return(
    bench: WebhookWorkbench,
) -> None:
    work = bench.work
    payment_id = _waits_for_approval(bench)
    deliveries = bench.deliveries("paypal", "CHECKOUT.ORDER.APPROVED")
    bench.deliver(*deliveries)
    assert work.stored(payment_id).status is Status.CAPTURED, "at once, by webhook"
    assert work.list_movements(payment_id) == [("charge", 1999)]
    bench.inbox.reprocess([one.id for one in deliveries], now=work.now())
    bench.handle([one.id for one in deliveries])
    assert work.list_movements(payment_id) == [("charge", 1999)]


def test_a_repeated_approval_before_the_capture_changes_nothing(
    bench: WebhookWorkbench,
) -> None:
    work = bench.work
    payment_id = _waits_for_approval(bench)
    [delivery] = bench.deliveries("paypal", "CHECKOUT.ORDER.APPROVED")
    assert bench.post(delivery).status_code == 200
    webhooks.handle([delivery.id], bench.context)
    queued = work.step(payment_id)
    assert (queued.first_operation.state, queued.first_operation.approved) == (
        State.QUEUED,
        True,
    )
    bench.inbox.reprocess([delivery.id], now=work.now())
    webhooks.handle([delivery.id], bench.context)
    assert work.stored(payment_id) == queued
    assert work.work(payment_id).status is Status.CAPTURED


def test_a_refund_that_fails_later_at_stripe_is_corrected_by_its_webhook(
    bench: WebhookWorkbench,
) -> None:
    work = bench.work
    payment_id = work.complete_payment(payment_method="pm_card_refundFail")
    assert work.request(payment_id, "refunds").status_code == 202
    assert work.work(payment_id).status is Status.REFUNDED
    bench.deliver(*bench.deliveries("stripe", "refund.created"))
    assert work.stored(payment_id).status is Status.REFUNDED
    work.pass_time(timedelta(days=2))
    requests.get(f"{work.stripe.url}/v1/events", timeout=10)  # its clock ticks by calls
    deliveries = bench.deliveries("stripe", "refund.failed", "charge.refund.updated")
    bench.deliver(*deliveries)
    after = work.stored(payment_id)
    assert (after.status, after.refunded) == (Status.CAPTURED, 0)
    assert work.event_types(payment_id).count("operation.corrected") == 1
    assert work.request(payment_id, "refunds").status_code == 202, "refundable again"


@pytest.mark.parametrize("boundary", range(len(BOUNDARIES)), ids=BOUNDARIES)
def test_a_crash_while_handling_a_webhook_loses_nothing(
    bench: WebhookWorkbench, boundary: int
) -> None:
    work = bench.work
    payment_id = _waits_for_approval(bench)
    [delivery] = bench.deliveries("paypal", "CHECKOUT.ORDER.APPROVED")
    assert bench.post(delivery).status_code == 200
    assert _handler_that_dies(bench, delivery, boundary) == -signal.SIGKILL
    work.pass_time(timedelta(seconds=5))
    assert bench.post(delivery).status_code == 200, "it is sent again"
    due = bench.inbox.find_due_ids(9)
    assert due == ([delivery.id] if boundary < len(BOUNDARIES) - 1 else [])
    bench.handle(due)
    assert bench.status(delivery) is WebhookStatus.HANDLED
    after = work.work(payment_id)
    assert after.status is Status.CAPTURED
    facts = bench.facts(after)
    assert facts.count((after.first_operation.id, "succeeded")) == 1
    assert work.list_movements(payment_id) == [("charge", 1999)]


def test_a_handler_without_a_deadly_boundary_survives(bench: WebhookWorkbench) -> None:
    _waits_for_approval(bench)
    [delivery] = bench.deliveries("paypal", "CHECKOUT.ORDER.APPROVED")
    assert bench.post(delivery).status_code == 200
    assert _handler_that_dies(bench, delivery, len(BOUNDARIES)) == 0
    assert bench.status(delivery) is WebhookStatus.HANDLED


def test_a_webhook_of_a_foreign_payment_is_stored_as_unmatched(
    bench: WebhookWorkbench,
) -> None:
    form = {"amount": "1999", "currency": "usd", "payment_method": "pm_card_visa"}
    form |= {"confirm": "true", "off_session": "true"}
    merchant = "sk_test_another"
    bench.work.stripe.stripe("POST", "/v1/payment_intents", form, merchant=merchant)
    deliveries = bench.deliveries(
        "stripe", "payment_intent.succeeded", "charge.succeeded"
    )
    bench.deliver(*deliveries)
    fates = {one.type: bench.status(one) for one in deliveries}
    assert fates["payment_intent.succeeded"] is WebhookStatus.UNMATCHED
    assert fates["charge.succeeded"] is WebhookStatus.IGNORED
    names = [one.id for one in deliveries]
    assert bench.inbox.reprocess(names, now=bench.work.now()) == len(names)
    bench.handle(names)
    assert {one.type: bench.status(one) for one in deliveries} == fates
    assert bench.inbox.find_due_ids(9) == []


def _handler_that_dies(
    bench: WebhookWorkbench, delivery: SignedDelivery, boundary: int
) -> int:
    module = "tests.support.killed_webhook_worker"
    return subprocess.run(
        [sys.executable, "-m", module, delivery.id, str(boundary)],
        env={**os.environ, **bench.work.settings.environment()},
        timeout=60,
        check=False,
    ).returncode


def _waits_for_approval(bench: WebhookWorkbench) -> str:
    """A payment whose payer approved it and closed the browser."""
    work = bench.work
    back = "https://shop.example/back"
    payment_id = work.pay("paypal", payment_method=None, return_url=back)
    assert work.work(payment_id).status is Status.REQUIRES_ACTION
    page = work.fetch(payment_id)["next_action"]["url"]
    agreed = requests.post(
        page, data={"outcome": "approve"}, allow_redirects=False, timeout=10
    )
    assert agreed.status_code == 302
    return payment_id
