"""Two possible orders at PayPal: a refusal of one does not settle the payment."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given as drawn, strategies as st

from domain.errors import (
    Conflict,
    LookupRequired,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.answer import Answer, NextAction, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import void
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup, record_send
from domain.payments.states import TRANSITIONS, State, Status, Trigger
from domain.payments.submission import ProviderName
from tests.suites.samples import (
    NOW,
    PRICE,
    origin,
    payment,
    sending,
    stored,
    submission,
)

SOON: Final = NOW + timedelta(minutes=1)
LATER: Final = NOW + timedelta(hours=1)
REFS: Final = {"order": "o_1"}
ACT: Final = Answer(
    Verdict.ACTION_REQUIRED,
    refs=REFS,
    next_action=NextAction("https://paypal.example/approve"),
)
NOES: Final = [Verdict.EXPIRED, Verdict.CANCELED, Verdict.DECLINED]


def _resent(
    provider: ProviderName = ProviderName.PAYPAL, token: str | None = "vault_1"
) -> Payment:
    """A payment sent twice without an answer."""
    given = payment(submitted=submission(provider=provider, payment_method=token))
    for _ in range(2):
        given = settle(sending(given), OutcomeUnknown(), now=NOW, jitter=0)
        given = stored(given)
    return given


def _look_up(given: Payment, answer: Answer) -> Payment:
    asked = stored(start_lookup(given, given.first_operation, now=SOON))
    return stored(settle(asked, answer, now=SOON, jitter=0))


@pytest.mark.parametrize("verdict", NOES)
@pytest.mark.parametrize("first_seen", [None, ACT])
def test_refusal_of_one_order_needs_manual_review_while_another_may_be_paid(
    verdict: Verdict, first_seen: Answer | None
) -> None:
    given = _resent()
    if first_seen is not None:
        given = _look_up(given, first_seen)
        assert given.status is Status.REQUIRES_ACTION
    ended = _look_up(given, Answer(verdict, refs=REFS))
    assert (ended.first_operation.state, ended.due_at) == (State.REVIEW, None)
    assert ended.first_operation.error == "another_order"
    again = _look_up(ended, Answer(verdict, refs=REFS))
    assert again.first_operation.state is State.REVIEW


@pytest.mark.parametrize("verdict", NOES)
def test_refusal_of_an_approved_order_needs_manual_review_too(verdict: Verdict) -> None:
    approved = _look_up(_look_up(_resent(), ACT), Answer(Verdict.APPROVED, refs=REFS))
    claimed = stored(record_send(approved, approved.first_operation, "{}", now=SOON))
    ended = settle(claimed, Answer(verdict, refs=REFS), now=SOON, jitter=0)
    assert (ended.first_operation.state, ended.first_operation.error) == (
        State.REVIEW,
        "another_order",
    )


def test_success_of_either_order_is_that_of_the_payment() -> None:
    paid = _look_up(_look_up(_resent(), ACT), Answer(Verdict.SUCCEEDED, PRICE, REFS))
    assert (paid.status, paid.captured) == (Status.CAPTURED, PRICE.minor)


@pytest.mark.parametrize(
    ("provider", "token"),
    [(ProviderName.STRIPE, "pm_1"), (ProviderName.PAYPAL, None)],
)
def test_refusal_is_final_where_no_second_order_can_be_paid(
    provider: ProviderName, token: str | None
) -> None:
    """Stripe keeps its keys; a PayPal order without a known link cannot be approved."""
    ended = _look_up(_resent(provider, token), Answer(Verdict.EXPIRED, refs=REFS))
    assert ended.first_operation.state is State.EXPIRED


def test_void_of_a_possibly_paid_order_is_refused() -> None:
    acting = _look_up(_resent(), ACT)
    approved = _look_up(acting, Answer(Verdict.APPROVED, refs=REFS))
    for given in (acting, approved):
        with pytest.raises(Conflict) as refused:
            void(given, id="op_void", origin=origin("void"), now=SOON)
        assert refused.value.reason == "another_order"


def test_canceled_payment_has_no_next_action() -> None:
    asked = submission(provider=ProviderName.PAYPAL, payment_method=None)
    acting = stored(settle(sending(payment(submitted=asked)), ACT, now=NOW, jitter=0))
    assert acting.next_action is not None
    canceled = void(acting, id="op_void", origin=origin("void"), now=SOON)
    assert (canceled.status, canceled.next_action) == (Status.CANCELED, None)


def test_absent_order_is_not_dead_while_another_may_be_paid() -> None:
    """The known order still waits for its capture; the other one may be paid."""
    agreed = Answer(Verdict.APPROVED, refs=REFS)
    approved = _look_up(_look_up(_resent(), ACT), agreed)
    claimed = stored(record_send(approved, approved.first_operation, "{}", now=SOON))
    asked = stored(settle(claimed, NeedsReview("odd"), now=SOON, jitter=0))
    assert asked.first_operation.state is State.REVIEW
    late = stored(start_lookup(asked, asked.first_operation, now=LATER))
    seen = settle(late, agreed, now=LATER, jitter=0)
    assert seen.first_operation.state is State.REVIEW


def test_order_tried_for_days_is_not_dead_while_another_may_be_paid() -> None:
    approved = _look_up(_look_up(_resent(), ACT), Answer(Verdict.APPROVED, refs=REFS))
    claimed = stored(record_send(approved, approved.first_operation, "{}", now=LATER))
    spent = settle(claimed, NotSent(), now=LATER + timedelta(days=5), jitter=1)
    assert (spent.first_operation.state, spent.first_operation.error) == (
        State.REVIEW,
        "another_order",
    )


#: The evidence that no money moved.
OVER: Final = frozenset(
    {State.DECLINED, State.REJECTED, State.CANCELED, State.EXPIRED, State.DEAD}
)
ERRORS: Final = [NotSent, NotExecuted, OutcomeUnknown, LookupRequired, NeedsReview]
outcomes = st.sampled_from(
    [
        *(Answer(one, refs=REFS) for one in Verdict if one is not Verdict.SUCCEEDED),
        *(error() for error in ERRORS),
    ]
)
hours = st.integers(min_value=0, max_value=200)


@drawn(st.lists(st.tuples(st.booleans(), outcomes, hours), max_size=12))
def test_only_an_operator_ends_one_of_two_orders_without_money(
    steps: list[tuple[bool, Answer | ProviderError, int]],
) -> None:
    given, now = _resent(), NOW
    for looks, outcome, later in steps:
        now += timedelta(hours=later)
        first = given.first_operation
        sends = not looks and not first.needs_lookup(now=now)
        if sends and (first.state, Trigger.SENT) in TRANSITIONS:
            asked = record_send(given, first, "{}", now=now)
        else:
            asked = start_lookup(given, first, now=now)
        given = stored(settle(stored(asked), outcome, now=now, jitter=1))
        assert given.first_operation.state not in OVER
