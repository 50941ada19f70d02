"""A webhook makes a lookup due and changes nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from domain.errors import Conflict, LookupRequired, NeedsReview, NotExecuted
from domain.money import Money
from domain.payments.answer import Answer, NextAction, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import refund, void
from domain.payments.operation import ABSENCE_PROOF_DELAY, HoldEnd, Kind, Operation
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State
from domain.webhooks import ObjectUpdate, find_operation, is_claimed, schedule_lookup
from tests.suites.samples import (
    DECLINE,
    NOW,
    PRICE,
    authorized,
    captured,
    origin,
    payment,
    sending,
    stored,
)

LATER: Final = NOW + ABSENCE_PROOF_DELAY
FIRSTS: Final = frozenset({Kind.CHARGE, Kind.AUTHORIZE})
REFS: Final = {"payment_intent": "pi_1"}


def _notice(
    operation: Operation,
    says: Verdict | None = Verdict.SUCCEEDED,
    *,
    kinds: frozenset[Kind] = FIRSTS,
    ref: str = "pi_1",
) -> ObjectUpdate:
    return ObjectUpdate(
        "evt_1",
        "it.happened",
        kinds,
        "pay_1",
        (operation.id,),
        {"payment_intent": ref},
        says,
    )


def _noticed(given: Payment, notice: ObjectUpdate) -> Payment:
    operation = find_operation(given, notice)
    assert operation is not None
    return schedule_lookup(given, operation, notice, now=LATER)


def _in(state: State) -> Payment:
    given = stored(settle(sending(payment()), LookupRequired(), now=NOW, jitter=0))
    first = replace(given.first_operation, state=state, due_at=None, lookups_since=None)
    return replace(given, operations=(first,))


def _retrying(generation: int = 2) -> Payment:
    given = _in(State.RETRYING)
    due_at = LATER + timedelta(minutes=3)
    again = replace(
        given.first_operation, generation=generation, send=None, due_at=due_at
    )
    return replace(given, operations=(again,))


@pytest.mark.parametrize(
    "state",
    sorted({*State} - {State.RUNNING, State.SUCCEEDED}),
)
def test_webhook_changes_no_state_and_makes_a_lookup_due(state: State) -> None:
    before = _in(state)
    after = _noticed(before, _notice(before.first_operation))
    assert after.first_operation.state is state
    assert (after.due_at, after.first_operation.lookups_since) == (LATER, LATER)
    assert after.first_operation.refs == REFS
    [event] = after.pending_events
    assert (event.type, event.data["event"]) == ("webhook.received", "evt_1")


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (State.SUCCEEDED, Verdict.SUCCEEDED),
        (State.SUCCEEDED, Verdict.PENDING),
        (State.SUCCEEDED, Verdict.ACTION_REQUIRED),
        (State.SUCCEEDED, Verdict.APPROVED),
        (State.DECLINED, Verdict.DECLINED),
        (State.PENDING, Verdict.PENDING),
        (State.REQUIRES_ACTION, Verdict.ACTION_REQUIRED),
        (State.EXPIRED, Verdict.CANCELED),
    ],
)
def test_webhook_with_nothing_new_changes_nothing(state: State, says: Verdict) -> None:
    given = _in(state)
    known = replace(given, operations=(replace(given.first_operation, refs=REFS),))
    assert _noticed(known, _notice(known.first_operation, says)) is known


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (State.SUCCEEDED, Verdict.DECLINED),
        (State.SUCCEEDED, Verdict.CANCELED),
        (State.DECLINED, Verdict.SUCCEEDED),
        (State.PENDING, Verdict.SUCCEEDED),
        (State.REQUIRES_ACTION, Verdict.APPROVED),
    ],
)
def test_webhook_with_a_difference_makes_a_lookup_due(
    state: State, says: Verdict
) -> None:
    given = _in(state)
    known = replace(given, operations=(replace(given.first_operation, refs=REFS),))
    assert _noticed(known, _notice(known.first_operation, says)).due_at == LATER


def test_webhook_changes_nothing_while_a_lookup_is_due() -> None:
    given = _in(State.UNKNOWN)
    once = stored(_noticed(given, _notice(given.first_operation)))
    assert _noticed(once, _notice(once.first_operation)) is once


def test_due_lookup_gets_the_object_ids_of_a_webhook() -> None:
    given = _in(State.UNKNOWN)
    due = replace(given.first_operation, due_at=NOW, lookups_since=NOW)
    after = _noticed(replace(given, operations=(due,)), _notice(due))
    assert (after.first_operation.due_at, after.first_operation.refs) == (NOW, REFS)


def test_webhook_waits_for_a_worker_with_a_claim() -> None:
    busy = sending(payment())
    assert is_claimed(busy, busy.first_operation)
    assert not is_claimed(payment(), payment().first_operation)


def test_late_movement_is_looked_up_before_a_new_key_is_sent() -> None:
    retrying = _retrying()
    asked = stored(_noticed(retrying, _notice(retrying.first_operation)))
    assert asked.first_operation.needs_lookup(now=LATER)
    looked = stored(start_lookup(asked, asked.first_operation, now=LATER))
    paid = Answer(Verdict.SUCCEEDED, PRICE, REFS)
    found = settle(looked, paid, now=LATER, jitter=0)
    assert (found.first_operation.state, found.captured, found.due_at) == (
        State.SUCCEEDED,
        PRICE.minor,
        None,
    )


@pytest.mark.parametrize("state", [State.QUEUED, State.RETRYING])
@pytest.mark.parametrize(
    "verdict", [Verdict.ABSENT, Verdict.APPROVED, Verdict.DECLINED, Verdict.CANCELED]
)
def test_lookup_without_a_movement_leaves_the_send_due(
    state: State, verdict: Verdict
) -> None:
    given = _retrying()
    first = replace(
        given.first_operation, state=state, approved=verdict is Verdict.APPROVED
    )
    given = replace(given, operations=(first,))
    asked = stored(_noticed(given, _notice(given.first_operation)))
    looked = stored(start_lookup(asked, asked.first_operation, now=LATER))
    after = settle(looked, Answer(verdict, refs=REFS), now=LATER, jitter=0)
    assert (after.first_operation.state, after.due_at) == (state, LATER)
    assert not after.first_operation.needs_lookup(now=LATER)
    assert sending(stored(after), now=LATER).first_operation.state is State.RUNNING


@pytest.mark.parametrize(
    "outcome", [NeedsReview("odd"), Answer(Verdict.SUCCEEDED, Money(5, "USD"), REFS)]
)
def test_inconclusive_lookup_before_a_send_needs_manual_review(
    outcome: NeedsReview | Answer,
) -> None:
    retrying = _retrying()
    asked = stored(_noticed(retrying, _notice(retrying.first_operation)))
    looked = stored(start_lookup(asked, asked.first_operation, now=LATER))
    after = settle(looked, outcome, now=LATER, jitter=0)
    assert (after.first_operation.state, after.due_at) == (State.REVIEW, None)


def test_failed_lookup_before_a_send_is_repeated_first() -> None:
    retrying = _retrying()
    asked = stored(_noticed(retrying, _notice(retrying.first_operation)))
    looked = stored(start_lookup(asked, asked.first_operation, now=LATER))
    after = settle(looked, NotExecuted("busy"), now=LATER, jitter=1)
    assert after.first_operation.state is State.RETRYING
    assert after.first_operation.needs_lookup(now=LATER)


def test_failure_of_an_earlier_key_does_not_delay_the_next_one() -> None:
    retrying = _retrying()
    notice = _notice(retrying.first_operation, Verdict.DECLINED)
    assert _noticed(retrying, notice) is retrying


def test_failed_older_object_changes_nothing() -> None:
    given = _in(State.REQUIRES_ACTION)
    newer = replace(given.first_operation, refs={"payment_intent": "pi_2"})
    given = replace(given, operations=(newer,))
    assert _noticed(given, _notice(newer, Verdict.CANCELED)) is given
    moved = _noticed(given, _notice(newer))
    assert (moved.first_operation.refs, moved.due_at) == (REFS, LATER)


def test_movement_of_a_second_object_is_an_event() -> None:
    paid = captured()
    changed = _noticed(paid, _notice(paid.first_operation, ref="pi_2"))
    assert (changed.first_operation, changed.due_at) == (paid.first_operation, None)
    assert changed.pending_events[0].data["reason"] == "another_object"


def test_known_approval_changes_nothing() -> None:
    act = Answer(
        Verdict.ACTION_REQUIRED, refs=REFS, next_action=NextAction("https://x.example")
    )
    acting = stored(settle(sending(payment()), act, now=NOW, jitter=0))
    approved = Answer(Verdict.APPROVED, refs=REFS)
    asked = stored(start_lookup(acting, acting.first_operation, now=NOW))
    queued = stored(settle(asked, approved, now=NOW, jitter=0))
    assert queued.first_operation.state is State.QUEUED
    notice = _notice(queued.first_operation, Verdict.APPROVED)
    assert _noticed(queued, notice) is queued


def test_webhook_of_a_released_hold_looks_up_its_void() -> None:
    held = authorized()
    notice = _notice(held.first_operation, Verdict.CANCELED)
    assert find_operation(held, notice) == held.first_operation
    assert _noticed(held, notice).due_at == LATER
    asked = void(held, id="op_v", origin=origin(), now=NOW)
    found = find_operation(asked, notice)
    assert found is not None and found.kind is Kind.VOID
    assert held.hold is not None
    ended = replace(held, hold=replace(held.hold, ended=HoldEnd.VOIDED))
    assert _noticed(ended, notice) is ended


def test_external_refund_is_not_ours() -> None:
    paid = captured()
    notice = _notice(paid.first_operation, kinds=frozenset({Kind.REFUND}), ref="re_1")
    assert find_operation(paid, notice) is None


def test_object_without_our_ids_is_found_by_its_own_id() -> None:
    asked = stored(
        refund(captured(), amount=60, target=None, id="op_r", origin=origin(), now=NOW)
    )
    back = Answer(Verdict.PENDING, refs={"refund": "re_1"})
    pending = stored(settle(sending(asked), back, now=NOW, jitter=0))
    notice = ObjectUpdate(
        "evt_2",
        "it.happened",
        frozenset({Kind.REFUND}),
        pending.id,
        refs={"refund": "re_1"},
        verdict=Verdict.DECLINED,
    )
    assert find_operation(pending, notice) == pending.operations[-1]
    assert find_operation(pending, replace(notice, refs={"refund": "re_2"})) is None


def test_confirmed_decline_stays_declined() -> None:
    declined = stored(settle(sending(payment()), DECLINE, now=NOW, jitter=0))
    notice = _notice(declined.first_operation, Verdict.DECLINED)
    assert _noticed(declined, notice) is declined


def test_known_void_and_hold_change_nothing() -> None:
    held = authorized()
    assert _noticed(held, _notice(held.first_operation)) is held
    asked = stored(void(held, id="op_v", origin=origin(), now=NOW))
    done = Answer(Verdict.SUCCEEDED, refs=REFS)
    voided = stored(settle(sending(asked), done, now=NOW, jitter=0))
    release = voided.operations[-1]
    assert release.state is State.SUCCEEDED
    kinds = frozenset({Kind.VOID})
    notice = _notice(release, Verdict.CANCELED, kinds=kinds)
    assert _noticed(voided, notice) is voided


def test_void_waits_for_the_lookup_of_a_late_movement() -> None:
    retrying = _retrying()
    changed = _noticed(retrying, _notice(retrying.first_operation))
    assert (
        changed.next_operation is not None
        and changed.first_operation.lookups_since == LATER
    )
    with pytest.raises(Conflict):
        void(changed, id="op_v", origin=origin(), now=LATER)


def test_unknown_captured_amount_makes_a_lookup_due() -> None:
    """An external capture leaves the authorization, the event's object, unchanged."""
    held = authorized()
    changed = replace(_notice(held.first_operation), refs=REFS)
    assert schedule_lookup(held, held.first_operation, changed, now=NOW) is held
    assert (
        schedule_lookup(
            held, held.first_operation, replace(changed, captured=0), now=NOW
        )
        is held
    )
    asked = schedule_lookup(
        held, held.first_operation, replace(changed, captured=500), now=NOW
    )
    assert asked.first_operation.due_at == asked.first_operation.lookups_since == NOW
