"""Each row of Stripe's statuses in docs/providers.md."""

from __future__ import annotations

from typing import Any, Final

import pytest

from domain.payments.operation import Kind
from domain.payments.states import State
from tests.support.answer_rows import (
    RESEND,
    NEEDS_PAYER,
    FAILED,
    Row,
    resend,
    check_row,
    canned_answer,
)
from tests.support.stripe_answers import DECLINED, intent, refund
from tests.support.workbench import Workbench

#: Unix seconds: 2030-01-01.
_CAPTURE_BEFORE: Final = 1_893_456_000
_CHARGE: Final = {
    "id": "ch_3canned",
    "object": "charge",
    "payment_method_details": {"card": {"capture_before": _CAPTURE_BEFORE}},
}

_PAGE: Final = {
    "type": "redirect_to_url",
    "redirect_to_url": {"url": "https://stripe.test/confirm", "return_url": None},
}

_SCRIPT: Final = {"stripe_js": "https://hooks.stripe.test/redirect"}
_PAY_AT: Final = "https://stripe.test/pay"


def instructions(action: dict[str, Any]) -> Row:
    """A payment whose payer has a page that says how to pay."""
    return Row(
        State.REQUIRES_ACTION,
        fault=intent("requires_action", next_action=action),
        shows={
            "status": "requires_action",
            "next_action": {"type": "instructions", "url": _PAY_AT},
            "last_error": None,
        },
        waits="the payer to pay as their page says",
        next="lookup",
    )


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
        **NEEDS_PAYER,
    ),
    "requires_payment_method, payment_intent_payment_attempt_expired": Row(
        State.EXPIRED,
        fault=intent(
            "requires_payment_method",
            last_payment_error={
                "type": "invalid_request_error",
                "code": "payment_intent_payment_attempt_expired",
                "message": "The latest attempt has expired.",
            },
        ),
        error="instructions_expired",
        shows={"status": "expired", "last_error": {"code": "instructions_expired"}},
    ),
    "requires_confirmation": Row(
        State.QUEUED,
        fault=intent("requires_confirmation"),
        next="new key",
        path="/v1/payment_intents/pi_3canned/confirm",
    ),
    "requires_action": Row(
        State.REQUIRES_ACTION,
        fault=intent("requires_action", next_action=_PAGE),
        shows={
            "status": "requires_action",
            "next_action": {"type": "redirect", "url": "https://stripe.test/confirm"},
        },
        next="lookup",
    ),
    "requires_action, voucher": instructions(
        {
            "type": "oxxo_display_details",
            "oxxo_display_details": {"number": "1", "hosted_voucher_url": _PAY_AT},
        }
    ),
    "requires_action, QR code": instructions(
        {
            "type": "pix_display_qr_code",
            "pix_display_qr_code": {
                "data": "00020126",
                "image_url_png": "https://stripe.test/qr.png",
                "hosted_instructions_url": _PAY_AT,
            },
        }
    ),
    "requires_action, a new type": instructions(
        {
            "type": "telepathy_display_details",
            "telepathy_display_details": {
                "plain_url": "http://stripe.test/pay",
                "return_url": "https://shop.example/back",
                "number": 5,
                "some_url": _PAY_AT,
            },
        }
    ),
    "requires_action, in the payer's app": Row(
        State.REQUIRES_ACTION,
        fault=intent(
            "requires_action",
            next_action={"type": "blik_authorize", "blik_authorize": {}},
        ),
        shows={"status": "requires_action", "next_action": None, "last_error": None},
        waits="the payer to confirm by their payment method",
        next="lookup",
    ),
    "requires_action, for a script": Row(
        State.REQUIRES_ACTION,
        fault=intent(
            "requires_action",
            next_action={
                "type": "use_stripe_sdk",
                "use_stripe_sdk": {"type": "three_d_secure_redirect", **_SCRIPT},
            },
        ),
        error="return_url_missing",
        shows={"status": "requires_action", "next_action": None},
        waits="a void",
        next="lookup",
    ),
    "requires_action, no page": Row(
        State.REQUIRES_ACTION,
        fault=intent("requires_action"),
        error="return_url_missing",
        shows={"status": "requires_action", "next_action": None},
        waits="a void",
        next="lookup",
    ),
    "processing": Row(
        State.PENDING,
        method="pm_usBankAccount",
        waits="Stripe to process the payment",
        next="lookup",
    ),
    "requires_capture": Row(
        State.SUCCEEDED,
        Kind.AUTHORIZE,
        fault=intent("requires_capture", latest_charge=_CHARGE),
        shows={
            "status": "authorized",
            "provider_refs": {"payment_intent": "pi_3canned", "charge": "ch_3canned"},
            "amount_authorized": 1999,
            "authorization": {
                "expires_at": "2030-01-01T00:00:00.000Z",
                "honored_until": None,
                "ended": None,
                "multicapture": False,
            },
        },
    ),
    "requires_capture, of a charge": Row(
        State.REVIEW,
        fault=intent("requires_capture", latest_charge=_CHARGE),
        error="status_requires_capture",
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
    "canceled, amount_received": Row(
        State.REVIEW,
        fault=intent("canceled", amount_received=1999),
        error="canceled_after_capture",
    ),
    "void: canceled": Row(
        State.SUCCEEDED,
        Kind.VOID,
        fault=intent("canceled", cancellation_reason="requested_by_customer"),
        shows={"status": "voided"},
    ),
    "void: canceled, automatic": Row(
        State.EXPIRED,
        Kind.VOID,
        fault=intent("canceled", cancellation_reason="automatic"),
        shows={"status": "expired"},
    ),
    "void: succeeded": Row(
        State.DECLINED,
        Kind.VOID,
        fault=intent("succeeded", amount_received=1999),
        error="already_captured",
    ),
    "void: processing": Row(
        State.REVIEW,
        Kind.VOID,
        fault=intent("processing"),
        error="status_processing",
    ),
    "a status that is new": Row(
        State.UNKNOWN,
        fault=intent("levitating"),
        error="unrecognised_status",
        **RESEND,
    ),
    "a status of a refund that is new": Row(
        State.UNKNOWN,
        Kind.REFUND,
        fault=refund("levitating"),
        error="unrecognised_status",
        **resend("refund"),
    ),
    "refund pending": Row(
        State.PENDING, Kind.REFUND, method="pm_card_pendingRefund", next="lookup"
    ),
    "refund requires_action": Row(
        State.REQUIRES_ACTION,
        Kind.REFUND,
        fault=refund("requires_action"),
        next="lookup",
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


#: Bodies of a 200 that cannot be read.
UNREADABLE: Final = [
    "<html>OK</html>",
    "",
    "null",
    "17",
    "[]",
    "{}",
    '{"object": "list", "data": []}',
    '{"id": "pi_1", "object": "payment_intent"}',
    '{"id": "pi_1", "object": "payment_intent", "status": ["succeeded"]}',
    '{"id": "pi_1", "object": "payment_intent", "status": "succeeded"}',
    *(
        intent("succeeded", currency=currency, amount_received=amount)["body"]
        for currency, amount in (("usd", None), ("isk", 150), ("???", 1999))
    ),
]


@pytest.mark.parametrize("body", UNREADABLE, ids=str)
def test_a_success_of_stripe_that_cannot_be_read_is_unknown(
    bench: Workbench, body: object
) -> None:
    fault = canned_answer(200, body)
    row = Row(State.UNKNOWN, fault=fault, error="malformed_answer", **RESEND)
    check_row(bench, "stripe", row)


@pytest.mark.parametrize("words", STATUSES)
def test_a_status_of_stripe_leads_to_its_state(bench: Workbench, words: str) -> None:
    check_row(bench, "stripe", STATUSES[words])
