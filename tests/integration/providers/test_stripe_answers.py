"""Tests of the answers parsed from Stripe's charges."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import NeedsReview, OutcomeUnknown
from domain.money import Money
from domain.payments.answer import NextAction, Verdict
from providers.stripe.adapter import Stripe
from tests.suites.accounts import a_payment, written_down
from tests.support.simulator_control import Simulator

#: Stripe's advice after a decline.
LATER, NEVER, CONFIRM = "try_again_later", "do_not_try_again", "confirm_card_data"


def intent(status: str, **fields: Any) -> dict[str, Any]:
    """A PaymentIntent with its relevant fields."""
    return {
        "id": "pi_3canned",
        "object": "payment_intent",
        "amount": 1999,
        "amount_received": 0,
        "cancellation_reason": None,
        "currency": "usd",
        "last_payment_error": None,
        "latest_charge": None,
        "next_action": None,
        "status": status,
        **fields,
    }


def test_a_charge_that_succeeds_says_what_moved_and_where(
    stripe: Stripe, stripe_simulator: Simulator
) -> None:
    payment = written_down(stripe, a_payment(reference="order-7"))
    answer = stripe.send(payment)
    [row] = stripe_simulator.movements(payment)
    assert answer.verdict is Verdict.SUCCEEDED
    assert answer.moved == Money(1999, "USD")
    assert answer.refs["payment_intent"] == row["id"]
    assert answer.refs["charge"].startswith("ch_")
    assert (answer.request_id or "").startswith("req_")
    assert (answer.failure, answer.next_action, answer.waiting_for) == (None,) * 3
    assert (row["kind"], row["amount"], row["currency"]) == ("charge", 1999, "USD")


@pytest.mark.parametrize(
    ("method", "code", "decline_code", "advice", "retryable"),
    [
        ("", "card_declined", "generic_decline", LATER, False),
        ("InsufficientFunds", "card_declined", "insufficient_funds", LATER, True),
        ("LostCard", "card_declined", "lost_card", NEVER, False),
        ("StolenCard", "card_declined", "stolen_card", NEVER, False),
        ("Fraudulent", "card_declined", "fraudulent", NEVER, False),
        ("ExpiredCard", "expired_card", "expired_card", CONFIRM, False),
        ("IncorrectCvc", "incorrect_cvc", "incorrect_cvc", CONFIRM, False),
        ("ProcessingError", "processing_error", "processing_error", LATER, True),
        ("VelocityLimitExceeded", "card_declined", "card_velocity_exceeded", LATER,
         True),
    ],
)  # fmt: skip
def test_a_declined_card_is_an_answer_with_the_banks_reason(
    stripe: Stripe,
    stripe_simulator: Simulator,
    method: str,
    code: str,
    decline_code: str,
    advice: str,
    retryable: bool,
) -> None:
    payment = written_down(stripe, a_payment(method=f"pm_card_chargeDeclined{method}"))
    answer = stripe.send(payment)
    assert answer.verdict is Verdict.DECLINED
    assert answer.moved is None
    assert answer.failure is not None
    assert answer.failure.code == code
    assert answer.failure.decline_code == decline_code
    assert answer.failure.advice_code == advice
    assert answer.failure.retryable is retryable
    assert answer.failure.message.startswith(("Your card", "An error occurred"))
    assert answer.failure.provider_request_id == answer.request_id
    assert (answer.request_id or "").startswith("req_")
    assert answer.refs["payment_intent"].startswith("pi_")
    assert answer.refs["charge"].startswith("ch_")
    assert stripe_simulator.movements(payment) == []


def test_a_card_that_asks_for_authentication_names_the_page_to_go_to(
    stripe: Stripe, stripe_simulator: Simulator
) -> None:
    payment = written_down(
        stripe,
        a_payment(
            method="pm_card_authenticationRequired", return_url="https://shop.test/back"
        ),
    )
    answer = stripe.send(payment)
    intent_id = answer.refs["payment_intent"]
    page = f"{stripe_simulator.url}/_stripe/authorize/{intent_id}"
    assert answer.verdict is Verdict.ACTION_REQUIRED
    assert answer.next_action == NextAction(page)
    assert answer.waiting_for is not None
    assert stripe_simulator.movements(payment) == []


def test_a_card_that_asks_for_authentication_without_a_way_back_names_no_page(
    stripe: Stripe, stripe_simulator: Simulator
) -> None:
    payment = written_down(stripe, a_payment(method="pm_card_authenticationRequired"))
    answer = stripe.send(payment)
    assert answer.verdict is Verdict.ACTION_REQUIRED
    assert answer.next_action is None
    assert answer.failure is not None
    assert answer.failure.code == "return_url_missing"
    assert "void" in (answer.waiting_for or "")
    assert stripe_simulator.movements(payment) == []


def test_a_bank_debit_is_pending_and_no_money_has_moved_yet(
    stripe: Stripe, stripe_simulator: Simulator
) -> None:
    payment = written_down(stripe, a_payment(method="pm_usBankAccount"))
    answer = stripe.send(payment)
    assert answer.verdict is Verdict.PENDING
    assert answer.moved is None
    assert answer.waiting_for == "Stripe to process the payment"
    assert answer.refs["payment_intent"].startswith("pi_")
    assert stripe_simulator.movements(payment) == []


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (intent("requires_payment_method"), "status_requires_payment_method"),
        (intent("requires_capture"), "status_requires_capture"),
        (intent("canceled", amount_received=700), "canceled_after_capture"),
    ],
)
def test_an_intent_with_an_impossible_status_needs_review(
    stripe: Stripe, stripe_simulator: Simulator, said: object, detail: str
) -> None:
    stripe_simulator.arm_answer(200, said, {"Request-Id": "req_canned"})
    with pytest.raises(NeedsReview) as caught:
        stripe.send(written_down(stripe, a_payment()))
    assert caught.value.detail == detail
    assert caught.value.request_id == "req_canned"


@pytest.mark.parametrize(
    "said",
    [
        "<html>OK</html>",
        "",
        "null",
        "17",
        "[]",
        "{}",
        '{"object": "list", "data": []}',
        '{"id": "pi_1", "object": "payment_intent"}',
        '{"id": "pi_1", "object": "payment_intent", "status": "succeeded"}',
        '{"id": "pi_1", "object": "payment_intent", "status": "succeeded",'
        ' "latest_charge": null, "currency": "usd", "amount_received": null}',
        '{"id": "pi_1", "object": "payment_intent", "status": "succeeded",'
        ' "latest_charge": null, "currency": "isk", "amount_received": 150}',
        '{"id": "pi_1", "object": "payment_intent", "status": "succeeded",'
        ' "latest_charge": null, "currency": "???", "amount_received": 1999}',
        '{"id": "pi_1", "object": "payment_intent", "status": ["succeeded"]}',
    ],
)
def test_a_success_that_can_not_be_read_leaves_the_outcome_unknown(
    stripe: Stripe, stripe_simulator: Simulator, said: str
) -> None:
    stripe_simulator.arm_answer(200, said)
    payment = written_down(stripe, a_payment())
    with pytest.raises(OutcomeUnknown) as caught:
        stripe.send(payment)
    assert caught.value.detail == "malformed_answer"
    assert stripe.send(payment).verdict is Verdict.SUCCEEDED
    assert len(stripe_simulator.movements(payment)) == 1
