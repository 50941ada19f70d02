"""Webhooks in every order, each twice: the payment comes to the same end."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from domain.payments.operation import Kind, Operation
from domain.payments.states import State, Status
from persistence.codec import Document
from providers.stripe.webhooks import StripeWebhooks
from tests.support.simulator_process import eventually
from tests.support.webhook_workbench import HearingBench, Told


def test_webhooks_in_every_order_twice(bench: HearingBench) -> None:
    """All that PayPal tells of two captures and two refunds, while we do not know
    whether the refunds happened."""
    payment_id = bench.work.paid("paypal", capture="manual")
    _captured_in_two(bench, payment_id)
    for capture in _captures(bench, payment_id):
        path = f"/v2/payments/captures/{capture.refs['capture']}/refund"
        _refund_unheard(bench, capture, payment_id, path)
    _two_unheard(bench, payment_id)
    # That the order is complete says less than what was done with it; 5 are 120 orders.
    told = [one for one in bench.all_told("paypal", 6) if "ORDER" not in one.type]
    assert len(told) == 5
    status, captured, refunded = _one_end(bench, payment_id, told)
    assert (status, captured, refunded) == (Status.PARTIALLY_REFUNDED, 1999, 600)


def test_stripes_webhooks_in_every_order_twice(bench: HearingBench) -> None:
    """The same of Stripe: all that tells us something."""
    payment_id = bench.work.paid(capture="manual", multicapture=True)
    _captured_in_two(bench, payment_id)
    for capture in _captures(bench, payment_id):
        _refund_unheard(bench, capture, payment_id, "/v1/refunds")
    _two_unheard(bench, payment_id)
    heard = bench.receivers["stripe"]
    eventually(lambda: heard.types().count("refund.created") == 2, "refunds are told")
    told = [
        one for one in bench.told("stripe") if one.type in StripeWebhooks.event_types
    ]
    assert len(told) == 5
    status, captured, refunded = _one_end(bench, payment_id, told)
    assert (status, captured, refunded) == (Status.PARTIALLY_REFUNDED, 1999, 600)


def test_webhooks_of_captures_we_do_not_know_of_in_every_order_twice(
    bench: HearingBench,
) -> None:
    work = bench.work
    payment_id = work.paid("paypal", capture="manual")
    held = work.stored(payment_id).refs["authorization"]
    for amount in (1200, 799):
        work.lose_answer("paypal", f"/v2/payments/authorizations/{held}/capture")
        assert work.ask(payment_id, "captures", amount=amount).status_code == 202
    _two_unheard(bench, payment_id)
    told = bench.all_told("paypal", 3)
    assert _one_end(bench, payment_id, told) == (Status.CAPTURED, 1999, 0)


def _captured_in_two(bench: HearingBench, payment_id: str) -> None:
    for amount, final in ((1200, False), (799, True)):
        asked = bench.work.ask(payment_id, "captures", amount=amount, final=final)
        assert asked.status_code == 202, asked.text
        bench.work.work(payment_id)


def _captures(bench: HearingBench, payment_id: str) -> list[Operation]:
    operations = bench.work.stored(payment_id).operations
    return [one for one in operations if one.kind is Kind.CAPTURE]


def _refund_unheard(
    bench: HearingBench, of: Operation, payment_id: str, path: str
) -> None:
    """Asks for a refund of a part, whose answer is going to get lost."""
    asked = bench.work.ask(payment_id, "refunds", amount=300, operation=of.id)
    assert asked.status_code == 202, asked.text
    bench.work.lose_answer(bench.work.stored(payment_id).provider, path)


def _one_end(
    bench: HearingBench, payment_id: str, told: Sequence[Told]
) -> tuple[Status, int, int]:
    """Where these webhooks lead, in whatever order they come: each fact told once, and
    nothing moved by them."""
    name = bench.work.stored(payment_id).provider
    posts, moved = bench.work.calls(name, "POST"), bench.work.moved(payment_id)
    before = bench.work.database.payments.find_one({"_id": payment_id})
    assert before is not None
    ends = {_end(bench, before, order) for order in itertools.permutations(told)}
    assert len(ends) == 1, "the same end, whatever the order"
    [(status, captured, refunded, facts)] = ends
    assert len(set(facts)) == len(facts), "each fact once"
    assert bench.work.calls(name, "POST") == posts, "none was sent again"
    assert bench.work.moved(payment_id) == moved
    return status, captured, refunded


def _two_unheard(bench: HearingBench, payment_id: str) -> None:
    """Sends the two operations that were asked for last; their answers get lost."""
    work = bench.work
    # Each is due again later than the other is for the first time.
    work.tools = replace(work.tools, jitter=lambda: 1.0)
    work.step(payment_id)
    unknown = work.step(payment_id)
    assert [one.state for one in unknown.operations[-2:]] == [State.UNKNOWN] * 2
    # Nothing but what is told may find them out.
    late = work.now() + timedelta(hours=1)
    for one in unknown.operations[-2:]:
        work.database.payments.update_one(
            {"_id": payment_id, "operations.id": one.id},
            {"$set": {"operations.$.due_at": late, "due_at": late}},
        )


def _end(
    bench: HearingBench, before: Document, order: tuple[Told, ...]
) -> tuple[Status, int, int, tuple[tuple[str, str], ...]]:
    """What a payment comes to by these webhooks, each told twice and handled twice."""
    work = bench.work
    work.database.payments.replace_one({"_id": before["_id"]}, before)
    work.database.webhooks.delete_many({})
    for one in order:
        bench.hear(one)
        bench.hear(one)
    ids = [one.id for one in order]
    bench.inbox.replay(ids, now=work.now())
    bench.handle(ids)
    after = work.stored(before["_id"])
    return (
        after.status,
        after.captured,
        after.refunded,
        tuple(sorted(bench.facts(after))),
    )
