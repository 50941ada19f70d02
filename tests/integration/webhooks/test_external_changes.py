"""Tests of changes that others made at the provider, such as in its dashboard."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from application import webhooks
from application.reconciliation.reconcile import reconcile
from domain.account import Account
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from domain.payments.states import State, Status
from domain.payments.submission import ProviderName
from domain.reconciliation import DifferenceKind, ReconciliationReport
from domain.webhooks import WebhookStatus
from runtime import container
from tests.support.provider_dashboard import Dashboard
from tests.support.simulator_process import eventually
from tests.support.webhook_workbench import WebhookWorkbench, SignedDelivery

REFUNDED = {"stripe": "refund.created", "paypal": "PAYMENT.CAPTURE.REFUNDED"}
CAPTURED = {
    "stripe": "payment_intent.succeeded",
    "paypal": "PAYMENT.CAPTURE.COMPLETED",
}
VOIDED = {
    "stripe": "payment_intent.canceled",
    "paypal": "PAYMENT.AUTHORIZATION.VOIDED",
}


@pytest.fixture(params=["stripe", "paypal"])
def provider(request: pytest.FixtureRequest) -> str:
    """Each provider in turn."""
    return str(request.param)


@pytest.fixture
def dashboard(bench: WebhookWorkbench) -> Dashboard:
    """A user of the providers' dashboards."""
    return Dashboard(bench.work)


def test_an_external_refund_counts_like_ours(
    bench: WebhookWorkbench, dashboard: Dashboard, provider: str
) -> None:
    work, payment_id = bench.work, bench.work.complete_payment(provider)
    ref = dashboard.refund(payment_id, 500)
    bench.deliver(*_webhooks(bench, provider, REFUNDED, 1))
    shown = work.fetch(payment_id)
    assert (shown["amount_refunded"], shown["status"]) == (500, "partially_refunded")
    [made] = [one for one in shown["operations"] if one["source"] == "provider"]
    assert made["provider_refs"]["refund"] == ref
    assert (made["kind"], made["amount"], made["state"]) == ("refund", 500, "succeeded")
    assert (made["target"], made["attempts"]) == (shown["operations"][0]["id"], 0)
    [event] = _discovered(bench, payment_id)
    assert (event["source"], event["ref"], event["amount"]) == ("provider", ref, 500)
    # Our own refund of the rest is of what is left.
    assert work.request(payment_id, "refunds", amount=1500).status_code == 409
    assert work.request(payment_id, "refunds").status_code == 202
    assert work.work(payment_id).refunded == 1999
    assert work.fetch(payment_id)["status"] == "refunded"


def test_our_refund_over_the_remaining_amount_is_rejected_and_releases_it(
    bench: WebhookWorkbench, dashboard: Dashboard, provider: str
) -> None:
    """The refund is queued and not sent, so it cannot have happened."""
    work, payment_id = bench.work, bench.work.complete_payment(provider)
    assert work.request(payment_id, "refunds", amount=1600).status_code == 202
    dashboard.refund(payment_id, 500)
    posts = work.calls(provider, "POST")
    _handle_without_work(bench, _webhooks(bench, provider, REFUNDED, 1))
    _look_first(bench, payment_id)
    after = work.work(payment_id)
    own = after.operations[1]
    assert (own.state, own.error) == (State.REJECTED, "refunded_at_provider")
    assert (after.refunded, after.refund_reserved) == (500, 0)
    assert after.refundable_amount(after.first_operation) == 1499
    assert after.last_error is not None
    assert after.last_error.code == "refunded_at_provider"
    assert "operation.overtaken" in work.event_types(payment_id)
    assert work.calls(provider, "POST") == posts, "ours was not sent"


def test_our_refund_with_a_lost_answer_is_not_mistaken_for_an_external_one(
    bench: WebhookWorkbench, dashboard: Dashboard, provider: str
) -> None:
    """The provider shows two refunds of one amount; only ours carries our id."""
    work, payment_id = bench.work, bench.work.complete_payment(provider)
    work.lose_answer(provider, _refunds(work.stored(payment_id)))
    assert work.request(payment_id, "refunds", amount=600).status_code == 202
    assert work.step(payment_id).operations[1].state is State.UNKNOWN
    dashboard.refund(payment_id, 600)
    bench.deliver(*_webhooks(bench, provider, REFUNDED, 2))
    after = work.work(payment_id)
    assert [one.is_external for one in after.operations] == [False, False, True]
    assert [one.state for one in after.operations] == [State.SUCCEEDED] * 3
    assert (after.refunded, after.refund_reserved) == (1200, 0)


def test_our_refund_that_never_arrived_ends_once_its_absence_is_proven(
    bench: WebhookWorkbench, dashboard: Dashboard, provider: str
) -> None:
    """The whole amount was refunded in the dashboard meanwhile."""
    work, payment_id = bench.work, bench.work.complete_payment(provider)
    match = {"method": "POST", "path": _refunds(work.stored(payment_id))}
    work.simulator(provider).arm(do="drop", match=match)
    assert work.request(payment_id, "refunds").status_code == 202
    assert work.step(payment_id).operations[1].state is State.UNKNOWN
    dashboard.refund(payment_id, 1999)
    bench.deliver(*_webhooks(bench, provider, REFUNDED, 1))
    between = work.stored(payment_id)
    assert (between.refunded, between.refund_reserved) == (1999, 0)
    for _ in range(12):
        work.pass_time(timedelta(minutes=2))
        work.work(payment_id)
    after = work.stored(payment_id)
    assert (after.operations[1].state, after.due_at) == (State.REJECTED, None)
    assert (after.status, after.refunded) == (Status.REFUNDED, 1999)
    assert [amount for kind, amount in _refunds_made(bench, provider)] == [1999]


def test_an_external_refund_that_fails_later_is_reversed(
    bench: WebhookWorkbench, dashboard: Dashboard, provider: str
) -> None:
    method = {"stripe": "pm_card_refundFail", "paypal": "vault_refund_failed"}
    work = bench.work
    payment_id = work.complete_payment(provider, payment_method=method[provider])
    dashboard.refund(payment_id, 1999)
    first = {"stripe": "refund.created", "paypal": "PAYMENT.REFUND.PENDING"}
    bench.deliver(*_webhooks(bench, provider, first, 1))
    before = work.stored(payment_id)
    assert before.operations[1].is_external
    assert before.operations[1].state in (State.SUCCEEDED, State.PENDING)
    assert work.request(payment_id, "refunds", amount=1).status_code == 409
    work.simulator(provider).advance(4 * 86400)
    last = {"stripe": "refund.failed", "paypal": "PAYMENT.REFUND.FAILED"}
    bench.deliver(*_webhooks(bench, provider, last, 1))
    after = work.stored(payment_id)
    assert (after.refunded, after.refund_reserved) == (0, 0)
    assert after.operations[1].state is State.DECLINED
    assert after.refundable_amount(after.first_operation) == 1999


def test_a_full_capture_made_at_the_provider_ends_the_hold(
    bench: WebhookWorkbench, dashboard: Dashboard, provider: str
) -> None:
    work, payment_id = bench.work, bench.work.complete_payment(
        provider, capture="manual"
    )
    ref = dashboard.capture(payment_id, 1999, final=True)
    bench.deliver(*_webhooks(bench, provider, CAPTURED, 1))
    shown = work.fetch(payment_id)
    assert (shown["status"], shown["amount_captured"]) == ("captured", 1999)
    assert (shown["amount_capturable"], shown["authorization"]["ended"]) == (
        0,
        "captured",
    )
    assert _discovered(bench, payment_id)[0]["ref"] == ref
    # It can be refunded like our own capture.
    assert work.request(payment_id, "refunds", amount=700).status_code == 202
    assert work.work(payment_id).refunded == 700


def test_a_part_captured_at_stripe_releases_the_rest(
    bench: WebhookWorkbench, dashboard: Dashboard
) -> None:
    work, payment_id = bench.work, bench.work.complete_payment(capture="manual")
    assert work.request(payment_id, "captures").status_code == 202
    dashboard.capture(payment_id, 500, final=True)
    _handle_without_work(bench, _webhooks(bench, "stripe", CAPTURED, 1))
    _look_first(bench, payment_id)
    after = work.work(payment_id)
    assert (after.captured, after.capturable, after.capture_reserved) == (500, 0, 0)
    own = after.operations[1]
    assert (own.state, own.error) == (State.REJECTED, "captured_at_provider")


@pytest.mark.parametrize("final", [False, True])
def test_a_part_captured_at_paypal_leaves_the_rest_unless_it_is_the_last(
    bench: WebhookWorkbench, dashboard: Dashboard, final: bool
) -> None:
    work, payment_id = bench.work, bench.work.complete_payment(
        "paypal", capture="manual"
    )
    dashboard.capture(payment_id, 500, final=final)
    bench.deliver(*_webhooks(bench, "paypal", CAPTURED, 1))
    after = work.stored(payment_id)
    left = 0 if final else 1499
    assert (after.captured, after.capturable) == (500, left)
    if not final:
        assert work.request(payment_id, "captures").status_code == 202
        assert work.work(payment_id).captured == 1999


def test_external_captures_at_stripe_are_distinguished_from_ours(
    bench: WebhookWorkbench, dashboard: Dashboard
) -> None:
    """Stripe lists no captures of a charge; ours write their amounts as metadata."""
    work = bench.work
    payment_id = work.complete_payment(capture="manual", multicapture=True)
    assert work.request(payment_id, "captures", amount=500, final=False).ok
    work.work(payment_id)
    part = "payment_intent.amount_capturable_updated"
    for count, amount in ((3, 300), (4, 200)):
        dashboard.capture(payment_id, amount, final=False)
        bench.deliver(*_webhooks(bench, "stripe", {"stripe": part}, count))
    middle = work.stored(payment_id)
    assert (middle.captured, middle.capturable) == (1000, 999)
    assert work.request(payment_id, "captures", amount=400, final=True).ok
    after = work.work(payment_id)
    parts = [(one.is_external, one.moved) for one in after.operations[1:]]
    assert parts == [(False, 500), (True, 300), (True, 200), (False, 400)]
    assert (after.captured, after.capturable) == (1400, 0)
    # An external refund is of the charge that all captures share.
    dashboard.refund(payment_id, 600)
    bench.deliver(*_webhooks(bench, "stripe", REFUNDED, 1))
    assert work.stored(payment_id).refunded == 600
    assert work.request(payment_id, "refunds", amount=900).status_code == 409


def test_a_void_made_at_the_provider_ends_the_hold(
    bench: WebhookWorkbench, dashboard: Dashboard, provider: str
) -> None:
    work, payment_id = bench.work, bench.work.complete_payment(
        provider, capture="manual"
    )
    ref = dashboard.void(payment_id)
    bench.deliver(*_webhooks(bench, provider, VOIDED, 1))
    after = work.stored(payment_id)
    assert (after.status, after.capturable) == (Status.VOIDED, 0)
    [void] = [one for one in after.operations if one.kind is Kind.VOID]
    assert (void.is_external, void.amount) == (True, 1999)
    [event] = _discovered(bench, payment_id)
    assert (event["kind"], event["ref"]) == ("void", ref)


def test_a_void_of_the_rest_of_a_partly_captured_hold(
    bench: WebhookWorkbench, dashboard: Dashboard
) -> None:
    work, payment_id = bench.work, bench.work.complete_payment(
        "paypal", capture="manual"
    )
    dashboard.capture(payment_id, 500, final=False)
    dashboard.void(payment_id)
    deliveries = _webhooks(bench, "paypal", VOIDED, 1) + _webhooks(
        bench, "paypal", CAPTURED, 1
    )
    bench.deliver(*deliveries)
    after = work.stored(payment_id)
    assert (after.captured, after.capturable, after.status) == (500, 0, Status.CAPTURED)


def test_webhooks_of_external_changes_in_every_order_twice_have_one_result(
    bench: WebhookWorkbench, dashboard: Dashboard, provider: str
) -> None:
    """Two external refunds beside one of ours whose answer was lost."""
    work, payment_id = bench.work, bench.work.complete_payment(provider)
    work.lose_answer(provider, _refunds(work.stored(payment_id)))
    assert work.request(payment_id, "refunds", amount=300).status_code == 202
    assert work.step(payment_id).operations[1].state is State.UNKNOWN
    dashboard.refund(payment_id, 300)
    dashboard.refund(payment_id, 400)
    # Only webhooks may resolve ours.
    late = work.now() + timedelta(hours=1)
    work.database.payments.update_one(
        {"_id": payment_id},
        {"$set": {"operations.1.due_at": late, "due_at": late}},
    )
    deliveries = _webhooks(bench, provider, REFUNDED, 3)
    before = work.database.payments.find_one({"_id": payment_id})
    assert before is not None
    posts, ends = work.calls(provider, "POST"), set[Any]()
    for order in itertools.permutations(deliveries):
        work.database.payments.replace_one({"_id": payment_id}, before)
        work.database.webhooks.delete_many({})
        for one in order:
            bench.deliver(one)
            bench.deliver(one)
        after = work.stored(payment_id)
        facts = sorted(bench.facts(after))
        assert len(set(facts)) == len(facts), "each fact once"
        refs = sorted(one.refs["refund"] for one in after.operations[1:])
        ends.add((after.status, after.refunded, tuple(refs), len(after.operations)))
    assert [(end[1], end[3]) for end in ends] == [(1000, 4)]
    assert work.calls(provider, "POST") == posts


def test_a_repeated_webhook_changes_nothing(
    bench: WebhookWorkbench, dashboard: Dashboard, provider: str
) -> None:
    payment_id = bench.work.complete_payment(provider)
    dashboard.refund(payment_id, 500)
    deliveries = _webhooks(bench, provider, REFUNDED, 1)
    bench.deliver(*deliveries)
    before = bench.work.stored(payment_id)
    bench.inbox.reprocess([one.id for one in deliveries], now=bench.work.now())
    bench.handle([one.id for one in deliveries])
    assert bench.work.stored(payment_id) == before


def test_a_refund_of_a_foreign_charge_is_unmatched(bench: WebhookWorkbench) -> None:
    work = bench.work
    key = work.settings.stripe_secret_key or ""
    form = {
        "amount": "700",
        "currency": "usd",
        "confirm": "true",
        "payment_method": "pm_card_visa",
        "off_session": "true",
    }
    made = work.stripe.stripe("POST", "/v1/payment_intents", form, merchant=key)
    back = {"payment_intent": made.json()["id"]}
    assert work.stripe.stripe("POST", "/v1/refunds", back, merchant=key).ok
    [delivery] = _webhooks(bench, "stripe", REFUNDED, 1)
    bench.deliver(delivery)
    assert bench.status(delivery) is WebhookStatus.UNMATCHED


def test_a_reversal_first_seen_as_a_refund_becomes_a_dispute(
    bench: WebhookWorkbench,
) -> None:
    """PayPal lists a reversal among an order's refunds; its webhook may be late."""
    work, payment_id = bench.work, bench.work.complete_payment("paypal")
    capture = work.stored(payment_id).refs["capture"]
    answer = work.paypal.post("/_reversals", {"capture": capture})
    assert answer.status_code == 201, answer.text
    _look_first(bench, payment_id)
    assert work.work(payment_id).refunded == 1999
    reversed_ = {"paypal": "PAYMENT.CAPTURE.REVERSED"}
    bench.deliver(*_webhooks(bench, "paypal", reversed_, 1))
    after = work.work(payment_id)
    assert (after.refunded, after.disputed) == (0, 1999)
    _look_first(bench, payment_id)
    again = work.work(payment_id)
    assert (again.refunded, again.disputed) == (0, 1999)


def test_a_comparison_finds_changes_without_a_webhook(
    bench: WebhookWorkbench, dashboard: Dashboard, provider: str
) -> None:
    """The refund does not name our payment; its charge or capture does."""
    work = bench.work
    refunded = work.complete_payment(provider)
    captured = work.complete_payment(provider, capture="manual")
    dashboard.refund(refunded, 500)
    dashboard.capture(captured, 1999, final=True)
    found = {(one.payment, one.kind) for one in _compared(bench, provider).differences}
    theirs = {(one, DifferenceKind.THEIRS_ALONE) for one in (refunded, captured)}
    assert theirs <= found
    assert work.work(refunded).refunded == 500
    assert work.work(captured).status is Status.CAPTURED
    again = _compared(bench, provider).differences
    assert not {refunded, captured} & {one.payment for one in again}


def _compared(bench: WebhookWorkbench, provider: str) -> ReconciliationReport:
    """A comparison of the last hour with the provider's own account."""
    context = container.reconciliation_context(bench.work.settings, bench.work.database)
    until = context.clock().replace(microsecond=0) + timedelta(seconds=1)
    return reconcile(
        Account.own(ProviderName(provider)),
        until - timedelta(hours=1),
        until,
        context=context,
        on_progress=lambda progress: None,
    )


def _webhooks(
    bench: WebhookWorkbench, provider: str, types: dict[str, str], count: int
) -> list[SignedDelivery]:
    """The provider's webhooks of this type, once ``count`` have arrived."""
    wanted = types[provider]
    receiver = bench.receivers[provider]
    eventually(lambda: receiver.types().count(wanted) >= count, f"{count} {wanted}")
    return [one for one in bench.deliveries(provider) if one.type == wanted]


def _handle_without_work(
    bench: WebhookWorkbench, deliveries: list[SignedDelivery]
) -> None:
    """Handles the webhooks without carrying out the payments' steps."""
    for one in deliveries:
        assert bench.post(one).status_code == 200
    webhooks.handle([one.id for one in deliveries], bench.context)


def _look_first(bench: WebhookWorkbench, payment_id: str) -> None:
    """Makes a lookup the next step, before queued operations."""
    now = bench.work.now()
    set_ = {"operations.0.due_at": now, "operations.0.lookups_since": now}
    for number, one in enumerate(bench.work.stored(payment_id).operations):
        if number and one.due_at is not None:
            set_[f"operations.{number}.due_at"] = now + timedelta(minutes=1)
    bench.work.database.payments.update_one({"_id": payment_id}, {"$set": set_})
    bench.work.step(payment_id)


def _refunds(payment: Payment) -> str:
    if payment.provider == "stripe":
        return "/v1/refunds"
    return f"/v2/payments/captures/{payment.refs['capture']}/refund"


def _refunds_made(bench: WebhookWorkbench, provider: str) -> list[tuple[str, int]]:
    rows = bench.work.simulator(provider).movements(kind="refund")
    return [(row["kind"], row["amount"]) for row in rows]


def _discovered(bench: WebhookWorkbench, payment_id: str) -> list[dict[str, Any]]:
    path = f"/v1/payments/{payment_id}/events"
    events = bench.work.shop.get(path).json()["data"]
    return [one["data"] for one in events if one["type"] == "operation.discovered"]
