"""A new payment: durable first, then the bell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from application.accept import Accepted, accept_payment, accept_request
from application.ports import Query, Scope
from domain.account import Account
from domain.errors import (
    Conflict,
    IdempotencyMismatch,
    InvalidPayment,
    PaymentNotFound,
    StoreUnavailable,
)
from domain.money import Money
from domain.operation import Kind, Origin
from domain.payment import BELL_GRACE, Payment
from domain.requests import refund, void
from domain.routing import Candidate, Routes
from domain.states import State, Status
from domain.submission import Mode, ProviderName, Submission
from tests.suites.samples import NOW, SHOP, payment, submission
from tests.unit.application.conftest import World

Accept = Callable[..., Accepted]


@pytest.fixture
def accept(world: World) -> Accept:
    """``accept_payment`` in the world."""
    numbers = count(1)

    def accept(
        asked: Submission,
        key: str = "k",
        fingerprint: str = "f",
        scope: Scope = SHOP,
        routes: Routes = Routes(),
    ) -> Accepted:
        return accept_payment(
            asked,
            Origin(key, fingerprint, "req_1", "00-trace"),
            scope=scope,
            routes=routes,
            draw=0.0,
            store=world.store,
            queue=world.queue,
            clock=world.clock,
            new_id=lambda kind: f"{kind}_{next(numbers):026d}",
        )

    return accept


def test_a_new_payment_is_stored_and_rung_for(world: World, accept: Accept) -> None:
    asked = submission(reference="order 7")
    accepted = accept(asked)
    assert not accepted.replayed
    stored = world.stored(accepted.payment.id)
    assert stored == accepted.payment
    assert (stored.submission, stored.status) == (asked, Status.PROCESSING)
    assert (stored.first.state, stored.first.amount) == (State.QUEUED, 1999)
    assert stored.first.origin == Origin("k", "f", "req_1", "00-trace")
    assert stored.due_at == NOW + BELL_GRACE, "recovery looks if the message is lost"
    assert world.queue.waiting == [stored.id]
    [event] = world.store.timeline(SHOP, stored.id) or []
    assert (event.type, event.data["to"]) == ("payment.accepted", "queued")


def test_the_same_request_again_is_the_same_payment_and_rings_no_bell(
    world: World, accept: Accept
) -> None:
    first = accept(submission())
    world.queue.take(1)
    again = accept(submission())
    assert again == Accepted(first.payment, first.operation, replayed=True)
    assert world.queue.waiting == []
    assert len(world.store.page(SHOP, Query())) == 1


def test_a_repeat_answers_with_what_became_of_the_payment(
    world: World, accept: Accept
) -> None:
    first = accept(submission())
    world.attempt(first.payment.id)
    assert accept(submission()).payment.status is Status.CAPTURED


def test_the_same_key_with_another_body_is_refused_and_changes_nothing(
    world: World, accept: Accept
) -> None:
    first = accept(submission())
    with pytest.raises(IdempotencyMismatch):
        accept(submission(amount=Money(5, "USD")), fingerprint="other")
    assert world.stored(first.payment.id) == first.payment
    assert world.queue.waiting == [first.payment.id]


@pytest.mark.parametrize(
    "other", [Scope("rival", Mode.TEST), Scope(SHOP.merchant, Mode.LIVE)]
)
def test_a_key_of_another_merchant_or_mode_is_another_key(
    accept: Accept, other: Scope
) -> None:
    assert not accept(submission()).replayed
    assert not accept(submission(), fingerprint="other", scope=other).replayed


def test_an_invalid_payment_leaves_no_trace_and_its_key_free(
    world: World, accept: Accept
) -> None:
    with pytest.raises(InvalidPayment):
        accept(submission(amount=Money(0, "USD")))
    assert world.store.page(SHOP, Query()) == []
    assert world.queue.waiting == []
    assert not accept(submission(), fingerprint="other").replayed


def test_without_the_store_nothing_is_promised_and_no_bell_rings(
    world: World, accept: Accept
) -> None:
    world.store.away = True
    with pytest.raises(StoreUnavailable):
        accept(submission())
    assert world.queue.waiting == []


def test_without_the_queue_a_payment_is_accepted_all_the_same(
    world: World, accept: Accept
) -> None:
    world.queue.away = True
    accepted = accept(submission())
    world.now += BELL_GRACE
    assert world.store.due_ids(10) == [accepted.payment.id]


def test_a_scheduled_payment_waits_without_a_bell(world: World, accept: Accept) -> None:
    at = NOW + timedelta(days=1)
    accepted = accept(submission(execute_at=at))
    assert world.queue.waiting == []
    assert accepted.payment.due_at == at
    world.now = at
    assert world.store.due_ids(10) == [accepted.payment.id]


def test_a_schedule_in_the_past_is_now(world: World, accept: Accept) -> None:
    accepted = accept(submission(execute_at=NOW - timedelta(days=1)))
    assert world.queue.waiting == [accepted.payment.id]
    assert accepted.payment.due_at == NOW + BELL_GRACE


def test_a_schedule_within_the_grace_is_kept(world: World, accept: Accept) -> None:
    accepted = accept(submission(execute_at=NOW + BELL_GRACE * 2))
    assert world.store.load_due([accepted.payment.id]) == []


def test_a_refund_is_reserved_stored_and_rung_for(world: World) -> None:
    paid = _paid(world)
    accepted = _refund(world, paid, 60)
    assert not accepted.replayed
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


def test_the_same_refund_again_is_the_same_and_a_second_one_meant_is_another(
    world: World,
) -> None:
    paid = _paid(world)
    first = _refund(world, paid, 60, key="a")
    again = _refund(world, paid, 60, key="a")
    assert again.replayed
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


def test_of_two_refunds_that_want_too_much_together_one_is_accepted(
    world: World,
) -> None:
    paid = _paid(world)
    _refund(world, paid, 1200, key="a")
    with pytest.raises(Conflict) as refused:
        _refund(world, paid, 1200, key="b")
    assert refused.value.why == "amount_exceeds_captured"
    assert "7.99 USD" in str(refused.value)


def test_a_payment_that_others_write_meanwhile_is_read_again(world: World) -> None:
    paid = _paid(world)

    def crowded(found: Payment) -> Payment:
        if len(found.operations) < 4:
            _refund(world, paid, 1, key=f"crowd-{len(found.operations)}")
        return _asking(1, "mine", "f")(found)

    accepted = accept_request(
        paid,
        crowded,
        Origin("mine", "f"),
        scope=SHOP,
        store=world.store,
        queue=world.queue,
    )
    assert len(accepted.payment.operations) == 5


def test_a_crowd_without_end_is_told_to_come_later(world: World) -> None:
    paid = _paid(world)

    def outdated(found: Payment) -> Payment:
        return replace(_asking(1, "mine", "f")(found), version=found.version - 1)

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


def test_what_calls_off_a_scheduled_payment_rings_no_bell(world: World) -> None:
    asked = submission(execute_at=NOW + timedelta(days=1))
    [one] = world.insert(payment(asked=asked))
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


def test_a_payment_of_nobody_is_not_found(world: World) -> None:
    with pytest.raises(PaymentNotFound):
        _refund(world, "pay_none", 1)


def _paid(world: World) -> str:
    [one] = world.insert(payment())
    world.attempt(one)
    return one


def _asking(amount: int, key: str, fingerprint: str) -> Callable[[Payment], Payment]:
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
        _asking(amount, key, fingerprint),
        Origin(key, fingerprint),
        scope=SHOP,
        store=world.store,
        queue=world.queue,
    )


def test_a_merchants_own_account_is_chosen_with_where_to_go_on(
    world: World, accept: Accept
) -> None:
    one, two = (Account(f"acct_{n}", ProviderName.STRIPE) for n in (1, 2))
    routes = Routes((Candidate(one), Candidate(two, weight=0)), ("do_not_honor",))
    accepted = accept(submission(), routes=routes).payment
    assert (accepted.account, accepted.route) == (one, (two,))
    assert accepted.routes_on == ("do_not_honor",)
    alone = accept(submission(), "k2", routes=replace(routes, candidates=()))
    assert alone.payment.account.is_own and not alone.payment.routes_on


def test_where_no_account_takes_it_nothing_is_stored(
    world: World, accept: Accept
) -> None:
    retired = Candidate(Account("acct_1", ProviderName.STRIPE), retired=True)
    with pytest.raises(InvalidPayment):
        accept(submission(), routes=Routes((retired,)))
    assert world.store.everything() == []


def test_who_asks_again_hears_of_the_first_though_its_account_is_gone(
    world: World, accept: Accept
) -> None:
    account = Account("acct_1", ProviderName.STRIPE)
    first = accept(submission(), routes=Routes((Candidate(account),)))
    gone = Routes((Candidate(account, retired=True),))
    again = accept(submission(), routes=gone)
    assert again.replayed and again.payment == first.payment
    with pytest.raises(IdempotencyMismatch):
        accept(submission(), fingerprint="other", routes=gone)
