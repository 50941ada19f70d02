"""Refunds: the accepted requests, and the reserved amounts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.errors import Conflict, PaymentNotFound
from domain.payments.follow_ups import MAX_OPERATIONS
from domain.payments.states import State, Status
from domain.payments.submission import ProviderName
from tests.suites.samples import authorized, captured
from tests.support.operation_steps import capture, refund, succeed, decline

PAYPAL = ProviderName.PAYPAL


@pytest.mark.parametrize("state", ["unknown", "review", "dead"])
def test_unfinished_operation_keeps_its_reservation(state: str) -> None:
    asked = refund(captured(), 60)
    stuck = replace(asked.operations[-1], state=State(state))
    open_ = replace(asked, operations=(*asked.operations[:-1], stuck))
    assert (open_.refund_reserved, open_.refundable_amount(open_.first_operation)) == (
        60,
        1939,
    )


def test_refused_operation_releases_its_reservation() -> None:
    asked = refund(captured(), 60)
    refused = decline(asked)
    assert (refused.refunded, refused.refund_reserved) == (0, 0)
    assert refused.refundable_amount(refused.first_operation) == 1999
    assert refused.status is Status.CAPTURED


def test_refunds_of_parts_end_with_the_whole() -> None:
    part = succeed(refund(captured(), 600))
    assert (part.status, part.refunded) == (Status.PARTIALLY_REFUNDED, 600)
    whole = succeed(refund(part))
    assert (whole.status, whole.refunded) == (Status.REFUNDED, 1999)
    with pytest.raises(Conflict) as refused:
        refund(whole)
    assert refused.value.reason == "nothing_to_refund"


def test_refund_over_the_rest_is_refused() -> None:
    paid = captured()
    with pytest.raises(Conflict, match="19.99 USD can be refunded") as refused:
        refund(paid, 2000)
    assert refused.value.reason == "amount_exceeds_captured"
    with pytest.raises(Conflict, match="7.99 USD"):
        refund(refund(paid, 1200), 800)


def test_a_refund_goes_to_the_named_capture_or_the_first_with_enough_left() -> None:
    part = succeed(capture(authorized(provider=PAYPAL), 600))
    both = succeed(capture(part))
    first, second = both.operations[1:3]
    assert refund(both, 500).operations[-1].target == first.id
    assert refund(both, 700).operations[-1].target == second.id
    assert refund(both, 500, of=second.id).operations[-1].target == second.id
    with pytest.raises(Conflict, match="13.99 USD can be refunded of one capture.*op"):
        refund(both, 1999)
    with pytest.raises(Conflict):
        refund(both, of=both.first_operation.id)
    with pytest.raises(PaymentNotFound):
        refund(both, of="op_none")


def test_the_rest_of_several_captures_is_refunded_one_by_one() -> None:
    part = succeed(capture(authorized(provider=PAYPAL), 600))
    both = succeed(capture(part))
    first, second = both.operations[1:3]
    with pytest.raises(Conflict, match="name one of them as operation") as refused:
        refund(both)
    assert refused.value.reason == "several_captures"
    one = refund(both, of=first.id)
    assert (one.operations[-1].target, one.operations[-1].amount) == (first.id, 600)
    rest = refund(one)
    assert (rest.operations[-1].target, rest.operations[-1].amount) == (second.id, 1399)


def test_full_refund_with_a_rest_on_hold_is_partially_refunded() -> None:
    part = succeed(capture(authorized(provider=PAYPAL), 600))
    assert succeed(refund(part)).status is Status.PARTIALLY_REFUNDED


def test_a_payment_has_a_bounded_number_of_operations() -> None:
    paid = captured()
    for _ in range(MAX_OPERATIONS - 1):
        paid = refund(paid, 1)
    with pytest.raises(Conflict) as refused:
        refund(paid, 1)
    assert refused.value.reason == "too_many_operations"
