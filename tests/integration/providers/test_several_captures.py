"""Tests of several captures of one PaymentIntent, recognized by their metadata."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import LookupRequired, NeedsReview
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.operation import HoldEnd, Operation
from domain.payments.payment import Payment
from domain.payments.states import State, Status
from domain.payments.submission import CaptureMethod
from providers.stripe.adapter import Stripe
from tests.suites.accounts import a_payment, capture, refund, void, with_recorded_send
from tests.support.provider_accounts import STRIPE_METHODS, Account
from tests.support.simulator_control import MakeStripe, Simulator
from tests.support.simulator_process import simulator


@pytest.fixture
def at_stripe(stripe: Stripe, stripe_simulator: Simulator) -> Account:
    """An account at Stripe."""
    return Account(stripe, STRIPE_METHODS, stripe_simulator)


def held(account: Account, method: str = "pm_card_visa") -> Payment:
    """19.99 USD on hold that allow several captures."""
    return account.execute(
        a_payment(method=method, capture=CaptureMethod.MANUAL, multicapture=True)
    )


def kinds(account: Account, payment: Payment) -> list[tuple[str, int]]:
    """The movements of a payment, in order: kind and minor units."""
    rows = account.simulator.movements(payment)
    return [(row["kind"], row["amount"]) for row in rows]


def found(account: Account, payment: Payment, operation: Operation) -> Money | None:
    """The amount that a lookup of an operation finds."""
    return account.look_up(payment, operation).moved


def test_parts_are_captured_until_one_is_final(at_stripe: Account) -> None:
    payment = held(at_stripe)
    assert payment.may_capture_in_parts
    for amount, final in ((500, False), (700, False), (99, True)):
        payment = at_stripe.execute(capture(payment, amount, final=final))
        assert payment.operations[-1].state is State.SUCCEEDED
    assert (payment.status, payment.captured) == (Status.CAPTURED, 1299)
    assert payment.hold is not None and payment.hold.ended is HoldEnd.CAPTURED
    assert kinds(at_stripe, payment) == [
        ("authorize", 1999),
        ("capture", 500),
        ("capture", 700),
        ("capture", 99),
    ]
    first, *captures = payment.operations
    assert [found(at_stripe, payment, one) for one in captures] == [
        Money(500, "USD"),
        Money(700, "USD"),
        Money(99, "USD"),
    ]
    assert found(at_stripe, payment, first) == Money(1999, "USD")


def test_each_part_has_its_own_fee(at_stripe: Account) -> None:
    payment = held(at_stripe)
    for amount in (500, 1499):
        payment = at_stripe.execute(capture(payment, amount))
    fees = [one.fee for one in payment.operations[1:]]
    assert None not in fees and len(set(fees)) == 2
    looks = [at_stripe.look_up(payment, one).fee for one in payment.operations[1:]]
    assert looks == fees
    # A refund has a balance transaction of its own.
    back = at_stripe.execute(refund(payment, 500))
    looks = [at_stripe.look_up(back, one).fee for one in payment.operations[1:]]
    assert looks == fees


@pytest.mark.parametrize(("status", "body"), [(403, {}), (200, {"data": 17})])
def test_a_part_with_an_unreadable_balance_lacks_only_its_fee(
    at_stripe: Account, status: int, body: dict[str, Any]
) -> None:
    payment = held(at_stripe)
    for amount in (500, 1499):
        payment = at_stripe.execute(capture(payment, amount))
    at_stripe.simulator.arm(
        "answer",
        status=status,
        body=body,
        match={"method": "GET", "path": "/v1/balance_transactions"},
    )
    seen = at_stripe.look_up(payment, payment.operations[1])
    assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, Money(500, "USD"))
    assert seen.fee is None
    assert at_stripe.look_up(payment, payment.operations[1]).fee is not None


def test_a_capture_with_a_lost_answer_is_distinguished_from_an_equal_one(
    at_stripe: Account,
) -> None:
    payment = at_stripe.execute(capture(held(at_stripe), 500))
    at_stripe.simulator.arm("drop")
    never = at_stripe.execute(capture(payment, 500))
    assert at_stripe.look_up(never).verdict is Verdict.ABSENT
    at_stripe.simulator.arm("commit_then_drop")
    lost = at_stripe.execute(capture(payment, 500))
    assert lost.operations[-1].state is State.UNKNOWN
    seen = at_stripe.look_up(lost)
    assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, Money(500, "USD"))
    assert kinds(at_stripe, lost)[1:] == [("capture", 500), ("capture", 500)]


def test_a_lost_part_is_found_after_others_have_been_captured(
    at_stripe: Account,
) -> None:
    payment = at_stripe.execute(capture(held(at_stripe), 500))
    at_stripe.simulator.arm("commit_then_drop")
    lost = at_stripe.execute(capture(payment, 700))
    second = lost.operations[-1]
    assert second.state is State.UNKNOWN
    # Its resend is due after the next capture.
    later = replace(second, due_at=datetime.now(UTC) + timedelta(hours=1))
    waiting = replace(lost, operations=(*lost.operations[:-1], later))
    done = at_stripe.execute(capture(waiting, 799))
    assert (done.operations[-1].state, done.captured) == (State.SUCCEEDED, 1299)
    assert found(at_stripe, done, second) == Money(700, "USD")
    again = at_stripe.execute(done)
    assert (again.captured, again.status) == (1999, Status.CAPTURED)
    assert [amount for _, amount in kinds(at_stripe, again)] == [1999, 500, 700, 799]


def test_a_void_after_a_partial_capture_releases_the_rest(
    at_stripe: Account,
) -> None:
    part = at_stripe.execute(capture(held(at_stripe), 500))
    at_stripe.simulator.arm("commit_then_drop")
    lost = at_stripe.execute(void(part))
    assert lost.operations[-1].state is State.UNKNOWN
    assert at_stripe.look_up(lost).verdict is Verdict.SUCCEEDED
    voided = at_stripe.execute(lost)
    assert voided.hold is not None and voided.hold.ended is HoldEnd.VOIDED
    assert (voided.status, voided.captured) == (Status.CAPTURED, 500)
    assert kinds(at_stripe, voided)[1:] == [("capture", 500), ("void", 1499)]
    # A lookup of the authorization finds it.
    assert at_stripe.look_up(part, part.first_operation).verdict is Verdict.EXPIRED


def test_a_capture_after_the_release_of_the_rest_moves_no_money(
    at_stripe: Account,
) -> None:
    part = at_stripe.execute(capture(held(at_stripe), 500))
    at_stripe.execute(void(part))
    late = capture(part, 700)
    with pytest.raises(LookupRequired):
        at_stripe.provider.send(at_stripe.with_recorded_send(late))
    assert at_stripe.look_up(at_stripe.execute(late)).verdict is Verdict.EXPIRED
    assert at_stripe.moved_amounts(late) == []


def test_an_external_capture_is_not_mistaken_for_ours(
    at_stripe: Account,
) -> None:
    part = at_stripe.execute(capture(held(at_stripe), 500))
    assert part.hold is not None
    # Another program captures the rest by the same account.
    theirs = replace(part, hold=replace(part.hold, multicapture=False))
    at_stripe.execute(capture(theirs))
    ours = capture(part, 700)
    with pytest.raises(LookupRequired):
        at_stripe.provider.send(at_stripe.with_recorded_send(ours))
    seen = at_stripe.look_up(at_stripe.execute(ours))
    assert seen.verdict is Verdict.DECLINED
    assert [(one.money.minor, one.final) for one in seen.external_movements] == [
        (1499, True)
    ]
    assert at_stripe.look_up(part).moved == Money(500, "USD")


def test_captured_parts_are_refunded_while_the_rest_is_on_hold(
    at_stripe: Account,
) -> None:
    payment = at_stripe.execute(capture(held(at_stripe), 500))
    payment = at_stripe.execute(refund(payment, 500))
    assert payment.status is Status.PARTIALLY_REFUNDED
    payment = at_stripe.execute(capture(payment, 600))
    assert (payment.captured, payment.refunded, payment.capturable) == (1100, 500, 899)


def test_an_expired_rest_is_found_by_a_lookup_of_the_authorization(
    make_stripe: MakeStripe,
) -> None:
    with simulator("stripe") as running:
        own = Simulator(running.url, "/v1/")
        account = Account(make_stripe(own.url), STRIPE_METHODS, own)
        part = account.execute(capture(held(account), 500))
        assert account.look_up(part, part.first_operation).verdict is Verdict.SUCCEEDED
        own.advance(7 * 86400 + 1)
        assert account.look_up(part, part.first_operation).verdict is Verdict.EXPIRED
        whole = account.execute(capture(held(account), 1999))
        assert (
            account.look_up(whole, whole.first_operation).verdict is Verdict.SUCCEEDED
        )


def test_a_total_below_our_captures_needs_review(
    stripe: Stripe, stripe_simulator: Simulator, at_stripe: Account
) -> None:
    asked = capture(held(at_stripe), 500)
    claimed = with_recorded_send(stripe, asked)
    body: dict[str, Any] = {
        "id": "pi_3canned",
        "object": "payment_intent",
        "amount": 1999,
        "amount_received": 499,
        "currency": "usd",
        "status": "requires_capture",
        "latest_charge": None,
        "metadata": {f"capture_{claimed.claimed_operation.id}": "500"},
    }
    stripe_simulator.arm_answer(200, body)
    with pytest.raises(NeedsReview) as caught:
        stripe.send(claimed)
    assert caught.value.detail == "less_was_captured"


@pytest.mark.parametrize("status", ["requires_capture", "succeeded"])
def test_the_last_part_may_leave_an_intent_without_a_capturable_amount(
    stripe: Stripe, stripe_simulator: Simulator, at_stripe: Account, status: str
) -> None:
    asked = capture(held(at_stripe), 1999)
    claimed = with_recorded_send(stripe, asked)
    body = {
        "id": "pi_3canned",
        "object": "payment_intent",
        "amount": 1999,
        "amount_received": 1999,
        "currency": "usd",
        "status": status,
        "latest_charge": "ch_3canned",
        "metadata": {f"capture_{claimed.claimed_operation.id}": "1999"},
    }
    stripe_simulator.arm_answer(200, body)
    answer: Answer = stripe.send(claimed)
    assert (answer.verdict, answer.moved) == (Verdict.SUCCEEDED, Money(1999, "USD"))
