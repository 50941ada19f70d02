"""Several captures of one hold at Stripe, if the card allows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given, strategies as st

from domain.errors import Conflict
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import capture, void
from domain.payments.operation import HoldEnd
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State, Status
from domain.payments.submission import CaptureMethod, ProviderName
from domain.provider_rules import STRIPE_RULES
from tests.suites.samples import (
    NOW,
    PRICE,
    authorized,
    origin,
    payment,
    sending,
    stored,
    submission,
)

MOST_PARTS: Final = STRIPE_RULES.max_partial_captures or 0
_REFS: Final = {"payment_intent": "pi_1"}


def held(*, allowed: bool = True, asked: bool = True) -> Payment:
    """A hold that allows several captures if the card does."""
    wanted = replace(submission(), capture=CaptureMethod.MANUAL, multicapture=asked)
    until = NOW + timedelta(days=7)
    answer = Answer(
        Verdict.SUCCEEDED, PRICE, _REFS, expires_at=until, multicapture=allowed
    )
    made = sending(payment(submitted=wanted))
    return stored(settle(made, answer, now=NOW, jitter=0))


def request_capture(of: Payment, amount: int | None, *, final: bool | None) -> Payment:
    """The payment with a requested capture."""
    name = f"op_{len(of.operations)}"
    return stored(
        capture(of, amount=amount, final=final, id=name, origin=origin(name), now=NOW)
    )


def succeed_next(asked: Payment) -> Payment:
    """The payment after a success of its next operation."""
    assert asked.next_operation is not None
    answer = Answer(Verdict.SUCCEEDED, Money(asked.next_operation.amount, "USD"))
    return stored(settle(sending(asked), answer, now=NOW, jitter=0))


def test_rest_stays_on_hold_until_a_final_capture() -> None:
    part = succeed_next(request_capture(held(), 500, final=False))
    assert part.status is Status.PARTIALLY_CAPTURED
    assert (part.captured, part.capturable) == (500, 1499)
    last = succeed_next(
        request_capture(
            succeed_next(request_capture(part, 700, final=False)), 99, final=True
        )
    )
    assert (last.status, last.captured, last.capturable) == (Status.CAPTURED, 1299, 0)
    assert last.hold is not None and last.hold.ended is HoldEnd.CAPTURED


def test_captures_of_the_whole_amount_end_the_hold() -> None:
    whole = succeed_next(
        succeed_next(
            request_capture(
                request_capture(held(), 500, final=False), 1499, final=False
            )
        )
    )
    assert (whole.status, whole.captured) == (Status.CAPTURED, 1999)


def test_two_captures_under_way_reserve_separate_amounts() -> None:
    two = request_capture(request_capture(held(), 1000, final=False), 900, final=False)
    assert (two.capture_reserved, two.capturable) == (1900, 99)
    with pytest.raises(Conflict) as caught:
        request_capture(two, 100, final=False)
    assert caught.value.reason == "amount_exceeds_hold"


@pytest.mark.parametrize("final", [None, True])
def test_a_capture_releases_the_rest_by_default(final: bool | None) -> None:
    assert request_capture(held(), 500, final=final).operations[-1].final
    with pytest.raises(Conflict) as caught:
        request_capture(request_capture(held(), 500, final=False), 600, final=final)
    assert caught.value.reason == "capture_under_way"


@pytest.mark.parametrize(
    ("asked", "words"),
    [(True, "this card"), (False, "need a payment with multicapture")],
)
def test_refusal_of_a_second_capture_has_its_reason(asked: bool, words: str) -> None:
    with pytest.raises(Conflict, match=words) as caught:
        request_capture(held(allowed=False, asked=asked), 500, final=False)
    assert caught.value.reason == "releases_the_rest"


def test_the_number_of_captures_that_keep_the_rest_on_hold_is_bounded() -> None:
    here = held()
    for _ in range(MOST_PARTS):
        here = request_capture(here, 1, final=False)
    with pytest.raises(Conflict) as caught:
        request_capture(here, 1, final=False)
    assert caught.value.reason == "too_many_captures"
    for _ in range(MOST_PARTS):
        here = succeed_next(here)
    assert request_capture(here, 1, final=True).operations[-1].final


def test_paypal_bounds_only_the_operations_of_a_payment() -> None:
    here = authorized(provider=ProviderName.PAYPAL)
    for _ in range(MOST_PARTS + 1):
        here = request_capture(here, 1, final=False)
    assert here.may_capture_in_parts


def test_a_void_after_a_part_leaves_that_part() -> None:
    part = succeed_next(request_capture(held(), 500, final=False))
    asked = stored(void(part, id="op_v", origin=origin("v"), now=NOW))
    answer = Answer(Verdict.SUCCEEDED)
    voided = stored(settle(sending(asked), answer, now=NOW, jitter=0))
    assert (voided.status, voided.captured) == (Status.CAPTURED, 500)
    assert voided.hold is not None and voided.hold.ended is HoldEnd.VOIDED


def test_expired_rest_is_found_by_a_lookup_of_the_authorization() -> None:
    part = succeed_next(request_capture(held(), 500, final=False))
    gone = Answer(Verdict.EXPIRED, refs=_REFS)
    claimed = start_lookup(part, part.first_operation, now=NOW)
    over = stored(settle(claimed, gone, now=NOW, jitter=0))
    assert over.hold is not None and over.hold.ended is HoldEnd.EXPIRED
    assert (over.status, over.first_operation.state) == (
        Status.CAPTURED,
        State.SUCCEEDED,
    )


@given(
    st.lists(st.tuples(st.integers(1, 900), st.booleans(), st.booleans()), max_size=12),
    st.booleans(),
)
def test_captures_never_exceed_the_hold(
    wishes: list[tuple[int, bool, bool]], allowed: bool
) -> None:
    here = held(allowed=allowed)
    for amount, final, carried_out in wishes:
        try:
            here = request_capture(here, amount, final=final)
        except Conflict:
            continue
        if carried_out:
            here = succeed_next(here)
        assert here.captured + here.capture_reserved <= here.authorized
        rest_kept = any(not one.final for one in here.operations[1:])
        assert allowed or not rest_kept
