"""Saved payment methods: contradictory requests, and the stored method."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, strategies as st

from domain.errors import InvalidPayment
from domain.payments.answer import Answer, SavedMethod, Verdict
from domain.payments.settle import settle
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State
from domain.payments.submission import (
    CaptureMethod,
    FutureUsage,
    ProviderName,
    Submission,
)
from domain.retry import METHOD_SAVING
from tests.suites.samples import (
    NOW,
    PRICE,
    authorized,
    captured,
    payment,
    sending,
    stored,
    submission,
)

OFF: Final = FutureUsage.OFF_SESSION
STRIPE: Final = submission()
WALLET: Final = submission(provider=ProviderName.PAYPAL, payment_method="vault_ann")
PAYER: Final = replace(
    submission(provider=ProviderName.PAYPAL, payment_method=None),
    return_url="https://shop.example/back",
)
SAVED: Final = SavedMethod("pm_saved", "cus_ann")


def _checked(asked: Submission) -> None:
    """Raises InvalidPayment if a submission of this provider is refused."""
    asked.check(now=NOW)
    assert asked.provider is not None
    asked.check_for(asked.provider)


@pytest.mark.parametrize(
    "asked",
    [
        replace(STRIPE, customer="cus_ann"),
        replace(STRIPE, customer="cus_ann", setup_future_usage=OFF),
        replace(STRIPE, customer="cus_ann", off_session=True),
        replace(WALLET, off_session=True),
        replace(WALLET, customer="payer1"),
        replace(PAYER, setup_future_usage=OFF),
        replace(PAYER, setup_future_usage=FutureUsage.ON_SESSION, customer="payer1"),
        replace(STRIPE, multicapture=True, capture=CaptureMethod.MANUAL),
        replace(PAYER, multicapture=True, capture=CaptureMethod.MANUAL),
    ],
)
def test_a_method_that_the_provider_can_save_or_use_is_accepted(
    asked: Submission,
) -> None:
    _checked(asked)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (replace(STRIPE, setup_future_usage=OFF), "customer/id"),
        (replace(STRIPE, off_session=True), "customer/id"),
        (
            replace(STRIPE, customer="c", off_session=True, setup_future_usage=OFF),
            "setup_future_usage",
        ),
        (replace(PAYER, off_session=True), "payment_method"),
        (replace(WALLET, setup_future_usage=OFF), "setup_future_usage"),
        (
            replace(PAYER, setup_future_usage=OFF, return_url=None),
            "return_url",
        ),
        (replace(STRIPE, multicapture=True), "multicapture"),
    ],
)
def test_a_contradiction_names_the_invalid_field(asked: Submission, field: str) -> None:
    with pytest.raises(InvalidPayment) as caught:
        _checked(asked)
    assert caught.value.field == field


@given(
    st.builds(
        replace,
        st.sampled_from([STRIPE, WALLET, PAYER]),
        customer=st.sampled_from([None, "cus_ann"]),
        off_session=st.booleans(),
        setup_future_usage=st.sampled_from([None, *FutureUsage]),
        return_url=st.sampled_from([None, "https://shop.example/back"]),
    )
)
def test_an_accepted_payment_uses_or_saves_a_method_only_where_possible(
    asked: Submission,
) -> None:
    try:
        _checked(asked)
    except InvalidPayment:
        return
    saves, stripe = asked.setup_future_usage, asked.provider is ProviderName.STRIPE
    assert not (asked.off_session and saves)
    if asked.off_session or saves:
        assert asked.customer if stripe else asked.payment_method or asked.return_url
    assert not (saves and asked.payment_method and not stripe)


def test_saved_method_of_an_answer_is_stored_without_an_event() -> None:
    answer = Answer(
        Verdict.SUCCEEDED, PRICE, {"payment_intent": "pi_1"}, saved_method=SAVED
    )
    paid = settle(sending(payment()), answer, now=NOW, jitter=0)
    assert paid.saved_method == SAVED
    assert "pm_saved" not in repr(paid) and "cus_ann" not in repr(paid)


@pytest.mark.parametrize("made", [captured, authorized])
def test_method_saved_later_is_found_by_the_next_lookup(made: object) -> None:
    before = captured() if made is captured else authorized()
    claimed = start_lookup(before, before.first_operation, now=NOW)
    said = Answer(
        Verdict.SUCCEEDED, PRICE, {"payment_intent": "pi_1"}, saved_method=SAVED
    )
    after = stored(settle(claimed, said, now=NOW, jitter=0))
    assert after.saved_method == SAVED
    again = settle(
        start_lookup(after, after.first_operation, now=NOW),
        replace(said, saved_method=None),
        now=NOW,
        jitter=0,
    )
    assert again.saved_method == SAVED


@pytest.mark.parametrize("made", [captured, authorized])
def test_method_being_saved_is_looked_up_for_an_hour(made: object) -> None:
    before = captured() if made is captured else authorized()
    kind = before.first_operation.kind
    saving = Answer(
        Verdict.SUCCEEDED, PRICE, {"payment_intent": "pi_1"}, is_saving_method=True
    )
    new = payment(submitted=before.submission)
    assert new.first_operation.kind is kind
    paid, looks = stored(settle(sending(new), saving, now=NOW, jitter=0)), list[int]()
    while paid.first_operation.due_at is not None:
        at = paid.first_operation.due_at
        looks.append(int((at - NOW).total_seconds()))
        claimed = stored(start_lookup(paid, paid.first_operation, now=at))
        paid = stored(settle(claimed, saving, now=at, jitter=0))
        assert paid.first_operation.state is State.SUCCEEDED and paid.is_settled
    assert looks[:4] == [30, 60, 120, 240] and 2400 < looks[-1] <= 3600
    assert paid.first_operation.lookups_since is None and paid.saved_method is None


def test_method_saved_at_last_needs_no_more_lookups() -> None:
    saving = Answer(
        Verdict.SUCCEEDED, PRICE, {"payment_intent": "pi_1"}, is_saving_method=True
    )
    paid = stored(settle(sending(payment()), saving, now=NOW, jitter=0))
    assert paid.first_operation.due_at == NOW + METHOD_SAVING.base_delay
    claimed = stored(
        start_lookup(paid, paid.first_operation, now=NOW + METHOD_SAVING.base_delay)
    )
    said = replace(saving, is_saving_method=False, saved_method=SAVED)
    found = settle(claimed, said, now=NOW + METHOD_SAVING.base_delay, jitter=0)
    assert (found.saved_method, found.first_operation.due_at) == (SAVED, None)


def test_payment_without_a_movement_saves_no_method() -> None:
    no = Answer(Verdict.DECLINED, is_saving_method=True)
    assert settle(sending(payment()), no, now=NOW, jitter=0).due_at is None


def test_a_customer_without_a_named_provider_belongs_to_stripe_alone() -> None:
    asked = replace(STRIPE, provider=None, customer="cus_ann", off_session=True)
    asked.check_for(ProviderName.STRIPE)
    assert asked.customer_for(ProviderName.STRIPE) == "cus_ann"
    assert asked.customer_for(ProviderName.PAYPAL) is None
    with pytest.raises(InvalidPayment):
        asked.check_for(ProviderName.PAYPAL)
