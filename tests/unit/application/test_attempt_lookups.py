"""Lookups that settle an operation where a resend would prove nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from domain.payments.answer import Answer, Verdict
from domain.payments.operation import Kind
from domain.payments.operator_actions import Intervention, replay_operation
from domain.payments.payment import LEASE
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State, Status
from domain.payments.submission import CaptureMethod, ProviderName
from domain.provider_rules import RULES
from tests.suites.samples import (
    DECLINE,
    NOW,
    SHOP,
    payment,
    submission,
)
from tests.support.fakes import LOSE_ANSWER, LOSE_REQUEST, Act, pay
from tests.unit.application.conftest import World, die_after_the_call

WINDOW: Final = RULES[ProviderName.STRIPE].key_windows[Kind.CHARGE]
#: Beyond the grace, the first retries and any lease.
DAY: Final = timedelta(days=1)
LATER: Final = timedelta(minutes=1)


def test_lookup_settles_the_payment_after_the_window(
    world: World,
) -> None:
    world.script(LOSE_ANSWER)
    [one] = world.insert(payment())
    world.attempt(one)
    world.now += WINDOW
    assert world.attempt(one)[one].answer == Verdict.SUCCEEDED
    assert len(world.provider.sends) == 1
    assert world.provider.lookups == [world.stored(one).first_operation.id]
    assert world.stored(one).captured == 1999


def test_dead_workers_send_past_its_window_is_looked_up(world: World) -> None:
    [one] = world.insert(payment())
    die_after_the_call(world, one)
    world.now += WINDOW
    assert world.attempt(one)[one].answer == Verdict.SUCCEEDED
    assert len(world.provider.sends) == 1


def test_absent_request_is_sent_with_a_new_key_after_the_proof(
    world: World,
) -> None:
    world.script(LOSE_REQUEST)
    [one] = world.insert(payment())
    world.attempt(one)
    world.now += WINDOW
    assert world.attempt(one)[one].answer == Verdict.ABSENT
    assert world.stored(one).first_operation.state is State.RETRYING
    world.now += LATER
    world.attempt(one)
    assert [send.key[-2:] for send in world.provider.sends] == ["-1", "-2"]
    assert len(world.provider.ledger) == 1


def test_dead_workers_lookup_is_repeated(world: World) -> None:
    world.script(LOSE_ANSWER)
    [one] = world.insert(payment())
    world.attempt(one)
    world.now += WINDOW
    dying = world.store.leased_by("dead")
    [found] = dying.load_due([one])
    dying.claim_many([start_lookup(found, found.first_operation, now=world.now)])
    world.now += LEASE
    assert world.attempt(one)[one].answer == Verdict.SUCCEEDED


def test_hold_gets_a_warning_and_a_lookup_at_its_end(world: World) -> None:
    asked = replace(submission(), capture=CaptureMethod.MANUAL)
    world.script(Act(lambda one: replace(pay(one), expires_at=NOW + DAY * 7)))
    [one] = world.insert(payment(submitted=asked))
    world.attempt(one)
    assert world.stored(one).status is Status.AUTHORIZED
    world.now = NOW + DAY * 6
    assert world.attempt(one) == {}
    timeline = world.store.load_timeline(SHOP, one) or []
    assert timeline[-1].type == "authorization.expiring"
    assert world.store.find_due_ids(10) == []
    world.now = NOW + DAY * 7
    world.provider.correct(world.stored(one), Answer(Verdict.EXPIRED))
    world.attempt(one)
    assert world.stored(one).status is Status.EXPIRED


def test_correction_is_marked_in_the_result(world: World) -> None:
    [one] = world.insert(payment())
    world.attempt(one)
    paid = world.stored(one)
    who = Intervention("key_1", "the bank called")
    asked = replay_operation(paid, paid.first_operation, who, now=world.now)
    assert world.store.amend(asked) is not None
    seen = world.attempt(one)[one]
    assert (seen.answer, seen.is_correction) == (Verdict.SUCCEEDED, False)
    paid = world.stored(one)
    assert (
        world.store.amend(
            replay_operation(paid, paid.first_operation, who, now=world.now)
        )
        is not None
    )
    world.provider.correct(paid, DECLINE)
    corrected = world.attempt(one)[one]
    assert (corrected.answer, corrected.is_correction) == (Verdict.DECLINED, True)
    assert world.stored(one).captured == 0
