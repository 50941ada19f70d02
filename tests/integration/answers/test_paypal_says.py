"""Each row of PayPal's tables in docs/providers.md."""

from __future__ import annotations

from typing import Any, Final

import pytest
import requests

from domain.operation import Kind
from domain.states import State
from tests.contract.simulators.simulator_process import Simulator, eventually
from tests.integration.answers.paypal_words import (
    captured,
    held,
    order,
    refusal,
    resource,
)
from tests.integration.answers.saying import (
    AGAIN,
    ASKS,
    BY_A_LOOK,
    CHARGED,
    FAILED,
    Row,
    holds,
    said,
)
from tests.integration.traps.workbench import Workbench


def refused(issue: str, state: State, kind: Kind = Kind.CHARGE, **row: Any) -> Row:
    """A 422 of that issue."""
    return Row(
        state, kind, fault=refusal(422, issue), **{"error": issue.lower(), **row}
    )


_TO_APPROVE: Final = {
    "status": "requires_action",
    "next_action": {"type": "redirect", "url": "https://paypal.test/approve"},
}
_PAID: Final = {"status": "captured", "amount_captured": 1999}
_HELD: Final = {"status": "authorized", "amount_authorized": 1999}

STATUSES: Final[dict[str, Row]] = {
    "order CREATED": Row(
        State.REQUIRES_ACTION, fault=order("CREATED"), shows=_TO_APPROVE, next="look"
    ),
    "order SAVED": Row(
        State.REQUIRES_ACTION, fault=order("SAVED"), shows=_TO_APPROVE, next="look"
    ),
    "order PAYER_ACTION_REQUIRED": Row(
        State.REQUIRES_ACTION,
        fault=order("PAYER_ACTION_REQUIRED"),
        shows=_TO_APPROVE,
        next="look",
    ),
    "order APPROVED": Row(State.QUEUED, fault=order("APPROVED"), next="new key"),
    "order COMPLETED": Row(
        State.UNKNOWN,
        fault=order("COMPLETED"),
        error="malformed_answer",
        **AGAIN,
    ),
    "order VOIDED": Row(
        State.CANCELED, fault=order("VOIDED"), shows={"status": "canceled"}
    ),
    "a status that is new": Row(
        State.UNKNOWN,
        fault=order("LEVITATING"),
        error="unrecognised_status",
        **AGAIN,
    ),
    "capture COMPLETED": Row(State.SUCCEEDED, fault=captured("COMPLETED"), shows=_PAID),
    "capture PENDING": Row(State.PENDING, method="vault_pending", next="look"),
    "capture DECLINED": Row(
        State.DECLINED,
        fault=captured("DECLINED"),
        error="echeck",
        **FAILED,
    ),
    "capture FAILED": Row(
        State.DECLINED,
        fault=captured("FAILED"),
        error="echeck",
        **FAILED,
    ),
    "capture PARTIALLY_REFUNDED": Row(
        State.SUCCEEDED, fault=captured("PARTIALLY_REFUNDED"), shows=_PAID
    ),
    "capture REFUNDED": Row(State.SUCCEEDED, fault=captured("REFUNDED"), shows=_PAID),
    "authorization CREATED": Row(
        State.SUCCEEDED, Kind.AUTHORIZE, fault=held("CREATED"), shows=_HELD
    ),
    "authorization PENDING": Row(
        State.PENDING, Kind.AUTHORIZE, fault=held("PENDING"), next="look"
    ),
    "authorization DENIED": Row(
        State.DECLINED,
        Kind.AUTHORIZE,
        fault=held("DENIED"),
        error="authorization_denied",
        **FAILED,
    ),
    "authorization PARTIALLY_CAPTURED": Row(
        State.SUCCEEDED, Kind.AUTHORIZE, fault=held("PARTIALLY_CAPTURED"), shows=_HELD
    ),
    "authorization CAPTURED": Row(
        State.SUCCEEDED, Kind.AUTHORIZE, fault=held("CAPTURED"), shows=_HELD
    ),
    "authorization VOIDED": Row(
        State.CANCELED,
        Kind.AUTHORIZE,
        fault=held("VOIDED"),
        shows={"status": "canceled"},
    ),
    "refund COMPLETED": Row(
        State.SUCCEEDED,
        Kind.REFUND,
        shows={"status": "refunded", "amount_refunded": 1999},
        moved=(("refund", 1999),),
    ),
    "refund PENDING": Row(
        State.PENDING, Kind.REFUND, method="vault_refund_pending", next="look"
    ),
    "refund FAILED": Row(
        State.DECLINED,
        Kind.REFUND,
        fault=said(201, resource("FAILED")),
        error="echeck",
        shows=_PAID,
    ),
    "refund CANCELLED": Row(
        State.CANCELED,
        Kind.REFUND,
        fault=said(201, resource("CANCELLED")),
        error="echeck",
        shows=_PAID,
    ),
}

ANSWERS: Final[dict[str, Row]] = {
    "reset": Row(
        State.UNKNOWN, fault={"do": "commit_then_drop"}, error="no_answer", **AGAIN
    ),
    "a 2xx that is not JSON": Row(
        State.UNKNOWN, fault={"do": "malformed"}, error="malformed_answer", **AGAIN
    ),
    "500": Row(
        State.UNKNOWN,
        fault=refusal(500, name="INTERNAL_SERVER_ERROR"),
        error="http_500",
        **AGAIN,
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
    "401": Row(
        State.RETRYING,
        fault={**refusal(401, name="AUTHENTICATION_FAILURE"), "times": 2},
        error="authentication_failure",
        **AGAIN,
    ),
    "401 once": Row(
        State.SUCCEEDED,
        fault={
            "do": "answer",
            "status": 401,
            "body": {"name": "AUTHENTICATION_FAILURE"},
        },
        shows=_PAID,
        moved=CHARGED,
    ),
    "403": Row(
        State.RETRYING,
        fault=refusal(403, name="NOT_AUTHORIZED"),
        error="not_authorized",
        **AGAIN,
    ),
    "CONSENT_NEEDED": Row(
        State.REQUIRES_ACTION,
        fault=refusal(403, "CONSENT_NEEDED", name="NOT_AUTHORIZED"),
        error="consent_needed",
        **ASKS,
    ),
    "PREVIOUS_REQUEST_IN_PROGRESS": Row(
        State.UNKNOWN,
        fault=refusal(409, "PREVIOUS_REQUEST_IN_PROGRESS", name="RESOURCE_CONFLICT"),
        error="in_flight",
        **AGAIN,
    ),
    "429": Row(
        State.RETRYING,
        fault={"do": "rate_limit", "seconds": 1},
        error="rate_limited",
        **AGAIN,
    ),
    **{
        issue: Row(State.DECLINED, method=method, error=issue.lower(), **FAILED)
        for issue, method in (
            ("INSTRUMENT_DECLINED", "vault_declined"),
            ("PAYER_CANNOT_PAY", "vault_payer_cannot_pay"),
            ("TRANSACTION_REFUSED", "vault_refused"),
        )
    },
    **{
        issue: refused(issue, State.REQUIRES_ACTION, **ASKS)
        for issue in (
            "PAYER_ACTION_REQUIRED",
            "ORDER_NOT_APPROVED",
            "REDIRECT_PAYER_FOR_ALTERNATE_FUNDING",
        )
    },
    **{
        issue: refused(issue, State.UNKNOWN, kind, **BY_A_LOOK)
        for issue, kind in (
            ("ORDER_ALREADY_CAPTURED", Kind.CHARGE),
            ("ORDER_ALREADY_AUTHORIZED", Kind.AUTHORIZE),
            ("PREVIOUSLY_VOIDED", Kind.VOID),
            ("PREVIOUSLY_CAPTURED", Kind.CAPTURE),
            ("CAPTURE_FULLY_REFUNDED", Kind.REFUND),
            ("DUPLICATE_INVOICE_ID", Kind.REFUND),
        )
    },
    "ORDER_COMPLETION_IN_PROGRESS": refused(
        "ORDER_COMPLETION_IN_PROGRESS", State.RETRYING, **AGAIN
    ),
    "PENDING_CAPTURE": refused(
        "PENDING_CAPTURE",
        State.RETRYING,
        Kind.REFUND,
        next="same key",
        moved=(("refund", 1999),),
    ),
    "ORDER_EXPIRED": refused(
        "ORDER_EXPIRED", State.EXPIRED, shows={"status": "expired"}
    ),
    "AUTHORIZATION_EXPIRED": refused(
        "AUTHORIZATION_EXPIRED", State.EXPIRED, Kind.CAPTURE
    ),
    "REFUND_AMOUNT_EXCEEDED": refused(
        "REFUND_AMOUNT_EXCEEDED", State.REJECTED, Kind.REFUND
    ),
    **{
        issue: refused(issue, State.REJECTED, Kind.REFUND, shows=_PAID)
        for issue in (
            "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK",
            "TRANSACTION_DISPUTED",
        )
    },
    "MAX_CAPTURE_AMOUNT_EXCEEDED": refused(
        "MAX_CAPTURE_AMOUNT_EXCEEDED", State.REJECTED, Kind.CAPTURE
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
    "COMPLIANCE_VIOLATION": Row(
        State.REVIEW, method="vault_compliance", error="compliance_violation"
    ),
}


@pytest.mark.parametrize("words", STATUSES)
def test_a_status_of_paypal(bench: Workbench, words: str) -> None:
    holds(bench, "paypal", STATUSES[words])


@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_of_paypal(bench: Workbench, words: str) -> None:
    holds(bench, "paypal", ANSWERS[words])


def test_a_connection_that_paypal_refuses_did_nothing(bench: Workbench) -> None:
    payment_id = bench.pay("paypal")
    bench.paypal.arm(do="refuse", seconds=0.5)
    payment = bench.step(payment_id)
    eventually(lambda: _listens(bench.paypal), "PayPal listens again")
    assert (payment.first.state, payment.first.attempts) == (State.RETRYING, 1)
    assert bench.moved(payment_id) == []
    assert bench.step(payment_id).first.state is State.SUCCEEDED
    assert bench.moved(payment_id) == [("charge", 1999)]


def _listens(simulator: Simulator) -> bool:
    try:
        return bool(simulator.get("/_health"))
    except requests.ConnectionError:
        return False
