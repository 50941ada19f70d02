"""The simulated Stripe's payments, called by Stripe's own SDK."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import stripe

from tests.support.simulator_process import PATIENCE, Simulator, pay_by_card

DAY = 86400


def test_a_charge_succeeds_and_moves_money_once(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = pay_by_card(
        stripe_client, metadata={"order": "7"}, description="Two tickets"
    )
    assert intent.status == "succeeded"
    assert (intent.amount_received, intent.currency) == (1999, "usd")
    [row] = stripe_simulator.movements(id=intent.id)
    assert (row["kind"], row["amount"], row["currency"]) == ("charge", 1999, "USD")
    assert row["metadata"] == {"order": "7"}
    assert row["account"].startswith("acct_") and row["key"]


@pytest.mark.parametrize(
    ("method", "code", "decline_code", "advice_code"),
    [
        (
            "pm_card_chargeDeclined",
            "card_declined",
            "generic_decline",
            "try_again_later",
        ),
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "card_declined",
            "insufficient_funds",
            "try_again_later",
        ),
        (
            "pm_card_chargeDeclinedLostCard",
            "card_declined",
            "lost_card",
            "do_not_try_again",
        ),
        (
            "pm_card_chargeDeclinedStolenCard",
            "card_declined",
            "stolen_card",
            "do_not_try_again",
        ),
        (
            "pm_card_chargeDeclinedExpiredCard",
            "expired_card",
            "expired_card",
            "confirm_card_data",
        ),
        (
            "pm_card_chargeDeclinedIncorrectCvc",
            "incorrect_cvc",
            "incorrect_cvc",
            "confirm_card_data",
        ),
        (
            "pm_card_chargeDeclinedProcessingError",
            "processing_error",
            "processing_error",
            "try_again_later",
        ),
    ],
)
def test_a_declined_card_raises_stripes_error_and_moves_nothing(
    stripe_client: stripe.StripeClient,
    stripe_simulator: Simulator,
    method: str,
    code: str,
    decline_code: str,
    advice_code: str,
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        pay_by_card(stripe_client, method)
    error: Any = caught.value.error
    assert (error.code, error.decline_code) == (code, decline_code)
    assert error.advice_code == advice_code
    assert error.payment_intent.status == "requires_payment_method"
    assert error.payment_intent.last_payment_error.code == code
    assert caught.value.request_id is not None
    assert stripe_simulator.movements(id=error.payment_intent.id) == []


def test_a_declined_intent_can_be_confirmed_with_another_card(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        pay_by_card(stripe_client, "pm_card_chargeDeclined")
    error: Any = caught.value.error
    intent = stripe_client.v1.payment_intents.confirm(
        error.payment_intent.id, {"payment_method": "pm_card_mastercard"}
    )
    assert intent.status == "succeeded"
    assert len(stripe_simulator.movements(id=intent.id)) == 1


def test_authorize_then_capture_in_part_releases_the_rest(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = pay_by_card(stripe_client, capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 1999)
    with pytest.raises(stripe.InvalidRequestError, match="greater than"):
        stripe_client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 2000})
    captured = stripe_client.v1.payment_intents.capture(
        intent.id, {"amount_to_capture": 500}
    )
    assert (captured.status, captured.amount_received) == ("succeeded", 500)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_client.v1.payment_intents.capture(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"
    rows = stripe_simulator.movements(id=intent.id)
    assert [(row["kind"], row["amount"]) for row in rows] == [
        ("authorize", 1999),
        ("capture", 500),
    ]


def test_canceling_an_authorization_releases_it_and_then_nothing_can_be_captured(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = pay_by_card(stripe_client, capture_method="manual")
    canceled = stripe_client.v1.payment_intents.cancel(
        intent.id, {"cancellation_reason": "requested_by_customer"}
    )
    assert canceled.status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_client.v1.payment_intents.capture(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"
    kinds = [row["kind"] for row in stripe_simulator.movements(id=intent.id)]
    assert kinds == ["authorize", "void"]


def test_an_authorization_lapses_after_seven_days(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = pay_by_card(stripe_client, capture_method="manual")
    charge: Any = stripe_client.v1.payment_intents.retrieve(
        intent.id, {"expand": ["latest_charge"]}
    ).latest_charge
    held_for = charge.payment_method_details.card.capture_before - charge.created
    assert held_for == 7 * DAY
    stripe_simulator.advance(7 * DAY + 1)
    lapsed = stripe_client.v1.payment_intents.retrieve(intent.id)
    assert (lapsed.status, lapsed.cancellation_reason) == ("canceled", "automatic")


def test_refunds_never_exceed_the_charged_amount(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = pay_by_card(stripe_client)
    first = stripe_client.v1.refunds.create(
        {"payment_intent": intent.id, "amount": 1200}
    )
    assert first.status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        stripe_client.v1.refunds.create({"payment_intent": intent.id, "amount": 800})
    rest = stripe_client.v1.refunds.create({"payment_intent": intent.id})
    assert rest.amount == 799
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_client.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_already_refunded"
    refunded = [row["amount"] for row in stripe_simulator.movements(id=first.id)]
    refunded += [row["amount"] for row in stripe_simulator.movements(id=rest.id)]
    assert refunded == [1200, 799]
    listed = stripe_client.v1.refunds.list({"payment_intent": intent.id}).data
    assert [each.id for each in listed] == [rest.id, first.id]


def test_a_refund_that_fails_later_is_refundable_again_and_never_moved_money(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = pay_by_card(stripe_client, "pm_card_refundFail")
    refund = stripe_client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "succeeded"
    stripe_simulator.advance(DAY + 1)
    failed = stripe_client.v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == (
        "failed",
        "expired_or_canceled_card",
    )
    assert stripe_client.v1.refunds.create({"payment_intent": intent.id}).amount == 1999
    assert stripe_simulator.movements(id=refund.id) == []


def test_a_pending_refund_moves_money_when_it_succeeds(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = pay_by_card(stripe_client, "pm_card_pendingRefund")
    refund = stripe_client.v1.refunds.create(
        {"payment_intent": intent.id, "amount": 99}
    )
    assert refund.status == "pending"
    assert stripe_simulator.movements(id=refund.id) == []
    stripe_simulator.advance(DAY + 1)
    assert stripe_client.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert len(stripe_simulator.movements(id=refund.id)) == 1


def test_a_bank_debit_is_processing_until_days_have_passed(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    good = pay_by_card(stripe_client, "pm_usBankAccount")
    bad = pay_by_card(stripe_client, "pm_usBankAccount_insufficientFunds")
    assert (good.status, bad.status) == ("processing", "processing")
    assert stripe_simulator.movements(id=good.id) == []
    stripe_simulator.advance(4 * DAY + 1)
    assert stripe_client.v1.payment_intents.retrieve(good.id).status == "succeeded"
    failed: Any = stripe_client.v1.payment_intents.retrieve(bad.id)
    assert failed.status == "requires_payment_method"
    assert failed.last_payment_error.decline_code == "insufficient_funds"
    assert len(stripe_simulator.movements(id=good.id)) == 1
    assert stripe_simulator.movements(id=bad.id) == []


@pytest.mark.parametrize(
    ("outcome", "status", "rows"),
    [("succeed", "succeeded", 1), ("fail", "requires_payment_method", 0)],
)
def test_three_d_secure_waits_for_the_payer(
    stripe_client: stripe.StripeClient,
    stripe_simulator: Simulator,
    outcome: str,
    status: str,
    rows: int,
) -> None:
    intent: Any = pay_by_card(stripe_client, "pm_card_authenticationRequired")
    assert intent.status == "requires_action"
    redirect = intent.next_action.redirect_to_url
    assert redirect.return_url == "https://shop.example/done"
    assert "<form" in requests.get(redirect.url, timeout=PATIENCE).text
    requests.post(redirect.url, json={"outcome": outcome}, timeout=PATIENCE)
    assert stripe_client.v1.payment_intents.retrieve(intent.id).status == status
    assert len(stripe_simulator.movements(id=intent.id)) == rows


def test_the_authentication_page_sends_the_payer_back_to_the_shop(
    stripe_client: stripe.StripeClient,
) -> None:
    intent: Any = pay_by_card(stripe_client, "pm_card_authenticationRequired")
    answer = requests.post(
        intent.next_action.redirect_to_url.url,
        data={"outcome": "succeed"},
        allow_redirects=False,
        timeout=PATIENCE,
    )
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("https://shop.example/done?")
    assert f"payment_intent={intent.id}" in answer.headers["Location"]


def test_three_d_secure_off_session_is_declined(
    stripe_client: stripe.StripeClient,
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        pay_by_card(stripe_client, "pm_card_authenticationRequired", off_session=True)
    assert caught.value.code == "authentication_required"
