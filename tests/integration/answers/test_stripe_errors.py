"""Each row of Stripe's errors in docs/providers.md."""

from __future__ import annotations

from typing import Final

import pytest

from domain.payments.operation import Kind
from domain.payments.states import State
from tests.support.answer_rows import (
    AGAIN,
    ASKS,
    BY_A_LOOK,
    EDGE,
    FAILED,
    LATER,
    RETRY_AFTER,
    Row,
    holds,
    resting,
    canned_answer,
)
from tests.support.stripe_answers import failed, intent, refusal
from tests.support.workbench import Workbench

#: Codes of a 403 that are about one request.
NOT_PERMITTED: Final = (
    "capability_not_active",
    "country_unsupported",
    "payment_method_not_available",
    "payment_method_restricted",
    "payment_method_unactivated",
)

_SUCCEEDED: Final = intent("succeeded", amount_received=1999)["body"]

ERRORS: Final[dict[str, Row]] = {
    "APIConnectionError": Row(
        State.UNKNOWN,
        fault={"do": "commit_then_drop"},
        error="no_answer",
        **AGAIN,
    ),
    "APIError, HTTP 409": Row(
        State.UNKNOWN,
        fault=resting(refusal(409)),
        error="in_flight",
        **LATER,
    ),
    "idempotency_key_in_use": Row(
        State.UNKNOWN,
        fault=refusal(400, code="idempotency_key_in_use"),
        error="idempotency_key_in_use",
        **AGAIN,
    ),
    "APIError, HTTP 500": Row(
        State.UNKNOWN,
        fault=resting(failed()),
        error="http_500",
        **LATER,
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
    "a 2xx that is not JSON": Row(
        State.UNKNOWN, fault={"do": "malformed"}, error="malformed_answer", **AGAIN
    ),
    "RateLimitError": Row(
        State.RETRYING,
        fault={"do": "rate_limit", "seconds": RETRY_AFTER},
        error="rate_limit",
        **LATER,
    ),
    "lock_timeout": Row(
        State.RETRYING,
        fault=resting(refusal(409, code="lock_timeout")),
        error="lock_timeout",
        **LATER,
    ),
    "CardError": Row(
        State.DECLINED,
        method="pm_card_chargeDeclinedInsufficientFunds",
        error="insufficient_funds",
        **FAILED,
    ),
    "CardError, of an intent that succeeded": Row(
        State.REVIEW,
        fault=refusal(402, "card_error", payment_intent=_SUCCEEDED),
        error="declined_yet_charged",
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
    "PermissionError, no code": Row(
        State.RETRYING, fault=refusal(403), error="not_authorized", **AGAIN
    ),
    "a 401 that is a page": Row(
        State.UNKNOWN, fault=canned_answer(401, EDGE), error="malformed_answer", **AGAIN
    ),
    "a 403 that is a page": Row(
        State.UNKNOWN, fault=canned_answer(403, EDGE), error="malformed_answer", **AGAIN
    ),
    **{
        code: Row(
            State.RETRYING,
            fault=refusal(403, code=code),
            error=code,
            waits="a right that stripe has to grant",
            **AGAIN,
        )
        for code in NOT_PERMITTED
    },
}


@pytest.mark.parametrize("words", ERRORS)
def test_an_error_of_stripe(bench: Workbench, words: str) -> None:
    holds(bench, "stripe", ERRORS[words])
