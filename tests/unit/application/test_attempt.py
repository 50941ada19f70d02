"""Claim, call, settle: what is stored, and what the provider's ledger shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from application.attempt import ESCALATED
from domain.answer import Verdict
from domain.errors import (
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.idempotency import WINDOWS
from domain.payment import LEASE, Send
from domain.states import State, Status
from domain.submission import ProviderName
from tests.fakes import LOSE_ANSWER, LOSE_REQUEST, UNPREPARABLE, Act
from tests.suites.samples import DECLINE, NOW, SHOP, payment, submission
from tests.unit.application.conftest import World

#: Past the grace, the first retries and any lease.
LATER: Final = timedelta(minutes=1)


def test_a_payment_is_carried_out_and_stored(world: World) -> None:
    [one] = world.insert(payment())
    settled = world.attempt(one)
    assert settled[one].answer == Verdict.SUCCEEDED
    assert settled[one].payment == world.stored(one)
    assert world.stored(one).status is Status.CAPTURED
    assert [move.payment for move in world.provider.ledger.values()] == [one]


def test_each_of_a_group_is_carried_out_once(world: World) -> None:
    ids = world.insert(*map(payment, range(1, 31)))
    assert world.attempt(*ids, *ids).keys() == set(ids)
    assert world.attempt(*ids) == {}
    assert sorted(one.payment for one in world.provider.ledger.values()) == ids
    assert len(world.provider.sends) == 30


def test_what_is_not_there_or_not_due_is_left_alone(world: World) -> None:
    asked = submission(execute_at=NOW + timedelta(hours=1))
    [one] = world.insert(payment(asked=asked))
    assert world.attempt("pay_none", one) == {}
    assert world.attempt() == {}
    assert world.provider.sends == []
    assert world.stored(one).operation.state is State.QUEUED


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
def test_an_error_says_where_the_payment_goes(
    world: World, error: ProviderError, state: State
) -> None:
    world.script(_raising(error))
    [one] = world.insert(payment())
    assert world.attempt(one)[one].answer == error.code
    stored = world.stored(one)
    assert stored.operation.state is state
    assert (stored.due_at is None) == (state is State.REVIEW)
    assert stored.operation.waiting_for
    assert world.provider.ledger == {}


@pytest.mark.parametrize("loss", [LOSE_ANSWER, LOSE_REQUEST])
def test_what_was_lost_is_sent_again_to_the_letter_and_moves_money_once(
    world: World, loss: Act
) -> None:
    world.script(loss, loss)
    [one] = world.insert(payment())
    for _ in range(3):
        world.attempt(one)
        world.now += LATER
    first, second, third = world.provider.sends
    assert first == second == third
    assert len(world.provider.ledger) == 1
    assert world.stored(one).captured == 1999


def test_what_was_proven_not_executed_keeps_its_key_too(world: World) -> None:
    world.script(_raising(NotExecuted("busy")))
    [one] = world.insert(payment())
    world.attempt(one)
    world.now += LATER
    world.attempt(one)
    first, second = world.provider.sends
    assert (first.key, first.body) == (second.key, second.body)
    assert world.stored(one).captured == 1999


def test_a_dead_workers_send_is_sent_again_to_the_letter(world: World) -> None:
    [one] = world.insert(payment())
    send = _die_after_the_call(world, one)
    world.now += LEASE
    world.attempt(one)
    assert world.provider.sends == [send, send]
    assert len(world.provider.ledger) == 1
    assert world.stored(one).captured == 1999
    timeline = world.store.timeline(SHOP, one) or []
    assert [event.type for event in timeline] == [
        "payment.accepted",
        "attempt.sent",
        "lease.expired",
        "attempt.sent",
        "attempt.answered",
    ]


def test_after_the_window_a_person_decides_and_nothing_is_sent(world: World) -> None:
    world.script(LOSE_ANSWER)
    [one] = world.insert(payment())
    world.attempt(one)
    world.now += WINDOWS["stripe"]
    settled = world.attempt(one)
    assert settled[one].answer == ESCALATED
    assert len(world.provider.sends) == 1
    stored = world.stored(one)
    assert (stored.operation.state, stored.due_at) == (State.REVIEW, None)
    assert stored.operation.waiting_for == "an operator: resend_window_closed"


def test_a_dead_workers_send_beyond_its_window_is_for_a_person(world: World) -> None:
    [one] = world.insert(payment())
    _die_after_the_call(world, one)
    world.now += WINDOWS["stripe"]
    assert world.attempt(one)[one].answer == ESCALATED
    assert len(world.provider.sends) == 1


def test_what_cannot_be_prepared_is_for_a_person_and_its_group_goes_on(
    world: World,
) -> None:
    odd = submission(payment_method=UNPREPARABLE)
    missing = submission(provider=ProviderName.PAYPAL)
    ids = world.insert(payment(1), payment(2, asked=odd), payment(3, asked=missing))
    settled = world.attempt(*ids)
    assert [settled[one].answer for one in ids] == ["succeeded", ESCALATED, ESCALATED]
    for one in ids[1:]:
        assert world.stored(one).operation.state is State.REVIEW
        assert world.stored(one).operation.waiting_for == "an operator: cannot_prepare"
    assert len(world.provider.sends) == 1


def _die_after_the_call(world: World, payment_id: str) -> Send:
    """A worker claims, sends, and is gone before it settles."""
    dying = world.store.held_by("dead")
    [found] = dying.load_due([payment_id])
    sent = found.sent(world.provider.prepare(found), now=world.now)
    [won] = dying.claim_many([sent])
    world.provider.send(won)
    assert won.operation.send is not None
    return won.operation.send


def _raising(error: Exception) -> Act:
    return Act(raises=lambda: error)
