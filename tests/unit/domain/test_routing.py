"""Which accounts a payment may go to, and when it goes on to the next."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.account import Account
from domain.answer import Answer, Failure, NextAction, Verdict
from domain.errors import (
    InvalidPayment,
    LookNeeded,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.money import Money
from domain.payment import Payment
from domain.routing import GATE_OPEN, MAX_ROUTE, Candidate, Routes, chosen, onward
from domain.sending import released
from domain.settling import settle
from domain.states import State
from domain.submission import ProviderName, Submission
from tests.suites.samples import DECLINE, NOW, payment, sending, stored, submission

STRIPE, PAYPAL = ProviderName.STRIPE, ProviderName.PAYPAL
ONE, TWO = Account("acct_1", STRIPE), Account("acct_2", STRIPE)
THREE = Account("acct_3", PAYPAL)
LATER: Final = NOW + timedelta(seconds=1)
CODES: Final = ("insufficient_funds", "do_not_honor")

draws = st.floats(0, 1, exclude_max=True)
candidates = st.lists(
    st.builds(
        Candidate,
        st.builds(
            Account,
            st.integers(1, 30).map(lambda number: f"acct_{number}"),
            st.sampled_from(ProviderName),
        ),
        st.frozensets(st.sampled_from(["USD", "EUR", "JPY"])),
        st.integers(0, 100),
        st.booleans(),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda one: one.account.id,
)
asked = st.builds(
    submission,
    amount=st.sampled_from([Money(1999, "USD"), Money(500, "EUR"), Money(700, "GBP")]),
    provider=st.sampled_from([None, *ProviderName]),
    payment_method=st.sampled_from([None, "pm_card_visa"]),
)


@given(candidates, asked, draws)
def test_a_route_has_only_fitting_accounts_each_once_and_is_the_same_again(
    those: list[Candidate], wanted: Submission, draw: float
) -> None:
    routes = Routes(tuple(those))
    try:
        route = chosen(routes, wanted, draw=draw)
    except InvalidPayment:
        return
    by_account = {one.account: one for one in those}
    assert 1 <= len(route) <= MAX_ROUTE and len(set(route)) == len(route)
    for account in route:
        one = by_account[account]
        assert not one.retired
        assert wanted.provider in (None, account.provider)
        assert not one.currencies or wanted.amount.currency in one.currencies
        wanted.check_for(account.provider)
    backwards = Routes(tuple(reversed(those)))
    assert chosen(backwards, wanted, draw=draw) == route


@given(candidates, asked, draws)
def test_whoever_has_accounts_never_pays_at_the_deployments(
    those: list[Candidate], wanted: Submission, draw: float
) -> None:
    try:
        route = chosen(Routes(tuple(those)), wanted, draw=draw)
    except InvalidPayment:
        return
    assert not any(account.is_own for account in route)


@given(st.lists(st.integers(0, 20), min_size=2, max_size=5).filter(any))
def test_draws_spread_over_accounts_by_their_weights(weights: list[int]) -> None:
    those = tuple(
        Candidate(Account(f"acct_{number}", STRIPE), weight=weight)
        for number, weight in enumerate(weights)
    )
    count = 200
    first = Counter(
        chosen(Routes(those), submission(), draw=(number + 0.5) / count)[0].id
        for number in range(count)
    )
    for one in those:
        share = count * one.weight / sum(weights)
        assert abs(first[one.account.id] - share) <= 1


def test_the_second_place_is_drawn_by_weight_as_well() -> None:
    weights = {"acct_1": 1, "acct_2": 3, "acct_3": 0, "acct_4": 4}
    those = tuple(
        Candidate(Account(name, STRIPE), weight=weight)
        for name, weight in weights.items()
    )
    routes = [
        chosen(Routes(those), submission(), draw=(number + 0.5) / 4000)
        for number in range(4000)
    ]
    assert {route[-1].id for route in routes} == {"acct_3"}
    second = Counter(route[1].id for route in routes if route[0].id == "acct_4")
    assert second["acct_2"] == pytest.approx(3 * second["acct_1"], rel=0.02)


def test_a_token_of_stripes_goes_to_stripe_first_and_to_paypal_without_it() -> None:
    those = (Candidate(THREE, weight=1000), Candidate(ONE, weight=0))
    wanted = submission(provider=None)
    assert chosen(Routes(those), wanted, draw=0.5) == (ONE, THREE)
    assert wanted.method_at(STRIPE) == "pm_card_visa"
    assert wanted.method_at(PAYPAL) is None


def test_without_a_token_only_paypal_can_take_it() -> None:
    those = (Candidate(THREE), Candidate(ONE))
    wanted = submission(provider=None, payment_method=None)
    assert chosen(Routes(those), wanted, draw=0.1) == (THREE,)


def test_a_merchant_without_accounts_pays_at_the_deployments_and_says_which() -> None:
    assert chosen(Routes(), submission(), draw=0.9) == (Account.own(STRIPE),)
    with pytest.raises(InvalidPayment) as caught:
        chosen(Routes(), submission(provider=None), draw=0.9)
    assert caught.value.field == "provider"


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate(ONE, retired=True),
        Candidate(ONE, frozenset({"EUR"})),
        Candidate(THREE),
    ],
)
def test_where_no_account_takes_it_that_is_said(candidate: Candidate) -> None:
    with pytest.raises(InvalidPayment) as caught:
        chosen(Routes((candidate,)), submission(), draw=0.0)
    assert caught.value.field == "provider"


def test_what_its_provider_could_never_carry_out_names_the_field_at_fault() -> None:
    wanted = submission(payment_method=None)
    with pytest.raises(InvalidPayment) as caught:
        chosen(Routes((Candidate(ONE),)), wanted, draw=0.0)
    assert caught.value.field == "payment_method"


def routed_payment(*route: Account, provider: ProviderName | None = None) -> Payment:
    """A payment at ONE, which may go on to ``route``, by default to TWO."""
    return payment(
        asked=submission(provider=provider),
        account=ONE,
        route=route or (TWO,),
        routes_on=CODES,
    )


def answered(here: Payment, outcome: Answer | ProviderError) -> Payment:
    """The payment, claimed and sent, and settled as ``outcome`` says."""
    return settle(stored(sending(here)), outcome, now=LATER, jitter=0.5)


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (NotSent(), "not_sent"),
        (Misconfigured("token_refused"), "token_refused"),
        (DECLINE, "insufficient_funds"),
        (
            Answer(Verdict.DECLINED, failure=Failure("do_not_honor", "No.")),
            "do_not_honor",
        ),
    ],
)
def test_what_an_account_did_not_take_goes_on_to_the_next(
    outcome: Answer | ProviderError, why: str
) -> None:
    here = routed_payment(TWO, THREE)
    after = answered(here, outcome)
    assert (after.account, after.route) == (TWO, (THREE,))
    first = after.first
    assert (first.state, first.due_at, first.send) == (State.QUEUED, LATER, None)
    assert first.key != here.first.key and not first.refs and first.error == why
    assert after.last_error is None and after.claim is None
    told, went = after.news
    assert told.type == "attempt.answered" and told.data["to"] == "queued"
    assert went.type == "payment.routed"
    assert (went.data["from_account"], went.data["to_account"]) == (ONE.id, TWO.id)
    assert went.data["why"] == why


def test_a_decline_that_goes_on_is_on_the_timeline() -> None:
    told = answered(routed_payment(), DECLINE).news[0]
    assert told.data["answer"] == "declined"
    assert told.data["code"] == "insufficient_funds"
    assert told.data["provider_request_id"] == "req_declined"


def test_refused_credentials_spend_no_attempt() -> None:
    assert answered(routed_payment(), Misconfigured()).first.attempts == 0
    assert answered(routed_payment(), NotSent()).first.attempts == 1


@pytest.mark.parametrize(
    "outcome",
    [
        NotSent("worker_stopping"),
        NotSent("claim_too_old"),
        NotExecuted("rate_limited"),
        OutcomeUnknown("no_answer"),
        LookNeeded("replayed_500"),
        NeedsReview("odd"),
        Answer(Verdict.DECLINED),
        Answer(Verdict.DECLINED, failure=Failure("expired_card", "No.")),
        Answer(Verdict.REJECTED, failure=Failure("do_not_honor", "No.")),
        Answer(Verdict.PENDING, refs={"intent": "pi_1"}),
        Answer(Verdict.ACTION_REQUIRED, next_action=NextAction("https://bank.test")),
        Answer(Verdict.SUCCEEDED, Money(1999, "USD")),
    ],
)
def test_whatever_else_an_account_says_stays_with_it(
    outcome: Answer | ProviderError,
) -> None:
    after = answered(routed_payment(), outcome)
    assert (after.account, after.route) == (ONE, (TWO,))
    assert all(event.type != "payment.routed" for event in after.news)


@pytest.mark.parametrize("outcome", [NotSent(), Misconfigured(), DECLINE])
def test_at_the_end_of_a_route_it_is_as_without_one(
    outcome: Answer | ProviderError,
) -> None:
    last = replace(routed_payment(), route=())
    plain = replace(last, routes_on=())
    assert answered(last, outcome).operations == answered(plain, outcome).operations


@pytest.mark.parametrize("outcome", [NotSent(), Misconfigured(), DECLINE])
def test_what_is_unknown_never_goes_on(outcome: Answer | ProviderError) -> None:
    lost = answered(routed_payment(), OutcomeUnknown("no_answer"))
    again = settle(stored(sending(stored(lost))), outcome, now=LATER, jitter=0.5)
    assert again.account == ONE
    dead = released(stored(sending(routed_payment())), now=LATER)
    again = settle(stored(sending(stored(dead))), outcome, now=LATER, jitter=0.5)
    assert again.account == ONE


def test_before_an_open_gate_what_was_never_sent_goes_on() -> None:
    went = onward(routed_payment(TWO, THREE), now=LATER)
    assert went is not None
    assert (went.account, went.route) == (TWO, (THREE,))
    assert went.news[-1].data["why"] == GATE_OPEN
    further = onward(went, now=LATER)
    assert further is not None and further.account == THREE
    assert onward(further, now=LATER) is None


def test_before_an_open_gate_what_was_proven_not_executed_goes_on() -> None:
    busy = stored(answered(routed_payment(), NotExecuted("rate_limited")))
    assert busy.first.state is State.RETRYING
    went = onward(busy, now=LATER)
    assert went is not None and went.account == TWO
    assert went.first.state is State.QUEUED


@pytest.mark.parametrize(
    "outcome",
    [
        OutcomeUnknown("no_answer"),
        LookNeeded("replayed_500"),
        Answer(Verdict.PENDING, refs={"intent": "pi_1"}),
        Answer(Verdict.ACTION_REQUIRED, next_action=NextAction("https://bank.test")),
        Answer(Verdict.APPROVED, refs={"order": "5O1"}),
        Answer(Verdict.SUCCEEDED, Money(1999, "USD"), {"intent": "pi_1"}),
        NeedsReview("odd"),
    ],
)
def test_before_an_open_gate_whatever_an_account_may_have_waits(
    outcome: Answer | ProviderError,
) -> None:
    assert onward(stored(answered(routed_payment(), outcome)), now=LATER) is None


def test_a_send_that_was_written_down_and_not_answered_waits() -> None:
    assert onward(stored(sending(routed_payment())), now=LATER) is None


def test_what_a_provider_told_of_meanwhile_is_looked_at_first() -> None:
    here = routed_payment()
    told = replace(here.first, look_since=NOW)
    assert onward(replace(here, operations=(told,)), now=LATER) is None
    seen = replace(here.first, refs={"intent": "pi_1"})
    assert onward(replace(here, operations=(seen,)), now=LATER) is None


def test_what_may_have_made_two_orders_stays_where_they_are() -> None:
    here = routed_payment()
    assert onward(here, now=LATER) is not None
    twins = replace(here.first, twins=True)
    assert onward(replace(here, operations=(twins,)), now=LATER) is None
