"""Each invariant's check finds its violations, and none in a run without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos.evidence import (
    Event,
    Evidence,
    Exchange,
    Movement,
    Operation,
    Payment,
    Snapshot,
)
from tests.chaos.invariants import INVARIANTS, judge

START = datetime(2030, 1, 1, tzinfo=UTC)
OPERATION = "op_1"
KEY = f"{OPERATION}-1"


def event(seq: int, type: str, seconds: int, **data: Any) -> Event:
    return Event(seq, type, START + timedelta(seconds=seconds), data)


def step(seq: int, type: str, before: str, after: str, **data: Any) -> Event:
    moved = {"operation": OPERATION, "from": before, "to": after, **data}
    return event(seq, type, seq, **moved)


ACCEPTED = event(1, "payment.accepted", 1, operation=OPERATION, to="queued")
SENT = step(2, "attempt.sent", "queued", "running", provider_key=KEY)
SUCCEEDED = step(3, "attempt.answered", "running", "succeeded")
DECLINED = step(3, "attempt.answered", "running", "declined")
TIMELINE = (ACCEPTED, SENT, SUCCEEDED)

CHARGE = Operation(
    id=OPERATION,
    kind="charge",
    provider_key="order-1",
    amount=1999,
    moved=1999,
    state="succeeded",
    due_at=None,
)
PAID = Payment(
    id="pay_1",
    currency="USD",
    captured=1999,
    refunded=0,
    version=3,
    event_count=3,
    operations=(CHARGE,),
    timeline=TIMELINE,
)
FAILED = replace(
    PAID,
    captured=0,
    operations=(replace(CHARGE, state="declined"),),
    timeline=(ACCEPTED, SENT, DECLINED),
)
MOVED = Movement(
    provider="stripe",
    kind="charge",
    key=KEY,
    operation=OPERATION,
    amount=1999,
    currency="USD",
    at=START + timedelta(seconds=2.5),
)
VOID = replace(CHARGE, id="op_2", kind="void", provider_key="order-1-0", moved=0)
CANCELED = replace(
    PAID,
    captured=0,
    operations=(replace(CHARGE, state="canceled"), VOID),
    timeline=(
        ACCEPTED,
        step(2, "operation.canceled", "queued", "canceled"),
        event(3, "operation.accepted", 3, operation="op_2", to="succeeded"),
    ),
)
ASKED = Exchange(
    at=START.timestamp(),
    key="order-1",
    status=202,
    payment="pay_1",
    pays=True,
    altered=False,
    refused=False,
    approved=True,
)
RUNNING = Snapshot("pay_1", 2, 2, {OPERATION: "running"})
ENDED = Snapshot("pay_1", 3, 3, {OPERATION: "succeeded"})
KEPT = Evidence(
    exchanges=(ASKED,),
    movements=(MOVED,),
    payments=(PAID,),
    snapshots=(RUNNING, ENDED),
    searched=3,
)


def with_state(state: str) -> Payment:
    return replace(PAID, operations=(replace(CHARGE, state=state),))


def broken(evidence: Evidence) -> dict[str, Sequence[str]]:
    """The violations by invariant, those without any left out."""
    verdicts = judge(evidence)
    return {one.name: one.violations for one in verdicts if one.violations}


def test_a_run_that_kept_every_promise_has_no_violation() -> None:
    assert broken(KEPT) == {}
    assert [verdict.name for verdict in judge(KEPT)] == [f"I{n}" for n in range(1, 9)]
    assert all(verdict.checked for verdict in judge(KEPT))


def test_a_failed_payment_for_which_nothing_moved_keeps_every_promise() -> None:
    assert broken(Evidence(exchanges=(ASKED,), payments=(FAILED,))) == {}


#: Planted evidence, by its violation.
PLANTED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "charged twice": ("I1", {"movements": (MOVED, MOVED)}),
    "succeeded without a charge": ("I1", {"movements": ()}),
    "failed, and charged": ("I1", {"payments": (FAILED,)}),
    "dead, and charged": ("I1", {"payments": (with_state("dead"),)}),
    "another amount": ("I1", {"movements": (replace(MOVED, amount=2000),)}),
    "another currency": ("I1", {"movements": (replace(MOVED, currency="EUR"),)}),
    "another kind": ("I1", {"movements": (replace(MOVED, kind="refund"),)}),
    "a charge of nobody's": (
        "I1",
        {"movements": (MOVED, replace(MOVED, operation="op_2"))},
    ),
    "a charge without a key": (
        "I1",
        {"movements": (MOVED, replace(MOVED, operation=None, key=None))},
    ),
    "one key, two payments": (
        "I1",
        {"exchanges": (ASKED, replace(ASKED, payment="pay_2"))},
    ),
    "one key, two operations": ("I1", {"payments": (PAID, replace(PAID, id="pay_2"))}),
    "called off, and charged": ("I1", {"payments": (CANCELED,)}),
    "another body was taken": ("I1", {"exchanges": (replace(ASKED, altered=True),)}),
    "a card number was taken": ("I1", {"exchanges": (replace(ASKED, refused=True),)}),
    "more stored than moved": ("I2", {"payments": (replace(PAID, captured=2999),)}),
    "a refund that moved nothing": ("I2", {"payments": (replace(PAID, refunded=1),)}),
    "a currency of nobody's": ("I2", {"movements": (replace(MOVED, currency="EUR"),)}),
    "an accepted payment is gone": ("I3", {"payments": ()}),
    "an accepted operation is gone": (
        "I3",
        {"exchanges": (ASKED, replace(ASKED, key="order-1-0"))},
    ),
    "still unknown": ("I3", {"payments": (with_state("unknown"),)}),
    "gave up": ("I3", {"payments": (with_state("dead"),)}),
    "a version went back": (
        "I4",
        {"snapshots": (ENDED, replace(RUNNING, event_count=3))},
    ),
    "events vanished": ("I4", {"snapshots": (ENDED, replace(ENDED, event_count=2))}),
    "a terminal state changed": (
        "I4",
        {"snapshots": (replace(ENDED, states={OPERATION: "declined"}), ENDED)},
    ),
    "a terminal operation vanished": (
        "I4",
        {"snapshots": (ENDED, replace(ENDED, states={}))},
    ),
    "a payment vanished": ("I4", {"snapshots": (replace(ENDED, payment="pay_2"),)}),
    "an end before the last snapshot": (
        "I4",
        {"snapshots": (replace(ENDED, version=4),)},
    ),
    "moved from a terminal state": (
        "I4",
        {
            "payments": (
                replace(
                    PAID,
                    timeline=(
                        *TIMELINE,
                        step(4, "attempt.answered", "succeeded", "declined"),
                    ),
                ),
            )
        },
    ),
    "a terminal state without an event": (
        "I5",
        {"payments": (replace(PAID, timeline=(ACCEPTED, SENT)),)},
    ),
    "a terminal state with two events": (
        "I5",
        {"payments": (replace(PAID, timeline=(*TIMELINE, SUCCEEDED)),)},
    ),
    "an end that is none": ("I5", {"payments": (with_state("unknown"),)}),
    "a gap in the timeline": (
        "I6",
        {"payments": (replace(PAID, timeline=(ACCEPTED, SUCCEEDED)),)},
    ),
    "fewer events than counted": ("I6", {"payments": (replace(PAID, event_count=4),)}),
    "a state without an event": ("I6", {"payments": (with_state("declined"),)}),
    "a step from elsewhere": (
        "I6",
        {
            "payments": (
                replace(
                    PAID,
                    timeline=(
                        ACCEPTED,
                        SENT,
                        step(3, "attempt.answered", "unknown", "succeeded"),
                    ),
                ),
            )
        },
    ),
    "a call that was not written down": (
        "I7",
        {"movements": (replace(MOVED, key=f"{OPERATION}-2"),)},
    ),
    "written down after the money moved": (
        "I7",
        {"movements": (replace(MOVED, at=START),)},
    ),
    "a secret in a log": ("I8", {"leaks": ("logs/web-1.log has the API key",)}),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_violation_is_found(planted: str) -> None:
    name, changes = PLANTED[planted]
    assert name in broken(replace(KEPT, **changes))


def test_every_check_has_a_planted_violation() -> None:
    assert {name for name, _ in PLANTED.values()} == {one.name for one in INVARIANTS}


def test_a_resend_after_the_charge_counts_by_its_first_send() -> None:
    again = step(3, "attempt.sent", "unknown", "unknown", provider_key=KEY)
    timeline = (
        ACCEPTED,
        step(2, "attempt.sent", "queued", "running", provider_key=KEY),
        replace(again, seq=4, at=START + timedelta(seconds=9)),
    )
    found = replace(KEPT, payments=(replace(PAID, timeline=timeline),))
    assert "I7" not in broken(found)


def test_a_correction_with_an_event_may_change_a_final_state() -> None:
    corrected = step(4, "operation.corrected", "succeeded", "declined")
    payment = replace(
        FAILED, version=4, event_count=4, timeline=(*TIMELINE, corrected), captured=0
    )
    seen = (ENDED, Snapshot("pay_1", 4, 4, {OPERATION: "declined"}))
    found = Evidence(payments=(payment,), snapshots=seen)
    assert broken(found) == {}


def test_a_canceled_payment_needs_no_movement() -> None:
    assert broken(Evidence(exchanges=(ASKED,), payments=(CANCELED,))) == {}


def test_an_event_without_a_change_of_state_is_not_a_second_end() -> None:
    seen = event(4, "lookup.answered", 4, operation=OPERATION, to="succeeded")
    payment = replace(PAID, event_count=4, timeline=(*TIMELINE, seen))
    assert broken(replace(KEPT, payments=(payment,))) == {}


def test_operations_in_manual_review_are_left_out_of_the_sums() -> None:
    review = step(3, "operation.escalated", "running", "review")
    payment = replace(
        PAID,
        captured=0,
        operations=(replace(CHARGE, state="review"),),
        timeline=(ACCEPTED, SENT, review),
    )
    assert broken(replace(KEPT, payments=(payment,), snapshots=())) == {}
