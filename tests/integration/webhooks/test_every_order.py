"""Tests that webhooks have the same result in every order, each handled twice."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta

from domain.payments.operation import Kind, Operation
from domain.payments.states import State, Status
from persistence.codec import Document
from providers.stripe.webhooks import StripeWebhooks
from tests.support.simulator_process import eventually
from tests.support.webhook_workbench import WebhookWorkbench, SignedDelivery


def test_paypals_webhooks_in_every_order_twice_have_one_result(
    bench: WebhookWorkbench,
) -> None:
    """PayPal's webhooks of two captures and two refunds whose answers were lost."""
    payment_id = bench.work.complete_payment("paypal", capture="manual")
    _captured_in_two(bench, payment_id)
    for capture in _captures(bench, payment_id):
        path = f"/v2/payments/captures/{capture.refs['capture']}/refund"
        _refund_with_lost_answer(bench, capture, payment_id, path)
    _lose_two_answers(bench, payment_id)
    # Webhooks of the order add nothing to those of captures and refunds; without them
    # there are 120 sequences.
    deliveries = [
        one for one in bench.all_deliveries("paypal", 6) if "ORDER" not in one.type
    ]
    assert len(deliveries) == 5
    status, captured, refunded = _one_end(bench, payment_id, deliveries)
    assert (status, captured, refunded) == (Status.PARTIALLY_REFUNDED, 1999, 600)


def test_stripes_webhooks_in_every_order_twice_have_one_result(
    bench: WebhookWorkbench,
) -> None:
    """All webhooks of Stripe that are handled."""
    payment_id = bench.work.complete_payment(capture="manual", multicapture=True)
    _captured_in_two(bench, payment_id)
    for capture in _captures(bench, payment_id):
        _refund_with_lost_answer(bench, capture, payment_id, "/v1/refunds")
    _lose_two_answers(bench, payment_id)
    receiver = bench.receivers["stripe"]
    eventually(lambda: receiver.types().count("refund.created") == 2, "both arrive")
    deliveries = [
        one
        for one in bench.deliveries("stripe")
        if one.type in StripeWebhooks.event_types
    ]
    assert len(deliveries) == 5
    status, captured, refunded = _one_end(bench, payment_id, deliveries)
    assert (status, captured, refunded) == (Status.PARTIALLY_REFUNDED, 1999, 600)


def test_webhooks_of_unknown_captures_in_every_order_twice_have_one_result(
    bench: WebhookWorkbench,
) -> None:
    work = bench.work
    payment_id = work.complete_payment("paypal", capture="manual")
    held = work.stored(payment_id).refs["authorization"]
    for amount in (1200, 799):
        work.lose_answer("paypal", f"/v2/payments/authorizations/{held}/capture")
        assert work.request(payment_id, "captures", amount=amount).status_code == 202
    _lose_two_answers(bench, payment_id)
    deliveries = bench.all_deliveries("paypal", 3)
    assert _one_end(bench, payment_id, deliveries) == (Status.CAPTURED, 1999, 0)


def _captured_in_two(bench: WebhookWorkbench, payment_id: str) -> None:
    for amount, final in ((1200, False), (799, True)):
        asked = bench.work.request(payment_id, "captures", amount=amount, final=final)
        assert asked.status_code == 202, asked.text
        bench.work.work(payment_id)


def _captures(bench: WebhookWorkbench, payment_id: str) -> list[Operation]:
    operations = bench.work.stored(payment_id).operations
    return [one for one in operations if one.kind is Kind.CAPTURE]


def _refund_with_lost_answer(
    bench: WebhookWorkbench, of: Operation, payment_id: str, path: str
) -> None:
    """Requests a partial refund whose answer will be lost."""
    asked = bench.work.request(payment_id, "refunds", amount=300, operation=of.id)
    assert asked.status_code == 202, asked.text
    bench.work.lose_answer(bench.work.stored(payment_id).provider, path)


def _one_end(
    bench: WebhookWorkbench, payment_id: str, deliveries: Sequence[SignedDelivery]
) -> tuple[Status, int, int]:
    """The result of these webhooks in every order.

    Asserts that there is one result, that each fact is recorded once, and that no money
    moved.
    """
    name = bench.work.stored(payment_id).provider
    posts, moved = bench.work.calls(name, "POST"), bench.work.list_movements(payment_id)
    before = bench.work.database.payments.find_one({"_id": payment_id})
    assert before is not None
    ends = _ends(bench, before, deliveries)
    assert len(ends) == 1, "one result for every order"
    [(end, document)] = ends.items()
    for one in deliveries:
        again, _ = _handled(bench, document, one)
        assert again == end, "a late repetition changes nothing"
    after = bench.work.stored(payment_id)
    assert bench.work.calls(name, "POST") == posts, "no operation was sent again"
    assert bench.work.list_movements(payment_id) == moved
    return after.status, after.captured, after.refunded


def _lose_two_answers(bench: WebhookWorkbench, payment_id: str) -> None:
    """Sends the last two operations; their answers are lost."""
    work = bench.work
    # With full jitter, each is due again only after both were sent.
    work.context = replace(work.context, jitter=lambda: 1.0)
    work.step(payment_id)
    unknown = work.step(payment_id)
    assert [one.state for one in unknown.operations[-2:]] == [State.UNKNOWN] * 2
    # Only webhooks may resolve them.
    late = work.now() + timedelta(hours=1)
    for one in unknown.operations[-2:]:
        work.database.payments.update_one(
            {"_id": payment_id, "operations.id": one.id},
            {"$set": {"operations.$.due_at": late, "due_at": late}},
        )


def _ends(
    bench: WebhookWorkbench, before: Document, deliveries: Sequence[SignedDelivery]
) -> dict[Hashable, Document]:
    """The results of these webhooks in every order.

    Orders of the same webhooks that lead to one state are continued once.
    """
    states: dict[tuple[frozenset[str], Hashable], Document] = {
        (frozenset(), None): before
    }
    for _ in deliveries:
        reached = {}
        for (ids, _), document in states.items():
            for one in deliveries:
                if one.id not in ids:
                    state, after = _handled(bench, document, one)
                    reached[ids | {one.id}, state] = after
        states = reached
    return {state: document for (_, state), document in states.items()}


def _handled(
    bench: WebhookWorkbench, before: Document, delivery: SignedDelivery
) -> tuple[Hashable, Document]:
    """The state after a webhook is delivered and handled twice, and the document.

    The state is the payment with its facts. Times and the number of writes are left
    out.
    """
    work = bench.work
    work.database.payments.replace_one({"_id": before["_id"]}, before)
    work.database.webhooks.delete_many({})
    bench.deliver(delivery)
    bench.deliver(delivery)
    bench.inbox.reprocess([delivery.id], now=work.now())
    bench.handle([delivery.id])
    payment = work.stored(before["_id"])
    facts = bench.facts(payment)
    assert len(set(facts)) == len(facts), "each fact once"
    after = work.database.payments.find_one({"_id": payment.id})
    assert after is not None
    return (_without_times(replace(payment, version=0)), frozenset(facts)), after


def _without_times(value: object) -> Hashable:
    """The value with all its fields; only whether there is a time is kept."""
    if isinstance(value, datetime):
        return datetime
    if is_dataclass(value):
        named = {one.name: getattr(value, one.name) for one in fields(value)}
        return type(value), _without_times(named)
    if isinstance(value, Mapping):
        return tuple((name, _without_times(one)) for name, one in value.items())
    if isinstance(value, tuple):
        return tuple(map(_without_times, value))
    assert isinstance(value, Hashable)
    return value
