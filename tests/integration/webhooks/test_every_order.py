"""Webhooks in every order, each twice: the payment comes to the same end."""

from __future__ import annotations

import itertools
from dataclasses import replace

from domain.operation import Kind
from domain.states import State, Status
from persistence.codec import Document
from tests.integration.webhooks.hearing import HearingBench, Told


def test_webhooks_in_every_order_twice(bench: HearingBench) -> None:
    """All that PayPal tells of two captures and two refunds, while we do not know
    whether the refunds happened."""
    work = bench.work
    payment_id = work.paid("paypal", capture="manual")
    for amount in (1200, 799):
        assert work.ask(payment_id, "captures", amount=amount).status_code == 202
        work.work(payment_id)
    for one in work.stored(payment_id).operations:
        if one.kind is Kind.CAPTURE:
            path = f"/v2/payments/captures/{one.refs['capture']}/refund"
            work.lose_answer("paypal", path)
            asked = work.ask(payment_id, "refunds", amount=300, operation=one.id)
            assert asked.status_code == 202, asked.text
    _two_unheard(bench, payment_id)
    # That the order is complete says less than what was done with it; 5 are 120 orders.
    told = [one for one in bench.all_told("paypal", 6) if "ORDER" not in one.type]
    assert len(told) == 5
    before = work.database.payments.find_one({"_id": payment_id})
    assert before is not None
    ends = {_end(bench, before, order) for order in itertools.permutations(told)}
    assert len(ends) == 1, "the same end, whatever the order"
    [(status, captured, refunded, facts)] = ends
    assert (status, captured, refunded) == (Status.PARTIALLY_REFUNDED, 1999, 600)
    assert len(set(facts)) == len(facts), "each fact once"
    assert [kind for kind, _ in work.moved(payment_id)].count("refund") == 2


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
    before = work.database.payments.find_one({"_id": payment_id})
    assert before is not None
    ends = {_end(bench, before, order) for order in itertools.permutations(told)}
    [(status, captured, refunded, facts)] = ends
    assert (status, captured, refunded) == (Status.CAPTURED, 1999, 0)
    assert len(set(facts)) == len(facts), "each fact once"


def _two_unheard(bench: HearingBench, payment_id: str) -> None:
    """Sends the two operations that were asked for last; their answers get lost."""
    work = bench.work
    # Each is due again later than the other is for the first time.
    work.tools = replace(work.tools, jitter=lambda: 1.0)
    work.step(payment_id)
    unknown = work.step(payment_id)
    assert [one.state for one in unknown.operations[-2:]] == [State.UNKNOWN] * 2


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
