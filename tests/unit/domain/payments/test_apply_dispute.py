"""Disputes applied to a payment: each fact is recorded once, and no total changes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given, strategies as st

from domain.money import Money
from domain.payments import follow_ups
from domain.payments.apply_dispute import apply_dispute
from domain.payments.dispute import (
    ENDED,
    MAX_DISPUTES,
    STATE_EVENTS,
    OPEN,
    REVERSED,
    Dispute,
    DisputeState,
    DisputeSnapshot,
)
from domain.payments.event_types import EventType
from domain.payments.payment import Event, Payment
from domain.payments.states import Status
from tests.suites.samples import NOW, PRICE, authorized, captured, origin, stored
from tests.support.disputes import CHARGE, LOST, dispute, apply_disputes, snapshot

OPENED: Final = EventType.DISPUTE_OPENED
UPDATED: Final = EventType.DISPUTE_UPDATED
REOPENED: Final = EventType.DISPUTE_REOPENED
WITHDRAWN: Final = EventType.DISPUTE_FUNDS_WITHDRAWN
REINSTATED: Final = EventType.DISPUTE_FUNDS_REINSTATED

LATER: Final = NOW + timedelta(days=1)


def event_types(payment: Payment, read: Dispute) -> list[str]:
    """The types of the events after ``read`` is applied."""
    return [
        one.type
        for one in apply_dispute(
            payment, snapshot(payment, read), now=LATER
        ).pending_events
    ]


WON: Final = dispute(state=DisputeState.WON, withdrawn=0, respond_by=None)

states: Final = st.sampled_from(DisputeState)
disputes: Final = st.builds(
    dispute,
    st.sampled_from(["dp_1", "dp_2"]),
    state=states,
    money=st.builds(Money, st.integers(1, PRICE.minor), st.just(PRICE.currency)),
    withdrawn=st.sampled_from([0, 500, PRICE.minor]),
    inquiry=st.booleans(),
    reason=st.sampled_from(["fraudulent", "general", REVERSED]),
    outcome=st.none() | st.just("lost"),
)


def test_each_dispute_state_is_open_or_ended_and_each_change_has_an_event() -> None:
    assert OPEN | ENDED == set(DisputeState)
    assert not OPEN & ENDED
    for now in DisputeState:
        for was in DisputeState:
            assert ((was, now) in STATE_EVENTS) is (was is not now)
        assert ((None, now) in STATE_EVENTS) is (now in ENDED)


@given(st.lists(disputes, max_size=8))
def test_a_dispute_changes_no_operation_no_total_and_no_status(
    read: list[Dispute],
) -> None:
    paid = captured()
    after = apply_disputes(paid, *read)
    assert after.operations == paid.operations
    assert (after.captured, after.refunded) == (paid.captured, paid.refunded)
    assert (after.status, after.is_settled) == (Status.CAPTURED, True)
    assert after.due_at == paid.due_at
    assert after.blocks_reference == paid.blocks_reference


@given(st.lists(disputes, min_size=1, max_size=8))
def test_dispute_read_again_changes_nothing(read: list[Dispute]) -> None:
    after = apply_disputes(captured(), *read)
    for one in after.disputes:
        assert apply_dispute(after, snapshot(after, one), now=LATER) is after


@given(st.lists(disputes, max_size=8))
def test_the_timeline_has_no_gap_and_adds_up_to_what_is_withdrawn(
    read: list[Dispute],
) -> None:
    payment, events = captured(), list[Event]()
    for one in read:
        one = replace(one, reason="general")
        step = apply_dispute(payment, snapshot(payment, one), now=LATER)
        assert [each.seq for each in step.pending_events] == [
            payment.event_count + place
            for place in range(1, len(step.pending_events) + 1)
        ]
        events += step.pending_events
        payment = stored(step)
    for one in payment.disputes:
        its = [each for each in events if each.data["dispute"] == one.id]
        counted = Counter[str]()
        for each in its:
            counted[each.type] += int(each.data["amount"])
        assert counted[WITHDRAWN] - counted[REINSTATED] == one.withdrawn
        assert [each.type for each in its].count(OPENED) == 1
        assert its[0].type == OPENED
        assert its[-1].data["state"] == one.state


def test_a_dispute_goes_from_opened_to_won() -> None:
    paid = captured()
    assert event_types(paid, dispute()) == [OPENED, WITHDRAWN]
    opened = apply_disputes(paid, dispute())
    review = dispute(state=DisputeState.UNDER_REVIEW, respond_by=None)
    assert event_types(opened, review) == [UPDATED]
    assert event_types(apply_disputes(opened, review), WON) == [
        REINSTATED,
        "dispute.won",
    ]
    won = apply_disputes(opened, review, WON)
    assert won.disputed == 0
    assert (opened.disputed, won.disputes[0].updated_at) == (
        PRICE.minor,
        NOW + timedelta(hours=1),
    )


def test_dispute_first_read_at_its_end_has_all_events() -> None:
    paid = captured()
    assert event_types(paid, LOST) == [OPENED, WITHDRAWN, "dispute.lost"]
    assert event_types(paid, WON) == [OPENED, "dispute.won"]


def test_an_appeal_reopens_a_dispute_and_may_change_its_result() -> None:
    lost = apply_disputes(captured(), LOST)
    assert event_types(lost, dispute()) == [REOPENED]
    assert event_types(lost, WON) == [REINSTATED, "dispute.won"]
    closed = replace(WON, state=DisputeState.CLOSED)
    assert event_types(apply_disputes(captured(), WON), closed) == ["dispute.closed"]


def test_a_later_deadline_or_an_escalated_inquiry_is_an_update() -> None:
    asked = dispute(inquiry=True, withdrawn=0)
    inquired = apply_disputes(captured(), asked)
    assert inquired.disputes[0].inquiry
    assert event_types(inquired, replace(asked, respond_by=LATER)) == [UPDATED]
    assert event_types(inquired, dispute()) == [WITHDRAWN, UPDATED]
    assert event_types(apply_disputes(captured(), dispute(withdrawn=0)), dispute()) == [
        WITHDRAWN
    ]


def test_an_event_has_the_amount_reason_and_deadline_of_its_dispute() -> None:
    paid = captured()
    [opened, _] = apply_dispute(paid, snapshot(paid), now=NOW).pending_events
    assert dict(opened.data) == {
        "dispute": "dp_1",
        "operation": paid.first_operation.id,
        "state": "needs_response",
        "amount": PRICE.minor,
        "currency": "USD",
        "reason": "fraudulent",
        "respond_by": "2026-01-11T12:00:00.000Z",
    }
    [*_, lost] = apply_dispute(paid, snapshot(paid, LOST), now=NOW).pending_events
    assert lost.data["outcome"] == "lost"


def test_the_disputed_operation_is_found_by_the_providers_id_before_ours() -> None:
    held = authorized()
    asked = follow_ups.capture(
        held, amount=None, final=None, id="op_2", origin=origin(), now=NOW
    )
    first, capture = asked.operations
    both = replace(
        asked,
        operations=(replace(first, refs={"charge": CHARGE}), capture),
        pending_events=(),
    )
    by_name = DisputeSnapshot(dispute(), both.id, ("op_2",))
    assert apply_dispute(both, by_name, now=NOW).disputes[0].operation == "op_2"
    known = replace(capture, refs={"charge": CHARGE})
    both = replace(both, operations=(first, known))
    by_id = DisputeSnapshot(dispute(), both.id, (first.id,))
    assert apply_dispute(both, by_id, now=NOW).disputes[0].operation == "op_2"


def test_dispute_of_an_unknown_operation_names_none() -> None:
    paid = captured()
    after = apply_dispute(paid, DisputeSnapshot(dispute(), paid.id), now=NOW)
    assert after.disputes[0].operation is None
    assert "operation" not in after.pending_events[0].data
    found = apply_dispute(stored(after), snapshot(paid), now=LATER)
    assert found.disputes[0].operation == paid.first_operation.id


def test_a_reversal_without_a_dispute_is_a_lost_dispute() -> None:
    reversal = replace(LOST, id="re_1", reason=REVERSED, outcome=None)
    assert event_types(captured(), reversal) == [OPENED, WITHDRAWN, "dispute.lost"]
    assert apply_disputes(captured(), reversal).disputed == PRICE.minor


@pytest.mark.parametrize("known", [dispute(), LOST])
def test_reversal_by_a_known_dispute_changes_nothing(known: Dispute) -> None:
    reversal = replace(LOST, id="re_1", reason=REVERSED)
    assert event_types(apply_disputes(captured(), known), reversal) == []
    assert (
        event_types(apply_disputes(captured(), replace(known, ref="ch_2")), reversal)
        != []
    )
    assert event_types(apply_disputes(captured(), WON), reversal) != []


def test_a_dispute_replaces_the_reversal_that_it_caused() -> None:
    reversal = replace(LOST, id="re_1", reason=REVERSED)
    reversed_ = apply_disputes(captured(), reversal)
    assert event_types(reversed_, LOST) == [OPENED, "dispute.lost"]
    [only] = apply_disputes(reversed_, LOST).disputes
    assert only.id == "dp_1"
    assert len(apply_disputes(reversed_, WON).disputes) == 2


def test_number_of_kept_disputes_is_bounded() -> None:
    full = apply_disputes(
        captured(), *(dispute(f"dp_{number}") for number in range(MAX_DISPUTES))
    )
    assert len(full.disputes) == MAX_DISPUTES
    assert apply_dispute(full, snapshot(full, dispute("dp_more")), now=LATER) is full
    assert event_types(full, replace(WON, id="dp_3")) == [REINSTATED, "dispute.won"]


def test_dispute_in_another_currency_is_in_no_sum() -> None:
    foreign = dispute(money=Money(900, "EUR"))
    assert apply_disputes(captured(), foreign, dispute("dp_2")).disputed == PRICE.minor


def test_money_taken_by_a_reversal_has_no_second_event_by_its_dispute() -> None:
    """The reversal is read after the dispute ended otherwise."""
    closed = dispute(state=DisputeState.CLOSED, withdrawn=0)
    reversal = replace(LOST, id="re_1", reason=REVERSED)
    both = apply_disputes(apply_disputes(captured(), closed), reversal)
    assert [one.withdrawn for one in both.disputes] == [0, PRICE.minor]
    assert event_types(both, LOST) == ["dispute.lost"]
    [only] = apply_disputes(both, LOST).disputes
    assert only.withdrawn == PRICE.minor
