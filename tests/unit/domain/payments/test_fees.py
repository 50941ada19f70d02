"""Fees: stored for each movement when the provider shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, strategies as st

from domain.money import Fee
from domain.payments.answer import Answer, Failure, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import refund
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State
from tests.suites.samples import (
    NOW,
    PRICE,
    captured,
    origin,
    payment,
    sending,
    stored,
)

FEE: Final = Fee(88, "USD")
PAID: Final = Answer(Verdict.SUCCEEDED, PRICE, {"payment_intent": "pi_1"}, fee=FEE)


def _look_up(paid: Payment, answer: Answer) -> Payment:
    """The payment after a lookup of the first operation."""
    claimed = start_lookup(paid, paid.first_operation, now=NOW)
    return stored(settle(claimed, answer, now=NOW, jitter=0))


def _refunded(paid: Payment, fee: Fee | None) -> Payment:
    asked = refund(
        paid, amount=None, target=None, id="op_r", origin=origin("r"), now=NOW
    )
    back = Answer(Verdict.SUCCEEDED, PRICE, {"refund": "re_1"}, fee=fee)
    return settle(sending(stored(asked)), back, now=NOW, jitter=0)


def test_the_fee_of_an_answer_is_stored_with_operation_and_payment() -> None:
    paid = settle(sending(payment()), PAID, now=NOW, jitter=0)
    assert (paid.first_operation.fee, paid.fee) == (FEE, FEE)


def test_late_fee_is_found_by_the_next_lookup_and_kept() -> None:
    paid = captured()
    assert (paid.first_operation.fee, paid.fee) == (None, None)
    known = _look_up(paid, PAID)
    assert known.first_operation.fee == FEE
    assert known.first_operation.state is State.SUCCEEDED
    assert _look_up(known, replace(PAID, fee=None)).first_operation.fee == FEE


def test_a_correction_keeps_the_paid_fee() -> None:
    paid = _look_up(captured(), PAID)
    failed = _look_up(paid, Answer(Verdict.DECLINED, failure=Failure("no", "No.")))
    assert (failed.first_operation.state, failed.first_operation.fee) == (
        State.DECLINED,
        FEE,
    )


@pytest.mark.parametrize(
    ("fee", "sum_"),
    [
        (Fee(0, "USD"), Fee(88, "USD")),
        (Fee(-58, "USD"), Fee(30, "USD")),
        (Fee(5, "EUR"), None),
        (None, FEE),
    ],
)
def test_the_fee_of_a_payment_is_the_sum_in_one_currency(
    fee: Fee | None, sum_: Fee | None
) -> None:
    assert _refunded(_look_up(captured(), PAID), fee).fee == sum_


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=20))
def test_the_sum_has_every_fee(minors: list[int]) -> None:
    first = captured().first_operation
    operations = tuple(replace(first, fee=Fee(minor, "USD")) for minor in minors)
    paid = replace(captured(), operations=(*operations, replace(first, fee=None)))
    assert paid.fee == Fee(sum(minors), "USD")
