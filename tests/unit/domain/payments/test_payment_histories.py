"""The invariants of a payment, in random histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from hypothesis import given, strategies as st

from domain.errors import (
    Conflict,
    IllegalTransition,
    LookupRequired,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    PaymentNotFound,
    ProviderError,
)
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import capture, refund, void
from domain.payments.operation import Kind, Operation, Origin
from domain.payments.payment import Event, Payment
from domain.payments.start_attempt import start_lookup, expire_claim, record_send
from domain.payments.states import CORRECTIONS, State
from domain.payments.submission import CaptureMethod, ProviderName
from tests.suites.samples import NOW, PRICE, payment, stored, submission

Step = Callable[[Payment, datetime], Payment]

moved: Final = st.sampled_from([None, PRICE, Money(1, "USD"), Money(1999, "EUR")])
waits: Final = st.none() | st.timedeltas(timedelta(), timedelta(hours=1))
answers: Final = st.builds(
    Answer, st.sampled_from(Verdict), moved, waiting_for=st.just("somebody")
)
errors: Final = st.builds(
    lambda kind, wait: kind(retry_after=wait),
    st.sampled_from(
        [
            NotExecuted,
            NotSent,
            Misconfigured,
            OutcomeUnknown,
            LookupRequired,
            NeedsReview,
        ]
    ),
    waits,
)


def _settling(outcome: Answer | ProviderError, jitter: float) -> Step:
    return lambda payment, now: settle(payment, outcome, now=now, jitter=jitter)


def _next(payment: Payment, now: datetime) -> Payment:
    """The next step of a worker: a send if one is safe, else a lookup."""
    free = expire_claim(payment, now=now)
    operation = free.next_operation
    if operation is None:
        return free
    if operation.needs_lookup(now=now):
        return start_lookup(free, operation, now=now)
    return record_send(free, operation, "{}", now=now)


def _capturing(amount: int | None, final: bool) -> Step:
    return lambda payment, now: capture(
        payment, amount=amount, final=final, now=now, **_request(payment)
    )


def _refunding(amount: int | None) -> Step:
    return lambda payment, now: refund(
        payment, amount=amount, target=None, now=now, **_request(payment)
    )


def _voiding(payment: Payment, now: datetime) -> Payment:
    return void(payment, now=now, **_request(payment))


def _request(payment: Payment) -> dict[str, Any]:
    name = f"op_{len(payment.operations)}"
    return {"id": name, "origin": Origin(name, "f")}


def _succeeding(several: bool) -> Step:
    """The answer to a successful operation."""

    def step(payment: Payment, now: datetime) -> Payment:
        operation = payment.claimed_operation
        money = Money(operation.amount, payment.submission.amount.currency)
        moved = None if operation.kind is Kind.VOID else money
        refs = {"ref": operation.provider_key}
        paid = Answer(Verdict.SUCCEEDED, moved, refs, multicapture=several)
        return settle(payment, paid, now=now, jitter=0)

    return step


amounts: Final = st.sampled_from([None, 1, 600, 1999])
steps: Final = st.one_of(
    st.just(_next),
    st.builds(_succeeding, st.booleans()),
    st.just(_voiding),
    st.builds(_capturing, amounts, st.booleans()),
    st.builds(_refunding, amounts),
    st.builds(_settling, answers | errors, st.floats(0, 1)),
    st.just(lambda payment, now: stored(payment)),
)
pauses: Final = st.timedeltas(timedelta(), timedelta(hours=8))
histories: Final = st.lists(st.tuples(steps, pauses), max_size=25)


@given(st.sampled_from(CaptureMethod), st.sampled_from([*ProviderName]), histories)
def test_the_invariants_of_a_payment_hold_in_every_history(
    method: CaptureMethod,
    provider: ProviderName,
    history: list[tuple[Step, timedelta]],
) -> None:
    asked = replace(submission(provider=provider), capture=method)
    here = payment(submitted=asked)
    now, timeline = NOW, list(here.pending_events)
    for step, pause in history:
        now += pause
        try:
            after = step(here, now)
        except (IllegalTransition, Conflict, PaymentNotFound):
            continue
        timeline += after.pending_events[
            (
                len(here.pending_events)
                if after.pending_events
                else len(after.pending_events)
            ) :
        ]
        _check_amounts(after)
        for before, operation in zip(here.operations, after.operations, strict=False):
            _an_unknown_send_never_changes(before, operation)
            _what_is_final_stays(before, operation)
        for operation in after.operations:
            _check_waiting_for(operation)
            _the_timeline_explains(timeline, operation)
        here = after
        assert [event.seq for event in timeline] == list(range(1, len(timeline) + 1))
        assert here.event_count + len(here.pending_events) == len(timeline)


def _check_amounts(payment: Payment) -> None:
    amount = payment.submission.amount.minor
    assert payment.authorized in (0, amount)
    assert payment.captured + payment.capture_reserved <= payment.authorized
    assert payment.refunded + payment.refund_reserved <= payment.captured
    for one in payment.operations:
        moves = one.state is State.SUCCEEDED and one.kind is not Kind.VOID
        assert one.moved == (one.amount if moves else 0)


def _an_unknown_send_never_changes(before: Operation, after: Operation) -> None:
    if before.send is None or after.generation > before.generation:
        return
    assert after.send is not None
    assert (after.send.key, after.send.body) == (before.send.key, before.send.body)
    if before.state is State.UNKNOWN:
        assert after.send.window_ends_at == before.send.window_ends_at


def _what_is_final_stays(before: Operation, after: Operation) -> None:
    if before.is_terminal and after.state is not before.state:
        assert (before.state, after.state) in {
            (state, to) for (state, _), to in CORRECTIONS.items()
        }


def _check_waiting_for(operation: Operation) -> None:
    if operation.has_work:
        assert operation.due_at is not None
    elif not operation.is_terminal:
        assert operation.due_at is not None or operation.waiting_for is not None


def _the_timeline_explains(timeline: list[Event], operation: Operation) -> None:
    events = [event for event in timeline if event.data["operation"] == operation.id]
    assert events[-1].data["to"] == operation.state
    for before, after in zip(events, events[1:], strict=False):
        assert after.data.get("from", after.data["to"]) == before.data["to"]
        assert after.at >= before.at
