"""The accounts of a payment's route and their order."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, strategies as st

from domain.account import Account
from domain.errors import InvalidPayment
from domain.money import Money
from domain.payments.routing import MAX_ROUTE, Candidate, Routes, choose_accounts
from domain.payments.submission import ProviderName, Submission
from tests.suites.samples import submission

STRIPE, PAYPAL = ProviderName.STRIPE, ProviderName.PAYPAL
ONE, TWO = Account("acct_1", STRIPE), Account("acct_2", STRIPE)
THREE = Account("acct_3", PAYPAL)
draws = st.floats(0, 1, exclude_max=True)
candidates = st.lists(
    st.builds(
        Candidate,
        st.builds(
            Account,
            st.integers(1, 30).map(lambda number: f"acct_{number}"),
            st.sampled_from([*ProviderName]),
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
        route = choose_accounts(routes, wanted, draw=draw)
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
    assert choose_accounts(backwards, wanted, draw=draw) == route


@given(candidates, asked, draws)
def test_merchant_with_accounts_never_uses_the_deployments(
    those: list[Candidate], wanted: Submission, draw: float
) -> None:
    try:
        route = choose_accounts(Routes(tuple(those)), wanted, draw=draw)
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
        choose_accounts(Routes(those), submission(), draw=(number + 0.5) / count)[0].id
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
        choose_accounts(Routes(those), submission(), draw=(number + 0.5) / 4000)
        for number in range(4000)
    ]
    assert {route[-1].id for route in routes} == {"acct_3"}
    second = Counter(route[1].id for route in routes if route[0].id == "acct_4")
    assert second["acct_2"] == pytest.approx(3 * second["acct_1"], rel=0.02)


def test_a_stripe_token_goes_to_stripe_first_and_is_left_out_at_paypal() -> None:
    those = (Candidate(THREE, weight=1000), Candidate(ONE, weight=0))
    wanted = submission(provider=None)
    assert choose_accounts(Routes(those), wanted, draw=0.5) == (ONE, THREE)
    assert wanted.payment_method_for(STRIPE) == "pm_card_visa"
    assert wanted.payment_method_for(PAYPAL) is None


def test_a_payment_without_a_token_goes_only_to_paypal() -> None:
    those = (Candidate(THREE), Candidate(ONE))
    wanted = submission(provider=None, payment_method=None)
    assert choose_accounts(Routes(those), wanted, draw=0.1) == (THREE,)


def test_a_merchant_without_accounts_uses_the_deployments_and_names_the_provider() -> (
    None
):
    assert choose_accounts(Routes(), submission(), draw=0.9) == (Account.own(STRIPE),)
    with pytest.raises(InvalidPayment) as caught:
        choose_accounts(Routes(), submission(provider=None), draw=0.9)
    assert caught.value.field == "provider"


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate(ONE, retired=True),
        Candidate(ONE, frozenset({"EUR"})),
        Candidate(THREE),
    ],
)
def test_payment_that_no_account_takes_is_refused(candidate: Candidate) -> None:
    with pytest.raises(InvalidPayment) as caught:
        choose_accounts(Routes((candidate,)), submission(), draw=0.0)
    assert caught.value.field == "provider"


def test_payment_that_its_provider_cannot_carry_out_names_the_invalid_field() -> None:
    wanted = submission(payment_method=None)
    with pytest.raises(InvalidPayment) as caught:
        choose_accounts(Routes((Candidate(ONE),)), wanted, draw=0.0)
    assert caught.value.field == "payment_method"
