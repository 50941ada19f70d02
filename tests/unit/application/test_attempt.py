"""Claim, call, settle: the stored payment, and the provider's ledger."""

from __future__ import annotations

import time
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from application import attempt
from application.attempt import ESCALATED, run
from domain.errors import (
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.answer import Answer, Verdict
from domain.payments.follow_ups import refund
from domain.payments.operation import Kind
from domain.payments.payment import LEASE, Payment
from domain.payments.states import State, Status
from domain.payments.submission import ProviderName
from domain.provider_rules import RULES
from tests.suites.samples import (
    insert_all,
    DECLINE,
    NOW,
    SHOP,
    captured,
    origin,
    payment,
    submission,
)
from tests.support.fakes import (
    LOSE_ANSWER,
    LOSE_REQUEST,
    UNPREPARABLE,
    Act,
    ScriptedProvider,
)
from tests.unit.application.conftest import World, die_after_the_call

WINDOW: Final = RULES[ProviderName.STRIPE].key_windows[Kind.CHARGE]
#: Beyond the grace, the first retries and any lease.
DAY: Final = timedelta(days=1)
LATER: Final = timedelta(minutes=1)


def test_a_payment_is_carried_out_and_stored(world: World) -> None:
    [one] = world.insert(payment())
    settled = world.attempt(one)
    assert settled[one].answer == Verdict.SUCCEEDED
    assert settled[one].payment == world.stored(one)
    assert world.stored(one).status is Status.CAPTURED
    assert [move.payment for move in world.provider.ledger.values()] == [one]


def test_each_payment_of_a_group_is_carried_out_once(world: World) -> None:
    ids = world.insert(*map(payment, range(1, 31)))
    assert world.attempt(*ids, *ids).keys() == set(ids)
    assert world.attempt(*ids) == {}
    assert sorted(one.payment for one in world.provider.ledger.values()) == ids
    assert len(world.provider.sends) == 30


def test_a_missing_or_not_yet_due_payment_is_skipped(world: World) -> None:
    asked = submission(execute_at=NOW + timedelta(hours=1))
    [one] = world.insert(payment(submitted=asked))
    assert world.attempt("pay_none", one) == {}
    assert world.attempt() == {}
    assert world.provider.sends == []
    assert world.stored(one).first_operation.state is State.QUEUED


def test_a_decline_is_stored_as_an_answer(world: World) -> None:
    world.script(Act(lambda _: DECLINE))
    [one] = world.insert(payment())
    assert world.attempt(one)[one].answer == Verdict.DECLINED
    assert world.stored(one).status is Status.FAILED
    assert world.stored(one).last_error == DECLINE.failure


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (NotSent(), State.RETRYING),
        (NotExecuted("busy"), State.RETRYING),
        (Misconfigured("bad_key"), State.RETRYING),
        (OutcomeUnknown("timeout"), State.UNKNOWN),
        (NeedsReview("odd"), State.REVIEW),
    ],
)
def test_an_error_decides_the_next_state_of_the_payment(
    world: World, error: ProviderError, state: State
) -> None:
    world.script(_raising(error))
    [one] = world.insert(payment())
    result = world.attempt(one)[one]
    assert (result.answer, result.code) == (error.code, error.detail)
    assert result.is_escalation is (state is State.REVIEW)
    stored = world.stored(one)
    assert stored.first_operation.state is state
    assert (stored.due_at is None) == (state is State.REVIEW)
    assert stored.first_operation.waiting_for
    assert world.provider.ledger == {}


@pytest.mark.parametrize("loss", [LOSE_ANSWER, LOSE_REQUEST])
def test_a_lost_send_is_repeated_with_the_same_bytes_and_moves_money_once(
    world: World, loss: Act
) -> None:
    world.script(loss, loss)
    [one] = world.insert(payment())
    for _ in range(3):
        world.attempt(one)
        world.now += LATER
    first, second, third = world.provider.sends
    assert first == replace(second, last_at=NOW) == replace(third, last_at=NOW)
    assert len(world.provider.ledger) == 1
    assert world.stored(one).captured == 1999


def test_a_send_that_was_not_executed_is_repeated_with_the_same_key(
    world: World,
) -> None:
    world.script(_raising(NotExecuted("busy")))
    [one] = world.insert(payment())
    world.attempt(one)
    world.now += LATER
    world.attempt(one)
    first, second = world.provider.sends
    assert (first.key, first.body) == (second.key, second.body)
    assert world.stored(one).captured == 1999


def test_a_dead_workers_send_is_repeated_with_the_same_bytes(world: World) -> None:
    [one] = world.insert(payment())
    send = die_after_the_call(world, one)
    world.now += LEASE
    world.attempt(one)
    first, second = world.provider.sends
    assert first == send == replace(second, last_at=NOW)
    assert len(world.provider.ledger) == 1
    assert world.stored(one).captured == 1999
    timeline = world.store.load_timeline(SHOP, one) or []
    assert [event.type for event in timeline] == [
        "payment.accepted",
        "attempt.sent",
        "lease.expired",
        "attempt.sent",
        "attempt.answered",
    ]


def test_a_refund_requested_during_a_call_is_kept_beside_its_result(
    world: World,
) -> None:
    busy = _Busy(world)
    [one] = world.insert(payment())
    world.attempt(one)
    _refund(world, one, 5, "op_first")
    world.put(busy)
    assert world.attempt(one)[one].operation.id == "op_first"
    stored = world.stored(one)
    assert (stored.refunded, stored.refund_reserved) == (5, 7)
    world.attempt(one)
    assert (world.stored(one).refunded, world.stored(one).refund_reserved) == (12, 0)


def test_next_operation_of_a_settled_payment_is_notified_at_once(
    world: World,
) -> None:
    [one] = world.insert(payment())
    world.attempt(one)
    assert world.queue.waiting == []
    for number in (1, 2, 3):
        _refund(world, one, number, f"op_{number}")
    world.attempt(one)
    for _ in range(2):
        assert world.queue.waiting == [one]
        world.attempt(*world.queue.take(1))
    assert world.queue.waiting == []
    assert world.stored(one).refunded == 6


@pytest.mark.parametrize("fault", [LOSE_ANSWER, LOSE_REQUEST])
def test_lookup_and_retry_are_not_notified(world: World, fault: Act) -> None:
    world.script(fault)
    [one] = world.insert(payment())
    world.attempt(one)
    assert world.queue.waiting == []


class _Busy(ScriptedProvider):
    """A provider during whose first answer the merchant requests another refund."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def send(self, payment: Payment) -> Answer:
        if not self.sends:
            _refund(self._world, payment.id, 7, "op_second")
        return super().send(payment)


def test_a_payment_that_is_not_admitted_is_postponed_without_an_attempt(
    world: World,
) -> None:
    world.admission.granted = 1
    ids = world.insert(payment(1), payment(2))
    assert len(world.attempt(*ids)) == 1
    left = [
        one for one in ids if world.stored(one).first_operation.state is State.QUEUED
    ]
    assert len(left) == 1
    assert world.attempt(*left) == {}
    world.now += LATER
    assert world.attempt(*left).keys() == set(left)
    assert [type(one) for one in world.admission.outcomes] == [Answer, Answer]


def test_a_claim_that_is_too_old_makes_no_call(world: World) -> None:
    [one] = world.insert(payment())
    slow = _Stopped(world)
    world.context = replace(
        world.context, executors={name: slow for name in ProviderName}, leased_ids=set()
    )
    assert world.attempt(one)[one].answer == NotSent.code
    assert world.provider.sends == []


class _Stopped(Executor):
    """A store whose worker is stopped between its claim and its call."""

    def __init__(self, world: World) -> None:
        self._world = world

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self._world.now += timedelta(minutes=2)
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_answers_that_come_one_after_another_are_stored_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_SETTLE_PACE", 0.3)
    world.put(_OneByOne())
    ids = world.insert(*map(payment, range(1, 5)))
    [group] = run(ids, world.context)
    assert {one.payment.id for one in group} == set(ids)


class _OneByOne(ScriptedProvider):
    """Answers at different times, within some milliseconds."""

    def send(self, payment: Payment) -> Answer:
        time.sleep(0.01 * int(payment.id[-1]))  # the provider's latency
        return super().send(payment)


def test_an_operation_that_cannot_be_prepared_needs_review_and_its_group_continues(
    world: World,
) -> None:
    odd = submission(payment_method=UNPREPARABLE)
    missing = submission(provider=ProviderName.PAYPAL)
    ids = world.insert(
        payment(1), payment(2, submitted=odd), payment(3, submitted=missing)
    )
    settled = world.attempt(*ids)
    assert [settled[one].answer for one in ids] == ["succeeded", ESCALATED, ESCALATED]
    assert [settled[one].is_escalation for one in ids] == [False, True, True]
    for one in ids[1:]:
        assert world.stored(one).first_operation.state is State.REVIEW
        assert (
            world.stored(one).first_operation.waiting_for
            == "an operator: cannot_prepare"
        )
    assert len(world.provider.sends) == 1


def _refund(world: World, payment_id: str, amount: int, name: str) -> None:
    found = world.stored(payment_id)
    asked = refund(
        found,
        amount=amount,
        target=None,
        id=name,
        origin=origin(name),
        now=world.now,
    )
    assert world.store.amend(asked) is not None


def _raising(error: Exception) -> Act:
    return Act(raises=lambda: error)


def test_a_refund_of_externally_refunded_money_is_not_sent(world: World) -> None:
    """Our refund was not executed; an external one is made before its next try."""
    [paid] = insert_all(world.store, [captured()])
    asked = refund(
        paid, amount=None, target=None, id="op_back", origin=origin(), now=NOW
    )
    of_others = replace(
        paid.first_operation,
        id="op_others",
        kind=Kind.REFUND,
        origin=None,
        target=paid.first_operation.id,
        refs={"refund": "re_1"},
    )
    step = replace(asked, operations=(*asked.operations, of_others))
    world.store.amend(step)
    world.now += timedelta(seconds=5)
    assert world.attempt(paid.id) == {}
    after = world.stored(paid.id)
    assert after.get_operation("op_back").state is State.REJECTED
    assert (after.due_at, after.refunded, world.provider.sends) == (None, 1999, [])
