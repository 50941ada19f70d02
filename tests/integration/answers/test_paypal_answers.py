"""Each row of PayPal's answers in docs/providers.md."""

from __future__ import annotations

from typing import Any, Final

import pytest

from domain.payments.operation import Kind
from domain.payments.states import State
from tests.support.answer_rows import (
    RESEND,
    BY_LOOKUP,
    EDGE,
    FAILED,
    RESEND_LATER,
    QUOTED,
    RETRY_AFTER,
    Row,
    resend,
    check_row,
    with_retry_after,
    canned_answer,
)
from tests.support.paypal_answers import HELD, PAID, TO_THE_PAGE, refusal
from tests.support.workbench import Workbench


def refused(issue: str, state: State, kind: Kind = Kind.CHARGE, **row: Any) -> Row:
    """A 422 of that issue."""
    return Row(
        state, kind, fault=refusal(422, issue), **{"error": issue.lower(), **row}
    )


#: Issues of a 403 that are about one request.
NOT_PERMITTED: Final = (
    "NOT_ELIGIBLE_FOR_TOKEN_PROCESSING",
    "NOT_ENABLED_FOR_CARD_PROCESSING",
    "PERMISSION_DENIED",
    "PERMISSION_DENIED_FOR_DONATION_ITEMS",
)

ANSWERS: Final[dict[str, Row]] = {
    "reset": Row(
        State.UNKNOWN, fault={"do": "commit_then_drop"}, error="no_answer", **RESEND
    ),
    "a 2xx that is not JSON": Row(
        State.UNKNOWN, fault={"do": "malformed"}, error="malformed_answer", **RESEND
    ),
    "500": Row(
        State.UNKNOWN,
        fault=with_retry_after(refusal(500, name="INTERNAL_SERVER_ERROR")),
        error="http_500",
        **RESEND_LATER,
    ),
    "400": Row(
        State.REJECTED,
        fault=refusal(400, "INVALID_PARAMETER_VALUE", name="INVALID_REQUEST"),
        error="invalid_parameter_value",
        **FAILED,
    ),
    "404": Row(
        State.REJECTED,
        fault=refusal(404, "INVALID_RESOURCE_ID", name="RESOURCE_NOT_FOUND"),
        error="invalid_resource_id",
        **FAILED,
    ),
    "422 with another issue": Row(
        State.REJECTED,
        fault=refusal(422, "LEVITATION_FORBIDDEN", name="UNPROCESSABLE_ENTITY"),
        error="levitation_forbidden",
        shows={
            "status": "failed",
            "last_error": {
                "message": f"It is {QUOTED} that failed.",
                "retryable": False,
            },
        },
    ),
    "a 4xx without an issue": Row(
        State.UNKNOWN,
        fault=canned_answer(400, {"error": f"a word of somebody between, {QUOTED}"}),
        error="malformed_answer",
        **RESEND,
    ),
    "401": Row(
        State.RETRYING,
        fault={**refusal(401, name="AUTHENTICATION_FAILURE"), "times": 2},
        error="authentication_failure",
        **RESEND,
    ),
    "401 once": Row(
        State.SUCCEEDED,
        fault={
            "do": "answer",
            "status": 401,
            "body": {"name": "AUTHENTICATION_FAILURE"},
        },
        shows=PAID,
        moved=(("charge", 1999),),
    ),
    "401 by OAuth": Row(
        State.RETRYING,
        fault={**canned_answer(401, {"error": "invalid_token"}), "times": 2},
        error="misconfigured",
        **RESEND,
    ),
    "a 401 that is a page": Row(
        State.UNKNOWN,
        fault={**canned_answer(401, EDGE), "times": 2},
        error="malformed_answer",
        **RESEND,
    ),
    "a 403 that is a page": Row(
        State.UNKNOWN,
        fault=canned_answer(403, EDGE),
        error="malformed_answer",
        **RESEND,
    ),
    "403": Row(
        State.RETRYING,
        fault=refusal(403, name="NOT_AUTHORIZED"),
        error="not_authorized",
        **RESEND,
    ),
    **{
        issue: Row(
            State.RETRYING,
            fault=refusal(403, issue, name="NOT_AUTHORIZED"),
            error=issue.lower(),
            waits="a right that paypal has to grant",
            **RESEND,
        )
        for issue in NOT_PERMITTED
    },
    "CONSENT_NEEDED": Row(
        State.REQUIRES_ACTION,
        fault=refusal(403, "CONSENT_NEEDED", name="NOT_AUTHORIZED", rel="payer-action"),
        error="consent_needed",
        shows=TO_THE_PAGE,
        waits="the payer to act at PayPal",
        next="lookup",
    ),
    "PREVIOUS_REQUEST_IN_PROGRESS": Row(
        State.UNKNOWN,
        fault=with_retry_after(
            refusal(409, "PREVIOUS_REQUEST_IN_PROGRESS", name="RESOURCE_CONFLICT")
        ),
        error="in_flight",
        **RESEND_LATER,
    ),
    "429": Row(
        State.RETRYING,
        fault={"do": "rate_limit", "seconds": RETRY_AFTER},
        error="rate_limited",
        **RESEND_LATER,
    ),
    **{
        issue: Row(
            State.DECLINED,
            method=method,
            error=issue.lower(),
            shows={"status": "failed", "last_error": {"retryable": retryable}},
        )
        for issue, method, retryable in (
            ("INSTRUMENT_DECLINED", "vault_declined", True),
            ("PAYER_CANNOT_PAY", "vault_payer_cannot_pay", False),
            ("TRANSACTION_REFUSED", "vault_refused", False),
        )
    },
    **{
        issue: Row(
            State.REQUIRES_ACTION,
            fault=refusal(422, issue, rel=rel),
            error=issue.lower(),
            shows=TO_THE_PAGE,
            waits="the payer to act at PayPal",
            next="lookup",
        )
        for issue, rel in (
            ("PAYER_ACTION_REQUIRED", "payer-action"),
            ("ORDER_NOT_APPROVED", "approve"),
            ("REDIRECT_PAYER_FOR_ALTERNATE_FUNDING", "redirect"),
        )
    },
    **{
        issue: refused(issue, State.UNKNOWN, kind, code=issue.lower(), **BY_LOOKUP)
        for issue, kind in (
            ("ORDER_ALREADY_CAPTURED", Kind.CHARGE),
            ("ORDER_ALREADY_AUTHORIZED", Kind.AUTHORIZE),
            ("ORDER_ALREADY_COMPLETED", Kind.CHARGE),
            ("ORDER_COMPLETED_OR_VOIDED", Kind.CHARGE),
            ("AUTHORIZATION_ALREADY_CAPTURED", Kind.CAPTURE),
            ("PREVIOUSLY_VOIDED", Kind.VOID),
            ("PREVIOUSLY_CAPTURED", Kind.CAPTURE),
            ("CAPTURE_FULLY_REFUNDED", Kind.REFUND),
            ("DUPLICATE_INVOICE_ID", Kind.REFUND),
        )
    },
    "ORDER_COMPLETION_IN_PROGRESS": refused(
        "ORDER_COMPLETION_IN_PROGRESS", State.RETRYING, **RESEND
    ),
    "PENDING_CAPTURE": refused(
        "PENDING_CAPTURE",
        State.RETRYING,
        Kind.REFUND,
        **resend("refund"),
    ),
    "ORDER_EXPIRED": refused(
        "ORDER_EXPIRED", State.EXPIRED, shows={"status": "expired"}
    ),
    "AUTHORIZATION_EXPIRED": refused(
        "AUTHORIZATION_EXPIRED",
        State.EXPIRED,
        Kind.CAPTURE,
        shows={"status": "expired"},
    ),
    "AUTHORIZATION_VOIDED": refused(
        "AUTHORIZATION_VOIDED",
        State.CANCELED,
        Kind.CAPTURE,
        shows={"status": "voided"},
    ),
    "REFUND_AMOUNT_EXCEEDED": refused(
        "REFUND_AMOUNT_EXCEEDED", State.REJECTED, Kind.REFUND, shows=PAID
    ),
    **{
        issue: refused(
            issue,
            State.REJECTED,
            Kind.REFUND,
            shows={**PAID, "last_error": {"code": "charge_disputed"}},
        )
        for issue in (
            "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK",
            "TRANSACTION_DISPUTED",
        )
    },
    "MAX_CAPTURE_AMOUNT_EXCEEDED": refused(
        "MAX_CAPTURE_AMOUNT_EXCEEDED", State.REJECTED, Kind.CAPTURE, shows=HELD
    ),
    "REFUND_FAILED_INSUFFICIENT_FUNDS": Row(
        State.REVIEW,
        Kind.REFUND,
        method="vault_refund_no_funds",
        error="refund_failed_insufficient_funds",
    ),
    "PAYEE_ACCOUNT_RESTRICTED": Row(
        State.REVIEW,
        method="vault_payee_restricted",
        error="payee_account_restricted",
    ),
    "PAYEE_ACCOUNT_LOCKED_OR_CLOSED": refused(
        "PAYEE_ACCOUNT_LOCKED_OR_CLOSED", State.REVIEW
    ),
    "DUPLICATE_REQUEST_ID": refused("DUPLICATE_REQUEST_ID", State.REVIEW),
    "COMPLIANCE_VIOLATION": Row(
        State.REVIEW, method="vault_compliance", error="compliance_violation"
    ),
}


#: Other forms of these answers.
FORMS: Final[dict[str, Row]] = {
    **{
        f"DUPLICATE_INVOICE_ID, {words}": Row(
            State.UNKNOWN,
            fault=fault,
            code="duplicate_invoice_id",
            **BY_LOOKUP,
        )
        for words, fault in (
            ("HTTP 400", refusal(400, "DUPLICATE_INVOICE_ID")),
            (
                "behind another",
                refusal(422, "INVALID_PARAMETER_VALUE", "DUPLICATE_INVOICE_ID"),
            ),
        )
    },
    "PAYEE_ACCOUNT_NOT_VERIFIED": Row(
        State.RETRYING,
        fault=refusal(403, "PAYEE_ACCOUNT_NOT_VERIFIED", name="NOT_AUTHORIZED"),
        error="payee_account_not_verified",
        **RESEND,
    ),
    "403 by OAuth": Row(
        State.RETRYING,
        fault=canned_answer(403, {"error": "insufficient_scope"}),
        error="not_authorized",
        **RESEND,
    ),
    "403 without an issue": Row(
        State.UNKNOWN,
        fault=canned_answer(403, {"message": "Denied"}),
        error="malformed_answer",
        **RESEND,
    ),
    **{
        str(status): Row(
            State.UNKNOWN,
            fault=with_retry_after(refusal(status, name="NAMED")),
            error=f"http_{status}",
            **RESEND_LATER,
        )
        for status in (408, 503)
    },
    "TOKEN_ID_NOT_FOUND": Row(
        State.REJECTED, method="vault_missing", error="token_id_not_found", **FAILED
    ),
    "capture: AUTHORIZATION_DENIED": refused(
        "AUTHORIZATION_DENIED", State.REJECTED, Kind.CAPTURE, shows=HELD
    ),
    "capture: INSTRUMENT_DECLINED": refused(
        "INSTRUMENT_DECLINED", State.DECLINED, Kind.CAPTURE, shows=HELD
    ),
    **{
        f"a page, HTTP {status}": Row(
            State.UNKNOWN, fault=canned_answer(status, EDGE), error=error, **RESEND
        )
        for status, error in (
            (400, "malformed_answer"),
            (404, "malformed_answer"),
            (409, "in_flight"),
            (422, "malformed_answer"),
            (500, "http_500"),
        )
    },
    **{
        f"not PayPal's error: {body}": Row(
            State.UNKNOWN,
            fault=canned_answer(422, body),
            error="malformed_answer",
            **RESEND,
        )
        for body in (
            "",
            "[]",
            '{"message": "no"}',
            '{"name": 17}',
            '{"name": "X", "details": "y"}',
            '{"name": "X", "details": ["y"]}',
            '{"name": "X", "details": {"issue": "Y"}}',
        )
    },
}


@pytest.mark.parametrize("words", FORMS)
def test_another_form_of_an_answer_of_paypal_leads_to_its_state(
    bench: Workbench, words: str
) -> None:
    check_row(bench, "paypal", FORMS[words])


@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_of_paypal_leads_to_its_state(bench: Workbench, words: str) -> None:
    check_row(bench, "paypal", ANSWERS[words])
