"""The state machine is a table without traps."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from domain.errors import IllegalTransition
from domain.payments.answer import Verdict
from domain.payments.states import (
    CORRECTIONS,
    TERMINAL,
    STATES_WITH_WORK,
    STUCK,
    TRANSITIONS,
    WAITING,
    State,
    Trigger,
    move,
)


@given(st.lists(st.sampled_from(Trigger)))
def test_any_triggers_move_by_the_table_or_not_at_all(triggers: list[Trigger]) -> None:
    state = State.QUEUED
    for trigger in triggers:
        if (state, trigger) in TRANSITIONS:
            state = move(state, trigger)
        else:
            with pytest.raises(IllegalTransition, match=f"{trigger}.*{state}"):
                move(state, trigger)


@pytest.mark.parametrize("state", sorted(set(State) - TERMINAL))
def test_a_final_state_is_reachable_from_every_other(state: State) -> None:
    assert _reachable(state) & TERMINAL


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_final_state_has_no_way_out(state: State) -> None:
    assert _reachable(state) == {state}


def test_every_state_can_be_reached_from_the_first() -> None:
    assert _reachable(State.QUEUED) == set(State)


def test_every_trigger_moves_something() -> None:
    assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)


def test_each_state_is_exactly_one_of_final_with_work_waiting_or_stuck() -> None:
    assert TERMINAL | STATES_WITH_WORK | WAITING | STUCK == set(State)
    assert len(TERMINAL) + len(STATES_WITH_WORK) + len(WAITING) + len(STUCK) == len(
        State
    )


@pytest.mark.parametrize("state", [State.RUNNING, State.UNKNOWN])
@pytest.mark.parametrize(
    "verdict", sorted(set(Verdict) - {Verdict.ABSENT, Verdict.REJECTED})
)
def test_every_answer_of_a_provider_moves_a_sent_operation(
    state: State, verdict: Verdict
) -> None:
    assert (state, verdict.trigger) in TRANSITIONS


def test_no_timer_ends_an_unknown_outcome() -> None:
    for trigger in (Trigger.GAVE_UP, Trigger.NOT_EXECUTED, Trigger.LEASE_EXPIRED):
        assert TRANSITIONS.get((State.UNKNOWN, trigger), State.UNKNOWN) is State.UNKNOWN


def test_unknown_never_leads_to_a_state_with_a_new_send() -> None:
    # An approved order is another request, and the order takes money once.
    after = {
        to
        for (state, trigger), to in TRANSITIONS.items()
        if state is State.UNKNOWN and trigger is not Trigger.APPROVED
    }
    assert after.isdisjoint({State.QUEUED, State.RUNNING, State.DEAD})


def test_only_proof_of_absence_leads_from_unknown_to_a_retry() -> None:
    leading = {
        trigger
        for (state, trigger), to in TRANSITIONS.items()
        if state is State.UNKNOWN and to is State.RETRYING
    }
    assert leading == {Trigger.ABSENT}


def test_a_correction_leads_only_from_a_final_state_to_another() -> None:
    for (state, trigger), after in CORRECTIONS.items():
        assert {state, after} <= TERMINAL
        assert (state, trigger) not in TRANSITIONS


def _reachable(state: State) -> set[State]:
    found, waiting = {state}, [state]
    while waiting:
        here = waiting.pop()
        for (origin, _), to in TRANSITIONS.items():
            if origin is here and to not in found:
                found.add(to)
                waiting.append(to)
    return found
