"""Each row of Stripe's tables in docs/providers.md."""

from __future__ import annotations

from typing import Final

import pytest

from domain.operation import Kind
from domain.states import State
from tests.integration.answers.saying import (
    AGAIN,
    ASKS,
    BY_A_LOOK,
    FAILED,
    Row,
    holds,
)
from tests.integration.answers.stripe_words import (
    DECLINED,
    failed,
    intent,
    refund,
    refusal,
)
from tests.integration.traps.workbench import Workbench

#: Unix seconds: 2030-01-01.
_CAPTURE_BEFORE: Final = 1_893_456_000
_CHARGE: Final = {
    "id": "ch_3canned",
    "object": "charge",
    "payment_method_details": {"card": {"capture_before": _CAPTURE_BEFORE}},
}

STATUSES: Final[dict[str, Row]] = {
    "requires_payment_method, no error": Row(
        State.REVIEW,
        fault=intent("requires_payment_method"),
        error="status_requires_payment_method",
    ),
    "requires_payment_method, last_payment_error": Row(
        State.DECLINED,
        fault=intent("requires_payment_method", last_payment_error=DECLINED),
        error="do_not_honor",
        **FAILED,
    ),
    "requires_payment_method, authentication_required": Row(
        State.REQUIRES_ACTION,
        fault=intent(
            "requires_payment_method",
            last_payment_error={**DECLINED, "decline_code": "authentication_required"},
        ),
        error="authentication_required",
        **ASKS,
    ),
    "requires_confirmation": Row(
        State.QUEUED, fault=intent("requires_confirmation"), next="new key"
    ),
    "requires_action": Row(
        State.REQUIRES_ACTION,
        method="pm_card_authenticationRequired",
        **ASKS,
    ),
    "processing": Row(State.PENDING, method="pm_usBankAccount", next="look"),
    "requires_capture": Row(
        State.SUCCEEDED,
        Kind.AUTHORIZE,
        fault=intent("requires_capture", latest_charge=_CHARGE),
        shows={
            "status": "authorized",
            "amount_authorized": 1999,
            "authorization": {
                "expires_at": "2030-01-01T00:00:00.000Z",
                "honored_until": None,
                "ended": None,
                "multicapture": False,
            },
        },
    ),
    "succeeded, amount_received": Row(
        State.SUCCEEDED,
        fault=intent("succeeded", amount=2500, amount_received=1999),
        shows={"status": "captured", "amount_captured": 1999},
    ),
    "canceled": Row(
        State.CANCELED,
        fault=intent("canceled", cancellation_reason="abandoned"),
        shows={"status": "canceled"},
    ),
    "canceled, automatic": Row(
        State.EXPIRED,
        fault=intent("canceled", cancellation_reason="automatic"),
        shows={"status": "expired"},
    ),
    "a status that is new": Row(
        State.UNKNOWN,
        fault=intent("levitating"),
        error="unrecognised_status",
        **AGAIN,
    ),
    "refund pending": Row(
        State.PENDING, Kind.REFUND, method="pm_card_pendingRefund", next="look"
    ),
    "refund requires_action": Row(
        State.REQUIRES_ACTION,
        Kind.REFUND,
        fault=refund("requires_action"),
        next="look",
    ),
    "refund succeeded": Row(
        State.SUCCEEDED,
        Kind.REFUND,
        shows={"status": "refunded", "amount_refunded": 1999},
        moved=(("refund", 1999),),
    ),
    "refund failed": Row(
        State.DECLINED,
        Kind.REFUND,
        fault=refund("failed"),
        error="lost_or_stolen_card",
        shows={"status": "captured", "amount_refunded": 0},
    ),
    "refund canceled": Row(
        State.CANCELED,
        Kind.REFUND,
        fault=refund("canceled"),
        error="lost_or_stolen_card",
        shows={"status": "captured", "amount_refunded": 0},
    ),
}

ERRORS: Final[dict[str, Row]] = {
    "APIConnectionError": Row(
        State.UNKNOWN,
        fault={"do": "commit_then_drop"},
        error="no_answer",
        **AGAIN,
    ),
    "APIError, HTTP 409": Row(
        State.UNKNOWN,
        fault=refusal(409),
        error="in_flight",
        **AGAIN,
    ),
    "idempotency_key_in_use": Row(
        State.UNKNOWN,
        fault=refusal(400, code="idempotency_key_in_use"),
        error="idempotency_key_in_use",
        **AGAIN,
    ),
    "APIError, HTTP 500": Row(
        State.UNKNOWN,
        fault=failed(),
        error="http_500",
        **AGAIN,
    ),
    "Stripe-Should-Retry: false": Row(
        State.UNKNOWN,
        fault=failed(Stripe_Should_Retry="false"),
        **BY_A_LOOK,
    ),
    "Idempotent-Replayed: true": Row(
        State.UNKNOWN,
        fault=failed(Idempotent_Replayed="true"),
        **BY_A_LOOK,
    ),
    "RateLimitError": Row(
        State.RETRYING,
        fault={"do": "rate_limit", "seconds": 1},
        error="rate_limit",
        **AGAIN,
    ),
    "lock_timeout": Row(
        State.RETRYING,
        fault=refusal(429, code="lock_timeout"),
        error="lock_timeout",
        **AGAIN,
    ),
    "CardError": Row(
        State.DECLINED,
        method="pm_card_chargeDeclinedInsufficientFunds",
        error="insufficient_funds",
        **FAILED,
    ),
    "authentication_required": Row(
        State.REQUIRES_ACTION,
        fault=refusal(402, "card_error", code="authentication_required"),
        error="authentication_required",
        **ASKS,
    ),
    "IdempotencyError": Row(
        State.REVIEW,
        fault=refusal(400, "idempotency_error"),
        error="idempotency_mismatch",
    ),
    "InvalidRequestError": Row(
        State.REJECTED,
        method="pm_nobody",
        error="resource_missing",
        **FAILED,
    ),
    "charge_already_captured": Row(
        State.UNKNOWN,
        Kind.CAPTURE,
        fault=refusal(400, code="charge_already_captured"),
        **BY_A_LOOK,
    ),
    "charge_already_refunded": Row(
        State.UNKNOWN,
        Kind.REFUND,
        fault=refusal(400, code="charge_already_refunded"),
        **BY_A_LOOK,
    ),
    "payment_intent_unexpected_state": Row(
        State.UNKNOWN,
        Kind.VOID,
        fault=refusal(400, code="payment_intent_unexpected_state"),
        **BY_A_LOOK,
    ),
    "charge_disputed": Row(
        State.REJECTED,
        Kind.REFUND,
        fault=refusal(400, code="charge_disputed"),
        error="charge_disputed",
        shows={"status": "captured", "amount_refunded": 0},
    ),
    "charge_expired_for_capture": Row(
        State.EXPIRED,
        Kind.CAPTURE,
        fault=refusal(400, code="charge_expired_for_capture"),
        error="charge_expired_for_capture",
        shows={"status": "expired"},
    ),
    "AuthenticationError": Row(
        State.RETRYING,
        fault=refusal(401, code="api_key_expired"),
        error="api_key_expired",
        **AGAIN,
    ),
    "PermissionError": Row(
        State.RETRYING,
        fault=refusal(403, code="account_invalid"),
        error="account_invalid",
        **AGAIN,
    ),
}


@pytest.mark.parametrize("words", STATUSES)
def test_a_status_of_stripe(bench: Workbench, words: str) -> None:
    holds(bench, "stripe", STATUSES[words])


@pytest.mark.parametrize("words", ERRORS)
def test_an_error_of_stripe(bench: Workbench, words: str) -> None:
    holds(bench, "stripe", ERRORS[words])


@pytest.mark.parametrize("words", ["AuthenticationError", "PermissionError"])
def test_refused_credentials_spend_no_attempt(bench: Workbench, words: str) -> None:
    payment_id = bench.pay()
    fault = ERRORS[words].fault
    assert fault is not None
    bench.stripe.arm(**fault, match={"method": "POST", "path": "/v1/"})
    assert bench.step(payment_id).first.attempts == 0
