"""Refunds of disputed money: the same money is never returned twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.errors import Conflict
from domain.money import Money
from domain.payments import follow_ups
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from tests.suites.samples import NOW, PRICE, captured, origin
from tests.support.disputes import LOST, dispute, apply_disputes


def refund(paid: Payment, amount: int | None, *, of: str | None = None) -> Payment:
    """The payment with a requested refund, by default of the whole rest."""
    return follow_ups.refund(
        paid, amount=amount, target=of, id="op_9", origin=origin(), now=NOW
    )


def test_cost_of_a_lost_dispute_cannot_be_refunded() -> None:
    part = replace(LOST, withdrawn=1500)
    lost = apply_disputes(captured(), part)
    assert lost.refundable_amount(lost.first_operation) == PRICE.minor - 1500
    with pytest.raises(Conflict, match="4.99 USD can be refunded"):
        refund(lost, 500)
    assert refund(lost, 499).operations[-1].kind is Kind.REFUND
    with pytest.raises(Conflict) as caught:
        refund(apply_disputes(lost, LOST), None)
    assert caught.value.reason == "nothing_to_refund"


def test_a_charge_shared_by_several_captures_is_lost_for_all_of_them() -> None:
    """Stripe's disputes are of the charge, and each capture is a part of it."""
    refs = {"payment_intent": "pi_1", "charge": "ch_1"}
    first = replace(captured().first_operation, moved=1200, refs=refs)
    second = replace(first, id="op_2", kind=Kind.CAPTURE, moved=799)
    other = replace(second, id="op_3", moved=10, refs={"charge": "ch_2"})
    paid = replace(captured(), operations=(first, second, other))
    lost = apply_disputes(paid, LOST)
    assert [lost.refundable_amount(one) for one in lost.operations] == [0, 0, 10]
    part = apply_disputes(paid, replace(LOST, withdrawn=1500))
    assert [part.refundable_amount(one) for one in part.operations] == [499, 499, 10]
    asked = refund(part, 400, of="op_2")
    assert [asked.refundable_amount(one) for one in asked.operations[:2]] == [99, 99]


def test_two_lost_disputes_of_one_charge_count_together() -> None:
    paid = captured()
    lost = apply_disputes(
        paid, *(replace(LOST, id=f"dp_{n}", withdrawn=900) for n in (1, 2))
    )
    assert lost.refundable_amount(lost.first_operation) == PRICE.minor - 1800


def test_open_dispute_leaves_the_refund_to_the_provider() -> None:
    disputed = apply_disputes(captured(), dispute())
    assert disputed.refundable_amount(disputed.first_operation) == PRICE.minor


def test_a_lost_dispute_in_another_currency_leaves_nothing_to_refund() -> None:
    euros = replace(LOST, money=Money(1721, "EUR"), withdrawn=1721)
    lost = apply_disputes(captured(), euros)
    assert lost.refundable_amount(lost.first_operation) == 0
    kept = apply_disputes(captured(), replace(euros, withdrawn=0))
    assert kept.refundable_amount(kept.first_operation) == PRICE.minor
