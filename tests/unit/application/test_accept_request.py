"""A request about a payment: reserved and durable first, then the wake-up queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from application.accept import Accepted, accept_request
from domain.errors import (
    Conflict,
    IdempotencyMismatch,
    PaymentNotFound,
    StoreUnavailable,
)
from domain.payments.follow_ups import refund, void
from domain.payments.operation import Kind, Origin
from domain.payments.payment import Payment
from domain.payments.states import Status
from tests.suites.samples import NOW, SHOP, payment, submission
from tests.unit.application.conftest import World


def test_refund_is_reserved_stored_and_notified(world: World) -> None:
    paid = _paid(world)
    accepted = _refund(world, paid, 60)
    assert not accepted.is_repeat
    assert (accepted.operation.kind, accepted.operation.amount) == (Kind.REFUND, 60)
    stored = world.stored(paid)
    assert (stored.refunded, stored.refund_reserved) == (0, 60)
    assert world.queue.waiting == [paid]
    world.attempt(paid)
    assert (world.stored(paid).refunded, world.stored(paid).refund_reserved) == (60, 0)
    assert sorted(one.amount.minor for one in world.provider.ledger.values()) == [
        60,
        1999,
    ]


def test_a_repeated_refund_is_the_same_and_one_with_a_new_key_is_another(
    world: World,
) -> None:
    paid = _paid(world)
    first = _refund(world, paid, 60, key="a")
    again = _refund(world, paid, 60, key="a")
    assert again.is_repeat
    assert again.operation == first.operation
    other = _refund(world, paid, 60, key="b")
    assert other.operation.id != first.operation.id
    assert world.stored(paid).refund_reserved == 120


def test_a_refunds_key_with_another_body_or_of_the_charge_is_refused(
    world: World,
) -> None:
    paid = _paid(world)
    _refund(world, paid, 60, key="a")
    for key in ("a", "key-1"):
        with pytest.raises(IdempotencyMismatch):
            _refund(world, paid, 60, key=key, fingerprint="other")
    assert len(world.stored(paid).operations) == 2


def test_one_of_two_refunds_over_the_amount_together_is_accepted(
    world: World,
) -> None:
    paid = _paid(world)
    _refund(world, paid, 1200, key="a")
    with pytest.raises(Conflict) as refused:
        _refund(world, paid, 1200, key="b")
    assert refused.value.reason == "amount_exceeds_captured"
    assert "7.99 USD" in str(refused.value)


def test_a_payment_changed_meanwhile_is_read_again(world: World) -> None:
    paid = _paid(world)

    def crowded(found: Payment) -> Payment:
        if len(found.operations) < 4:
            _refund(world, paid, 1, key=f"crowd-{len(found.operations)}")
        return _request(1, "mine", "f")(found)

    accepted = accept_request(
        paid,
        crowded,
        Origin("mine", "f"),
        scope=SHOP,
        store=world.store,
        queue=world.queue,
    )
    assert len(accepted.payment.operations) == 5


def test_request_that_always_meets_other_writes_is_refused(world: World) -> None:
    paid = _paid(world)

    def outdated(found: Payment) -> Payment:
        return replace(_request(1, "mine", "f")(found), version=found.version - 1)

    with pytest.raises(StoreUnavailable):
        accept_request(
            paid,
            outdated,
            Origin("mine", "f"),
            scope=SHOP,
            store=world.store,
            queue=world.queue,
        )
    assert len(world.stored(paid).operations) == 1


def test_void_of_a_scheduled_payment_notifies_no_worker(world: World) -> None:
    asked = submission(execute_at=NOW + timedelta(days=1))
    [one] = world.insert(payment(submitted=asked))
    accept_request(
        one,
        lambda found: void(found, id="op_void", origin=Origin("v", "f"), now=NOW),
        Origin("v", "f"),
        scope=SHOP,
        store=world.store,
        queue=world.queue,
    )
    assert world.stored(one).status is Status.CANCELED
    assert world.queue.waiting == []


def test_unknown_payment_is_not_found(world: World) -> None:
    with pytest.raises(PaymentNotFound):
        _refund(world, "pay_none", 1)


def _paid(world: World) -> str:
    [one] = world.insert(payment())
    world.attempt(one)
    return one


def _request(amount: int, key: str, fingerprint: str) -> Callable[[Payment], Payment]:
    return lambda found: refund(
        found,
        amount=amount,
        target=None,
        id=f"op_{key}",
        origin=Origin(key, fingerprint),
        now=NOW,
    )


def _refund(
    world: World, payment_id: str, amount: int, key: str = "r", fingerprint: str = "f"
) -> Accepted:
    return accept_request(
        payment_id,
        _request(amount, key, fingerprint),
        Origin(key, fingerprint),
        scope=SHOP,
        store=world.store,
        queue=world.queue,
    )
