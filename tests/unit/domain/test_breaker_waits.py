"""What a payment that an open breaker holds back says that it waits for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.circuit_breaker import (
    CallKind,
    CircuitBreaker,
    BreakerState,
    with_breaker_wait,
    breaker_name,
)
from domain.errors import NotSent, OutcomeUnknown
from domain.payments.apply_answer import settle
from domain.payments.payment import Payment
from tests.suites.samples import NOW, captured, payment, sending, stored
from tests.support.operation_steps import refund

OPEN = CircuitBreaker("stripe", BreakerState.OPEN)
WORDS = "the circuit breaker of stripe to close"
#: Long after everything that is owed here was due.
LATER = NOW + timedelta(days=1)


def test_what_is_due_waits_for_the_gate() -> None:
    new = payment()
    [operation] = with_breaker_wait(new, {"stripe": OPEN}, now=LATER).operations
    assert operation == replace(new.first_operation, waiting_for=WORDS)


def test_behind_a_closed_gate_nothing_is_said() -> None:
    new = payment()
    assert (
        with_breaker_wait(new, {"stripe": CircuitBreaker("stripe")}, now=LATER) == new
    )


def test_what_is_due_later_waits_for_its_time() -> None:
    new = payment()
    assert with_breaker_wait(new, {"stripe": OPEN}, now=NOW) == new


@pytest.mark.parametrize("one", [stored(sending(payment())), captured()])
def test_what_is_under_way_or_done_waits_for_no_gate(one: Payment) -> None:
    assert with_breaker_wait(one, {"stripe": OPEN}, now=LATER) == one


@pytest.mark.parametrize("error", [NotSent(), OutcomeUnknown("no_answer")])
def test_what_says_already_what_it_waits_for_goes_on_saying_so(
    error: NotSent | OutcomeUnknown,
) -> None:
    one = settle(stored(sending(payment())), error, now=NOW, jitter=0.5)
    assert one.first_operation.waiting_for
    assert with_breaker_wait(one, {"stripe": OPEN}, now=LATER) == one


@pytest.mark.parametrize("kind", CallKind)
def test_a_gate_before_one_kind_of_calls_stops_that_kind_alone(kind: CallKind) -> None:
    gate = CircuitBreaker(breaker_name("stripe", kind), BreakerState.OPEN)
    asked = refund(captured(), 500)
    shown = with_breaker_wait(asked, {gate.name: gate}, now=LATER)
    words = "the circuit breaker of refunds at stripe to close"
    stopped = kind is CallKind.REFUNDS
    assert shown.operations[-1].waiting_for == (words if stopped else None)
    assert shown.first_operation.waiting_for is None


def test_a_look_waits_for_the_gate_before_reads() -> None:
    gate = CircuitBreaker(breaker_name("stripe", CallKind.READS), BreakerState.OPEN)
    new = payment()
    looks = replace(new, operations=(replace(new.first_operation, lookups_since=NOW),))
    [shown] = with_breaker_wait(looks, {gate.name: gate}, now=LATER).operations
    assert shown.waiting_for == "the circuit breaker of reads at stripe to close"
