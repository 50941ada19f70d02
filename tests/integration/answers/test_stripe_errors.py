"""Each row of Stripe's errors in docs/providers.md."""

from __future__ import annotations

from typing import Final

import pytest

from domain.payments.operation import Kind
from domain.payments.states import State
from tests.support.answer_rows import (
    RESEND,
    NEEDS_PAYER,
    BY_LOOKUP,
    EDGE,
    FAILED,
    RESEND_LATER,
    RETRY_AFTER,
    Row,
    check_row,
    with_retry_after,
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
        **RESEND,
    ),
    "APIError, HTTP 409": Row(
        State.UNKNOWN,
        fault=with_retry_after(refusal(409)),
        error="in_flight",
        **RESEND_LATER,
    ),
    "idempotency_key_in_use": Row(
        State.UNKNOWN,
        fault=refusal(400, code="idempotency_key_in_use"),
        error="idempotency_key_in_use",
        **RESEND,
    ),
    "APIError, HTTP 500": Row(
        State.UNKNOWN,
        fault=with_retry_after(failed()),
        error="http_500",
        **RESEND_LATER,
    ),
    "Stripe-Should-Retry: false": Row(
        State.UNKNOWN,
        fault=failed(Stripe_Should_Retry="false"),
        code="resend_refused",
        **BY_LOOKUP,
    ),
    "Idempotent-Replayed: true": Row(
        State.UNKNOWN,
        fault=failed(Idempotent_Replayed="true"),
        code="repeated_500",
        **BY_LOOKUP,
    ),
    "a 2xx that is not JSON": Row(
        State.UNKNOWN, fault={"do": "malformed"}, error="malformed_answer", **RESEND
    ),
    "RateLimitError": Row(
        State.RETRYING,
        fault={"do": "rate_limit", "seconds": RETRY_AFTER},
        error="rate_limit",
        **RESEND_LATER,
    ),
    "lock_timeout": Row(
        State.RETRYING,
        fault=with_retry_after(refusal(409, code="lock_timeout")),
        error="lock_timeout",
        **RESEND_LATER,
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
        **NEEDS_PAYER,
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
        shows={
            "status": "failed",
            "last_error": {"message": "No such PaymentMethod: 'pm_nobody'"},
        },
    ),
    "charge_already_captured": Row(
        State.UNKNOWN,
        Kind.CAPTURE,
        fault=refusal(400, code="charge_already_captured"),
        code="charge_already_captured",
        **BY_LOOKUP,
    ),
    "charge_already_refunded": Row(
        State.UNKNOWN,
        Kind.REFUND,
        fault=refusal(400, code="charge_already_refunded"),
        code="charge_already_refunded",
        **BY_LOOKUP,
    ),
    "payment_intent_unexpected_state": Row(
        State.UNKNOWN,
        Kind.VOID,
        fault=refusal(400, code="payment_intent_unexpected_state"),
        code="payment_intent_unexpected_state",
        **BY_LOOKUP,
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
        **RESEND,
    ),
    "PermissionError": Row(
        State.RETRYING,
        fault=refusal(403, code="account_invalid"),
        error="account_invalid",
        **RESEND,
    ),
    "PermissionError, no code": Row(
        State.RETRYING, fault=refusal(403), error="not_authorized", **RESEND
    ),
    "a 401 that is a page": Row(
        State.UNKNOWN,
        fault=canned_answer(401, EDGE),
        error="malformed_answer",
        **RESEND,
    ),
    "a 403 that is a page": Row(
        State.UNKNOWN,
        fault=canned_answer(403, EDGE),
        error="malformed_answer",
        **RESEND,
    ),
    **{
        code: Row(
            State.RETRYING,
            fault=refusal(403, code=code),
            error=code,
            waits="a right that stripe has to grant",
            **RESEND,
        )
        for code in NOT_PERMITTED
    },
}


#: Other forms of these errors.
FORMS: Final[dict[str, Row]] = {
    "idempotency_key_in_use, HTTP 409": Row(
        State.UNKNOWN,
        fault=refusal(409, code="idempotency_key_in_use"),
        error="idempotency_key_in_use",
        **RESEND,
    ),
    "lock_timeout, HTTP 400": Row(
        State.RETRYING,
        fault=refusal(400, code="lock_timeout"),
        error="lock_timeout",
        **RESEND,
    ),
    "rate_limit, HTTP 400": Row(
        State.RETRYING,
        fault=refusal(400, code="rate_limit"),
        error="rate_limit",
        **RESEND,
    ),
    "HTTP 429, no code": Row(
        State.RETRYING, fault=refusal(429), error="rate_limited", **RESEND
    ),
    "HTTP 404": Row(
        State.REJECTED,
        fault=refusal(404, code="resource_missing"),
        error="resource_missing",
        **FAILED,
    ),
    "HTTP 401, no code": Row(
        State.RETRYING, fault=refusal(401), error="misconfigured", **RESEND
    ),
    **{
        f"HTTP {status}": Row(
            State.UNKNOWN,
            fault=refusal(status, "api_error"),
            error=f"http_{status}",
            **RESEND,
        )
        for status in (418, 502, 503)
    },
    "Stripe-Should-Retry: true": Row(
        State.UNKNOWN,
        fault=failed(Stripe_Should_Retry="true"),
        error="http_500",
        **RESEND,
    ),
    "Idempotent-Replayed: false": Row(
        State.UNKNOWN,
        fault=failed(Idempotent_Replayed="false"),
        error="http_500",
        **RESEND,
    ),
    "Idempotent-Replayed: true, Stripe-Should-Retry: false": Row(
        State.UNKNOWN,
        fault=failed(Idempotent_Replayed="true", Stripe_Should_Retry="false"),
        code="repeated_500",
        **BY_LOOKUP,
    ),
    "authentication_required, of an intent": Row(
        State.REQUIRES_ACTION,
        fault=refusal(
            402,
            "card_error",
            code="authentication_required",
            decline_code="authentication_required",
            charge="ch_3canned",
            payment_intent=intent("requires_payment_method")["body"],
        ),
        error="authentication_required",
        shows={
            "status": "requires_action",
            "provider_refs": {"payment_intent": "pi_3canned", "charge": "ch_3canned"},
        },
        next="lookup",
    ),
    **{
        f"{kind}: {code}": Row(
            State.REJECTED,
            kind,
            fault=refusal(400, code=code),
            error=code,
            shows={"status": before},
        )
        for kind, code, before in (
            (Kind.CAPTURE, "amount_too_large", "authorized"),
            (Kind.VOID, "resource_missing", "authorized"),
            (Kind.REFUND, "amount_too_large", "captured"),
        )
    },
    **{
        f"a page, HTTP {status}": Row(
            State.UNKNOWN,
            fault={"do": "answer", "status": status, "body": EDGE},
            error="in_flight" if status == 409 else f"http_{status}",
            **RESEND,
        )
        for status in (400, 402, 404, 409, 429, 500, 503)
    },
    **{
        f"not Stripe's error: {body}": Row(
            State.UNKNOWN,
            fault={"do": "answer", "status": 400, "body": body},
            error=error,
            **RESEND,
        )
        for body, error in (
            ("[]", "http_400"),
            ("", "http_400"),
            ('{"error": "no"}', "malformed_answer"),
        )
    },
}

#: The simulator's cards that are declined: the code, the decline code, the advice, and
#: whether the same card may work later.
DECLINES: Final = [
    ("", "card_declined", "generic_decline", "try_again_later", False),
    *(
        (name, "card_declined", code, "do_not_try_again", False)
        for name, code in (
            ("LostCard", "lost_card"),
            ("StolenCard", "stolen_card"),
            ("Fraudulent", "fraudulent"),
        )
    ),
    *(
        (name, code, code, "confirm_card_data", False)
        for name, code in (
            ("ExpiredCard", "expired_card"),
            ("IncorrectCvc", "incorrect_cvc"),
        )
    ),
    (
        "InsufficientFunds",
        "card_declined",
        "insufficient_funds",
        "try_again_later",
        True,
    ),
    (
        "ProcessingError",
        "processing_error",
        "processing_error",
        "try_again_later",
        True,
    ),
    (
        "VelocityLimitExceeded",
        "card_declined",
        "card_velocity_exceeded",
        "try_again_later",
        True,
    ),
]


@pytest.mark.parametrize("words", FORMS)
def test_another_form_of_an_error_of_stripe_leads_to_its_state(
    bench: Workbench, words: str
) -> None:
    check_row(bench, "stripe", FORMS[words])


@pytest.mark.parametrize(("name", "code", "decline", "advice", "retryable"), DECLINES)
def test_a_declined_card_has_the_reason_and_advice_of_its_bank(
    bench: Workbench, name: str, code: str, decline: str, advice: str, retryable: bool
) -> None:
    row = Row(
        State.DECLINED,
        method=f"pm_card_chargeDeclined{name}",
        error=decline,
        shows={
            "status": "failed",
            "last_error": {
                "code": code,
                "decline_code": decline,
                "advice_code": advice,
                "retryable": retryable,
            },
        },
    )
    shown = bench.fetch(check_row(bench, "stripe", row))
    assert shown["last_error"]["message"].startswith(("Your card", "An error occurred"))
    assert set(shown["provider_refs"]) == {"payment_intent", "charge"}


@pytest.mark.parametrize("words", ERRORS)
def test_an_error_of_stripe_leads_to_its_state(bench: Workbench, words: str) -> None:
    check_row(bench, "stripe", ERRORS[words])
