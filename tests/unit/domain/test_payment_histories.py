"""Whatever happens to a payment, in whatever order, these hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from domain.answer import Answer, Verdict
from domain.errors import (
    IllegalTransition,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.money import Money
from domain.payment import LEASE, Event, Payment
from domain.states import FINAL, TRANSITIONS, State, Trigger
from tests.suites.samples import NOW, PRICE, payment

Step = Callable[[Payment, datetime], Payment]

moved: Final = st.sampled_from([None, PRICE, Money(1, "USD"), Money(1999, "EUR")])
waits: Final = st.none() | st.timedeltas(timedelta(), timedelta(hours=1))
answers: Final = st.builds(
    Answer, st.sampled_from(Verdict), moved, waiting_for=st.just("somebody")
)
errors: Final = st.builds(
    lambda kind, wait: kind(retry_after=wait),
    st.sampled_from([NotExecuted, NotSent, Misconfigured, OutcomeUnknown, NeedsReview]),
    waits,
)


def _settling(outcome: Answer | ProviderError, jitter: float) -> Step:
    return lambda payment, now: payment.settle(outcome, now=now, jitter=jitter)


def _sending(body: str) -> Step:
    """A claim: the store puts the lease's end where the due time was."""
    return lambda payment, now: replace(payment.sent(body, now=now), due_at=now + LEASE)


steps: Final = st.one_of(
    st.builds(_sending, st.sampled_from(["{}", '{"other": 1}'])),
    st.builds(_settling, answers | errors, st.floats(0, 1)),
    st.just(lambda payment, now: payment.lease_expired(now=now)),
    st.just(lambda payment, now: payment.escalate("why", now=now)),
    st.just(lambda payment, now: _stored(payment)),
)
pauses: Final = st.timedeltas(timedelta(), timedelta(hours=8))
histories: Final = st.lists(st.tuples(steps, pauses), max_size=12)


@given(histories)
def test_no_history_breaks_what_a_payment_promises(
    history: list[tuple[Step, timedelta]],
) -> None:
    here, now, timeline = payment(), NOW, list(payment().news)
    for step, pause in history:
        now += pause
        try:
            after = step(here, now)
        except IllegalTransition:
            continue
        timeline += after.news[len(here.news) if after.news else len(after.news) :]
        _money_is_within_what_was_asked(after)
        _an_unknown_send_never_changes(here, after)
        _a_final_payment_owes_nothing(after)
        here = after
        _the_timeline_explains(timeline, here)


def _money_is_within_what_was_asked(payment: Payment) -> None:
    amount = payment.submission.amount.minor
    assert 0 <= payment.refunded <= payment.captured <= payment.authorized <= amount
    assert (payment.captured == amount) == (
        payment.operation.state is State.SUCCEEDED
    ), "one charge takes all or nothing"


def _an_unknown_send_never_changes(before: Payment, after: Payment) -> None:
    if before.operation.state is State.UNKNOWN:
        assert after.operation.send == before.operation.send
    if before.operation.send is not None:
        assert after.operation.send is not None
        assert after.operation.send.key == before.operation.send.key
        assert after.operation.send.body == before.operation.send.body


def _a_final_payment_owes_nothing(payment: Payment) -> None:
    if payment.settled:
        assert payment.due_at is None
    if payment.operation.state in FINAL:
        assert not any(
            (payment.operation.state, trigger) in TRANSITIONS for trigger in Trigger
        )
    else:
        assert payment.due_at is not None or payment.operation.waiting_for is not None


def _the_timeline_explains(timeline: list[Event], payment: Payment) -> None:
    assert [event.seq for event in timeline] == list(range(1, len(timeline) + 1))
    assert payment.told + len(payment.news) == len(timeline)
    assert timeline[-1].data["to"] == payment.operation.state
    for before, after in zip(timeline, timeline[1:], strict=False):
        assert after.data["from"] == before.data["to"]
        assert after.at >= before.at


def _stored(payment: Payment) -> Payment:
    """As a store gives it back after a write."""
    told = payment.told + len(payment.news)
    return replace(payment, version=payment.version + 1, told=told, news=())
