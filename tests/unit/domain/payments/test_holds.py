"""The end of a hold: its warnings, its lookups and its release."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from domain.errors import IllegalTransition, NotExecuted
from domain.payments.answer import Answer, Verdict
from domain.payments.operation import HoldEnd
from domain.payments.payment import Payment
from domain.payments.start_attempt import advance_hold
from domain.payments.states import State, Status
from tests.suites.samples import NOW, authorized, captured, stored
from tests.support.operation_steps import FOUND, apply_lookup

DAY: Final = timedelta(days=1)


def _ending(held: Payment) -> Payment:
    """The payment on the last day of its hold."""
    assert held.hold is not None
    warned = stored(advance_hold(held, now=NOW + 6 * DAY))
    return stored(advance_hold(warned, now=NOW + 7 * DAY))


def test_a_warning_comes_a_day_before_the_end_of_a_hold() -> None:
    held = authorized()
    assert held.due_at == NOW + 6 * DAY
    warned = advance_hold(held, now=NOW + 6 * DAY)
    assert warned.pending_events[-1].type == "authorization.expiring"
    assert warned.pending_events[-1].data["expires_at"] == "2026-01-08T12:00:00.000Z"
    assert warned.due_at == NOW + 7 * DAY


def test_a_warning_comes_before_the_end_of_the_guaranteed_time() -> None:
    held = authorized()
    assert held.hold is not None
    hold = replace(held.hold, honored_until=NOW + 3 * DAY)
    assert replace(held, hold=hold).due_at == NOW + 2.5 * DAY


def test_a_hold_without_an_end_has_no_work() -> None:
    held = authorized()
    assert held.hold is not None
    endless = replace(held, hold=replace(held.hold, expires_at=None))
    assert endless.due_at is None
    for given in (endless, captured()):
        with pytest.raises(IllegalTransition):
            advance_hold(given, now=NOW)


@pytest.mark.parametrize(
    ("verdict", "end", "status"),
    [
        (Verdict.EXPIRED, HoldEnd.EXPIRED, Status.EXPIRED),
        (Verdict.CANCELED, HoldEnd.VOIDED, Status.VOIDED),
    ],
)
def test_a_hold_ends_by_the_providers_answer_to_a_lookup(
    verdict: Verdict, end: HoldEnd, status: Status
) -> None:
    ending = _ending(authorized())
    assert ending.next_operation == ending.first_operation
    ended = apply_lookup(ending, Answer(verdict), now=NOW + 7 * DAY)
    assert ended.hold is not None and ended.hold.ended is end
    assert (ended.status, ended.capturable, ended.due_at) == (status, 0, None)
    assert ended.first_operation.state is State.SUCCEEDED
    assert [one.type for one in ended.pending_events].count("authorization.ended") == 1


def test_hold_past_its_end_is_looked_up_again() -> None:
    at = NOW + 7 * DAY
    still = apply_lookup(_ending(authorized()), FOUND, now=at)
    assert (still.status, still.due_at) == (Status.AUTHORIZED, at + DAY / 24)


def test_hold_that_exists_days_after_its_end_needs_manual_review() -> None:
    still = stored(apply_lookup(_ending(authorized()), FOUND, now=NOW + 7 * DAY))
    over = apply_lookup(still, FOUND, now=NOW + 10 * DAY)
    assert (over.status, over.due_at) == (Status.AUTHORIZED, None)
    assert over.first_operation.waiting_for == "an operator: still_held"


def test_hold_with_an_unreadable_end_waits_for_an_operator() -> None:
    given, at = _ending(authorized()), NOW + 7 * DAY
    while given.due_at is not None:
        given, at = stored(apply_lookup(given, NotExecuted(), now=at)), at + DAY
    assert given.status is Status.AUTHORIZED
    assert given.first_operation.waiting_for == "an operator: nothing_found"


def test_lookup_of_an_authorization_before_its_end_schedules_no_other() -> None:
    seen = apply_lookup(authorized(), FOUND)
    assert (seen.status, seen.first_operation.due_at) == (Status.AUTHORIZED, None)


def test_lookup_of_an_ended_authorization_changes_nothing() -> None:
    held = authorized()
    assert held.hold is not None
    ended = replace(held, hold=replace(held.hold, ended=HoldEnd.VOIDED))
    seen = apply_lookup(ended, Answer(Verdict.EXPIRED))
    assert seen.hold == ended.hold
