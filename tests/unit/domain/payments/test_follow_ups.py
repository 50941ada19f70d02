"""Captures and voids: the accepted requests, and the reserved amounts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import Conflict, InvalidPayment
from domain.money import Money
from domain.payments.answer import Verdict
from domain.payments.operation import Hold, HoldEnd
from domain.payments.payment import Payment
from domain.payments.states import State, Status
from domain.payments.submission import ProviderName
from tests.suites.samples import NOW, authorized, captured, payment, sending, submission
from tests.support.operation_steps import (
    capture,
    succeed_next,
    refund,
    succeed,
    decline,
    void,
)

PAYPAL = ProviderName.PAYPAL


def test_an_authorization_holds_the_money_and_captures_nothing() -> None:
    held = authorized()
    assert (held.status, held.authorized, held.captured) == (Status.AUTHORIZED, 1999, 0)
    assert held.capturable == 1999
    assert held.hold == Hold(NOW + timedelta(days=7))


def test_requested_amount_is_reserved_until_it_is_done() -> None:
    asked = capture(authorized(provider=PAYPAL), 600)
    assert (asked.captured, asked.capture_reserved, asked.capturable) == (0, 600, 1399)
    done = succeed(asked)
    assert (done.captured, done.capture_reserved, done.capturable) == (600, 0, 1399)
    assert done.status is Status.PARTIALLY_CAPTURED
    whole = succeed(capture(done))
    assert (whole.captured, whole.capturable) == (1999, 0)
    assert whole.status is Status.CAPTURED
    assert whole.hold is not None and whole.hold.ended is HoldEnd.CAPTURED


def test_stripe_releases_the_rest_after_a_capture() -> None:
    asked = capture(authorized(), 600)
    assert asked.operations[-1].final
    assert asked.capturable == 0, "no second capture while one that ends it is open"
    done = succeed(asked)
    assert (done.status, done.captured) == (Status.CAPTURED, 600)


def test_a_failed_final_capture_leaves_the_rest_capturable() -> None:
    failed = decline(capture(authorized(), 600))
    assert (failed.status, failed.capturable) == (Status.AUTHORIZED, 1999)


def test_paypal_releases_the_rest_after_a_final_capture() -> None:
    done = succeed(capture(authorized(provider=PAYPAL), 600, final=True))
    assert (done.status, done.capturable) == (Status.CAPTURED, 0)


def test_a_capture_releases_no_amount_reserved_by_another() -> None:
    part = capture(authorized(provider=PAYPAL), 600)
    with pytest.raises(Conflict) as refused:
        capture(part, 600, final=True)
    assert refused.value.reason == "capture_under_way"
    rest = capture(part)
    assert not rest.operations[-1].final, "it may be carried out before the first"
    done = succeed_next(succeed_next(rest))
    assert (done.status, done.captured) == (Status.CAPTURED, 1999)
    assert done.hold is not None and done.hold.ended is HoldEnd.CAPTURED


@pytest.mark.parametrize(
    ("verdict", "end", "status"),
    [
        (Verdict.EXPIRED, HoldEnd.EXPIRED, Status.EXPIRED),
        (Verdict.CANCELED, HoldEnd.VOIDED, Status.VOIDED),
    ],
)
def test_a_capture_refused_for_an_ended_hold_ends_it(
    verdict: Verdict, end: HoldEnd, status: Status
) -> None:
    late = decline(capture(authorized()), verdict)
    assert late.hold is not None and late.hold.ended is end
    assert (late.status, late.capturable) == (status, 0)


def test_capture_over_the_rest_is_refused() -> None:
    held = authorized(provider=PAYPAL)
    with pytest.raises(Conflict, match="19.99 USD can be captured") as refused:
        capture(held, 2000)
    assert refused.value.reason == "amount_exceeds_hold"
    with pytest.raises(Conflict, match="7.99 USD"):
        capture(capture(held, 1200), 800)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (captured(), "captured with its charge"),
        (succeed(capture(authorized())), "is captured"),
        (succeed(void(authorized())), "is voided"),
        (capture(authorized()), "captured or about to be"),
        (
            payment(submitted=authorized().submission),
            "the authorization has not succeeded",
        ),
    ],
)
def test_capture_without_a_hold_is_refused(given: Payment, words: str) -> None:
    with pytest.raises(Conflict, match=words) as refused:
        capture(given)
    assert refused.value.reason == "nothing_to_capture"


def test_a_void_releases_the_hold() -> None:
    asked = void(authorized())
    assert (asked.operations[-1].amount, asked.capturable) == (1999, 0)
    done = succeed(asked)
    assert (done.status, done.captured) == (Status.VOIDED, 0)
    assert done.is_settled


def test_a_void_after_a_capture_of_a_part_leaves_that_part() -> None:
    part = succeed(capture(authorized(provider=PAYPAL), 600))
    done = succeed(void(part))
    assert (done.status, done.captured, done.capturable) == (Status.CAPTURED, 600, 0)


def test_a_void_of_an_expired_hold_marks_it_as_expired() -> None:
    late = decline(void(authorized()), Verdict.EXPIRED)
    assert late.status is Status.EXPIRED


def test_the_first_of_a_capture_and_a_void_is_accepted() -> None:
    with pytest.raises(Conflict) as refused:
        void(capture(authorized(provider=PAYPAL), 5))
    assert refused.value.reason == "capture_under_way"
    with pytest.raises(Conflict):
        capture(void(authorized()))
    with pytest.raises(Conflict):
        void(void(authorized()))


@pytest.mark.parametrize("given", [captured(), succeed(capture(authorized()))])
def test_void_after_a_full_capture_is_refused(given: Payment) -> None:
    with pytest.raises(Conflict) as refused:
        void(given)
    assert refused.value.reason == "nothing_to_void"


def test_unsent_operation_is_canceled_without_a_call() -> None:
    asked = submission(execute_at=NOW + timedelta(days=1))
    off = void(payment(submitted=asked))
    assert (off.status, off.due_at, off.is_settled) == (Status.CANCELED, None, True)
    assert off.operations[-1].state is State.SUCCEEDED


def test_claimed_operation_is_not_canceled() -> None:
    with pytest.raises(Conflict, match="about to be"):
        void(sending(payment()))


def test_an_operation_is_found_by_its_key() -> None:
    paid = refund(captured(), 5)
    assert paid.find_by_key("op_1") == paid.operations[-1]
    assert paid.find_by_key("nobodys") is None


def test_stripe_capture_with_final_false_is_refused() -> None:
    with pytest.raises(Conflict) as refused:
        capture(authorized(), 600, final=False)
    assert refused.value.reason == "releases_the_rest"
    assert capture(authorized(), final=False).operations[-1].final, "no rest is left"
    part = capture(authorized(provider=PAYPAL), 600, final=False)
    assert not part.operations[-1].final


@pytest.mark.parametrize(
    ("provider", "currency", "part"),
    [
        (PAYPAL, "HUF", 5050),
        (PAYPAL, "TWD", 5050),
        (ProviderName.STRIPE, "KWD", 11_735),
        (ProviderName.STRIPE, "MGA", 150),
    ],
)
def test_a_part_without_units_at_the_provider_is_refused(
    provider: ProviderName, currency: str, part: int
) -> None:
    price = Money(150_000, currency)
    held = authorized(provider=provider, amount=price)
    with pytest.raises(InvalidPayment, match=currency) as refused:
        capture(held, part)
    assert refused.value.field == "amount"
    paid = succeed(capture(held))
    with pytest.raises(InvalidPayment, match=currency):
        refund(paid, part)
    assert refund(paid, 5000).refund_reserved == 5000


def test_a_rest_without_units_at_the_provider_is_refused_as_such() -> None:
    price = Money(150_000, "HUF")
    paid = succeed(capture(authorized(provider=PAYPAL, amount=price)))
    [*_, taken] = paid.operations
    short = replace(paid, operations=(paid.first_operation, replace(taken, moved=5050)))
    with pytest.raises(InvalidPayment, match="50.50 HUF"):
        refund(short)
    assert refund(short, 5000).refund_reserved == 5000
