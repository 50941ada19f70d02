"""What a payment that an open gate holds back says that it waits for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.breaker import Gate, Position, behind
from domain.errors import NotSent, OutcomeUnknown
from domain.payment import Payment
from domain.settling import settle
from tests.suites.samples import NOW, captured, payment, sending, stored

OPEN = Gate("stripe", Position.OPEN)
WORDS = "the gate before stripe to close"
#: Long after everything that is owed here was due.
LATER = NOW + timedelta(days=1)


def test_what_is_due_waits_for_the_gate() -> None:
    new = payment()
    [operation] = behind(new, OPEN, now=LATER).operations
    assert operation == replace(new.first, waiting_for=WORDS)


def test_behind_a_closed_gate_nothing_is_said() -> None:
    new = payment()
    assert behind(new, Gate("stripe"), now=LATER) == new


def test_what_is_due_later_waits_for_its_time() -> None:
    new = payment()
    assert behind(new, OPEN, now=NOW) == new


@pytest.mark.parametrize("one", [stored(sending(payment())), captured()])
def test_what_is_under_way_or_done_waits_for_no_gate(one: Payment) -> None:
    assert behind(one, OPEN, now=LATER) == one


@pytest.mark.parametrize("error", [NotSent(), OutcomeUnknown("no_answer")])
def test_what_says_already_what_it_waits_for_goes_on_saying_so(
    error: NotSent | OutcomeUnknown,
) -> None:
    one = settle(stored(sending(payment())), error, now=NOW, jitter=0.5)
    assert one.first.waiting_for
    assert behind(one, OPEN, now=LATER) == one
