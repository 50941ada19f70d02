"""``waiting_for`` of payments behind an open breaker."""

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
from domain.payments.settle import settle
from domain.payments.payment import Payment
from tests.suites.samples import NOW, captured, payment, sending, stored
from tests.support.operation_steps import refund

OPEN = CircuitBreaker("stripe", BreakerState.OPEN)
WORDS = "the circuit breaker of stripe to close"
#: A time at which all work is due.
LATER = NOW + timedelta(days=1)


def test_due_operation_waits_for_the_open_breaker() -> None:
    new = payment()
    [operation] = with_breaker_wait(new, {"stripe": OPEN}, now=LATER).operations
    assert operation == replace(new.first_operation, waiting_for=WORDS)


def test_closed_breaker_shows_no_wait() -> None:
    new = payment()
    assert (
        with_breaker_wait(new, {"stripe": CircuitBreaker("stripe")}, now=LATER) == new
    )


def test_operation_due_later_does_not_wait_for_the_breaker() -> None:
    new = payment()
    assert with_breaker_wait(new, {"stripe": OPEN}, now=NOW) == new


@pytest.mark.parametrize("one", [stored(sending(payment())), captured()])
def test_claimed_or_ended_operation_does_not_wait_for_the_breaker(one: Payment) -> None:
    assert with_breaker_wait(one, {"stripe": OPEN}, now=LATER) == one


@pytest.mark.parametrize("error", [NotSent(), OutcomeUnknown("no_answer")])
def test_earlier_wait_of_an_operation_stays(
    error: NotSent | OutcomeUnknown,
) -> None:
    one = settle(stored(sending(payment())), error, now=NOW, jitter=0.5)
    assert one.first_operation.waiting_for
    assert with_breaker_wait(one, {"stripe": OPEN}, now=LATER) == one


@pytest.mark.parametrize("kind", CallKind)
def test_breaker_of_one_kind_of_calls_stops_only_that_kind(kind: CallKind) -> None:
    breaker = CircuitBreaker(breaker_name("stripe", kind), BreakerState.OPEN)
    asked = refund(captured(), 500)
    shown = with_breaker_wait(asked, {breaker.name: breaker}, now=LATER)
    words = "the circuit breaker of refunds at stripe to close"
    stopped = kind is CallKind.REFUNDS
    assert shown.operations[-1].waiting_for == (words if stopped else None)
    assert shown.first_operation.waiting_for is None


def test_lookup_waits_for_the_breaker_of_reads() -> None:
    breaker = CircuitBreaker(breaker_name("stripe", CallKind.READS), BreakerState.OPEN)
    new = payment()
    looks = replace(new, operations=(replace(new.first_operation, lookups_since=NOW),))
    [shown] = with_breaker_wait(looks, {breaker.name: breaker}, now=LATER).operations
    assert shown.waiting_for == "the circuit breaker of reads at stripe to close"
