"""What a payment that an open gate holds back says that it waits for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.circuit_breaker import CallKind, Gate, Position, behind, gate_name
from domain.errors import NotSent, OutcomeUnknown
from domain.payments.apply_answer import settle
from domain.payments.payment import Payment
from tests.suites.samples import NOW, captured, payment, sending, stored
from tests.support.operation_steps import refund

OPEN = Gate("stripe", Position.OPEN)
WORDS = "the gate before stripe to close"
#: Long after everything that is owed here was due.
LATER = NOW + timedelta(days=1)


def test_what_is_due_waits_for_the_gate() -> None:
    new = payment()
    [operation] = behind(new, {"stripe": OPEN}, now=LATER).operations
    assert operation == replace(new.first, waiting_for=WORDS)


def test_behind_a_closed_gate_nothing_is_said() -> None:
    new = payment()
    assert behind(new, {"stripe": Gate("stripe")}, now=LATER) == new


def test_what_is_due_later_waits_for_its_time() -> None:
    new = payment()
    assert behind(new, {"stripe": OPEN}, now=NOW) == new


@pytest.mark.parametrize("one", [stored(sending(payment())), captured()])
def test_what_is_under_way_or_done_waits_for_no_gate(one: Payment) -> None:
    assert behind(one, {"stripe": OPEN}, now=LATER) == one


@pytest.mark.parametrize("error", [NotSent(), OutcomeUnknown("no_answer")])
def test_what_says_already_what_it_waits_for_goes_on_saying_so(
    error: NotSent | OutcomeUnknown,
) -> None:
    one = settle(stored(sending(payment())), error, now=NOW, jitter=0.5)
    assert one.first.waiting_for
    assert behind(one, {"stripe": OPEN}, now=LATER) == one


@pytest.mark.parametrize("kind", CallKind)
def test_a_gate_before_one_kind_of_calls_stops_that_kind_alone(kind: CallKind) -> None:
    gate = Gate(gate_name("stripe", kind), Position.OPEN)
    asked = refund(captured(), 500)
    shown = behind(asked, {gate.name: gate}, now=LATER)
    words = "the gate before refunds at stripe to close"
    stopped = kind is CallKind.REFUNDS
    assert shown.operations[-1].waiting_for == (words if stopped else None)
    assert shown.first.waiting_for is None


def test_a_look_waits_for_the_gate_before_reads() -> None:
    gate = Gate(gate_name("stripe", CallKind.READS), Position.OPEN)
    new = payment()
    looks = replace(new, operations=(replace(new.first, look_since=NOW),))
    [shown] = behind(looks, {gate.name: gate}, now=LATER).operations
    assert shown.waiting_for == "the gate before reads at stripe to close"
