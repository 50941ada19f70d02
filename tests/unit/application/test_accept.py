"""A new payment: durable first, then the wake-up queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from application.accept import Accepted, NewPayment, accept_many, accept_payment
from application.ports.payments import Query, Scope
from domain.account import Account
from domain.errors import (
    IdempotencyMismatch,
    InvalidPayment,
    PaymentsError,
    ReferenceInProgress,
    StoreUnavailable,
)
from domain.money import Money
from domain.payments.operation import Origin
from domain.payments.payment import WAKEUP_GRACE, Payment
from domain.payments.routing import Candidate, Routes
from domain.payments.states import State, Status
from domain.payments.submission import (
    DuplicatePolicy,
    Mode,
    ProviderName,
    Submission,
)
from tests.suites.samples import NOW, SHOP, submission
from tests.unit.application.conftest import World

Accept = Callable[..., Accepted]
Outcome = Accepted | PaymentsError
AcceptAll = Callable[[Sequence[NewPayment]], list[Outcome]]


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
            NewPayment(asked, Origin(key, fingerprint, "req_1", "00-trace")),
            scope=scope,
            routes=routes,
            draw=lambda: 0.0,
            store=world.store,
            queue=world.queue,
            clock=world.clock,
            new_id=lambda kind: f"{kind}_{next(numbers):026d}",
        )

    return accept


def test_a_new_payment_is_stored_and_notified(world: World, accept: Accept) -> None:
    asked = submission(reference="order 7")
    accepted = accept(asked)
    assert not accepted.is_repeat
    stored = world.stored(accepted.payment.id)
    assert stored == accepted.payment
    assert (stored.submission, stored.status) == (asked, Status.PROCESSING)
    assert (stored.first_operation.state, stored.first_operation.amount) == (
        State.QUEUED,
        1999,
    )
    assert stored.first_operation.origin == Origin("k", "f", "req_1", "00-trace")
    assert (
        stored.due_at == NOW + WAKEUP_GRACE
    ), "recovery finds it if the message is lost"
    assert world.queue.waiting == [stored.id]
    [event] = world.store.load_timeline(SHOP, stored.id) or []
    assert (event.type, event.data["to"]) == ("payment.accepted", "queued")


def test_a_repeated_request_gets_the_same_payment_without_a_notification(
    world: World, accept: Accept
) -> None:
    first = accept(submission())
    world.queue.take(1)
    again = accept(submission())
    assert again == Accepted(first.payment, first.operation, is_repeat=True)
    assert world.queue.waiting == []
    assert len(world.store.list_payments(SHOP, Query())) == 1


def test_a_repeated_request_gets_the_payments_current_state(
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
    assert not accept(submission()).is_repeat
    assert not accept(submission(), fingerprint="other", scope=other).is_repeat


def test_an_invalid_payment_leaves_no_trace_and_its_key_free(
    world: World, accept: Accept
) -> None:
    with pytest.raises(InvalidPayment):
        accept(submission(amount=Money(0, "USD")))
    assert world.store.list_payments(SHOP, Query()) == []
    assert world.queue.waiting == []
    assert not accept(submission(), fingerprint="other").is_repeat


def test_a_request_without_the_store_is_refused_and_not_notified(
    world: World, accept: Accept
) -> None:
    world.store.away = True
    with pytest.raises(StoreUnavailable):
        accept(submission())
    assert world.queue.waiting == []


def test_a_payment_is_accepted_without_the_queue(world: World, accept: Accept) -> None:
    world.queue.away = True
    accepted = accept(submission())
    world.now += WAKEUP_GRACE
    assert world.store.find_due_ids(10) == [accepted.payment.id]


def test_a_scheduled_payment_waits_without_a_notification(
    world: World, accept: Accept
) -> None:
    at = NOW + timedelta(days=1)
    accepted = accept(submission(execute_at=at))
    assert world.queue.waiting == []
    assert accepted.payment.due_at == at
    world.now = at
    assert world.store.find_due_ids(10) == [accepted.payment.id]


def test_a_payment_scheduled_in_the_past_is_due_now(
    world: World, accept: Accept
) -> None:
    accepted = accept(submission(execute_at=NOW - timedelta(days=1)))
    assert world.queue.waiting == [accepted.payment.id]
    assert accepted.payment.due_at == NOW + WAKEUP_GRACE


def test_a_schedule_within_the_grace_is_kept(world: World, accept: Accept) -> None:
    accepted = accept(submission(execute_at=NOW + WAKEUP_GRACE * 2))
    assert world.store.load_due([accepted.payment.id]) == []


def test_a_merchants_own_account_is_chosen_with_its_route(
    world: World, accept: Accept
) -> None:
    one, two = (Account(f"acct_{n}", ProviderName.STRIPE) for n in (1, 2))
    routes = Routes((Candidate(one), Candidate(two, weight=0)), ("do_not_honor",))
    accepted = accept(submission(), routes=routes).payment
    assert (accepted.account, accepted.route) == (one, (two,))
    assert accepted.routes_on == ("do_not_honor",)
    alone = accept(submission(), "k2", routes=replace(routes, candidates=()))
    assert alone.payment.account.is_own and not alone.payment.routes_on


def test_a_payment_that_no_account_takes_is_not_stored(
    world: World, accept: Accept
) -> None:
    retired = Candidate(Account("acct_1", ProviderName.STRIPE), retired=True)
    with pytest.raises(InvalidPayment):
        accept(submission(), routes=Routes((retired,)))
    assert world.store.all_payments() == []


def test_a_repeated_request_gets_the_first_payment_after_its_accounts_removal(
    world: World, accept: Accept
) -> None:
    account = Account("acct_1", ProviderName.STRIPE)
    first = accept(submission(), routes=Routes((Candidate(account),)))
    gone = Routes((Candidate(account, retired=True),))
    again = accept(submission(), routes=gone)
    assert again.is_repeat and again.payment == first.payment
    with pytest.raises(IdempotencyMismatch):
        accept(submission(), fingerprint="other", routes=gone)


@pytest.fixture
def accept_all(world: World) -> AcceptAll:
    """``accept_many`` in the world."""
    numbers = count(1)

    def accept_all(requests: Sequence[NewPayment]) -> list[Outcome]:
        return accept_many(
            requests,
            scope=SHOP,
            routes=Routes(),
            draw=lambda: 0.0,
            store=world.store,
            queue=world.queue,
            clock=world.clock,
            new_id=lambda kind: f"{kind}_{next(numbers):026d}",
        )

    return accept_all


def request(key: str, fingerprint: str = "f", **asked: Any) -> NewPayment:
    """A request for a payment."""
    return NewPayment(submission(**asked), Origin(key, fingerprint))


def test_each_request_of_a_group_has_its_own_result_or_error(
    world: World, accept_all: AcceptAll
) -> None:
    unfinished = DuplicatePolicy.UNFINISHED
    blocked: dict[str, Any] = {"reference": "order 1", "duplicate_policy": unfinished}
    results = accept_all(
        [
            request("one", **blocked),
            request("two", amount=Money(0, "USD")),
            request("three", **blocked),
            request("four"),
            request("one", **blocked),
            request("four", "other"),
        ]
    )
    first, invalid, refused, fourth, repeat, mismatch = results
    assert isinstance(first, Accepted) and isinstance(fourth, Accepted)
    assert isinstance(invalid, InvalidPayment)
    assert isinstance(refused, ReferenceInProgress)
    assert refused.payment == first.payment.id
    assert repeat == replace(first, is_repeat=True)
    assert isinstance(mismatch, IdempotencyMismatch)
    stored = {first.payment.id, fourth.payment.id}
    assert {one.id for one in world.store.all_payments()} == stored
    assert world.queue.waiting == [first.payment.id, fourth.payment.id]


def test_a_group_has_one_insert_and_one_wake_up(
    world: World, accept_all: AcceptAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    inserts, wakeups = list[int](), list[int]()
    insert_many, notify = world.store.insert_many, world.queue.notify

    def insert(payments: Sequence[Payment]) -> list[Payment | PaymentsError]:
        inserts.append(len(payments))
        return insert_many(payments)

    def wake(ids: Sequence[str]) -> None:
        wakeups.append(len(ids))
        notify(ids)

    monkeypatch.setattr(world.store, "insert_many", insert)
    monkeypatch.setattr(world.queue, "notify", wake)
    later = NOW + timedelta(days=1)
    requests = [request(str(number)) for number in range(99)]
    accept_all([*requests, request("later", execute_at=later)])
    assert (inserts, wakeups) == ([100], [99])


def test_a_group_without_a_valid_request_needs_no_store(
    world: World, accept_all: AcceptAll
) -> None:
    world.store.away = True
    [invalid] = accept_all([request("k", amount=Money(0, "USD"))])
    assert isinstance(invalid, InvalidPayment)
    assert accept_all([]) == []
    assert world.queue.waiting == []


def test_a_group_is_not_accepted_without_the_store(
    world: World, accept_all: AcceptAll
) -> None:
    world.store.away = True
    with pytest.raises(StoreUnavailable):
        accept_all([request("one"), request("two")])
    assert world.queue.waiting == []
