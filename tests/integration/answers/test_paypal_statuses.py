"""Each row of PayPal's statuses in docs/providers.md."""

from __future__ import annotations

from typing import Any, Final

import pytest

from domain.payments.operation import Kind
from domain.payments.states import State
from tests.support.answer_rows import (
    RESEND,
    FAILED,
    Row,
    resend,
    check_row,
    canned_answer,
)
from tests.support.paypal_answers import (
    ENDS,
    HELD,
    PAID,
    TO_THE_PAGE,
    captured,
    held,
    order,
    resource,
)
from tests.support.workbench import Workbench


def _bare(status: str, **details: Any) -> dict[str, Any]:
    """A capture whose details are these alone."""
    made = resource(status)
    del made["status_details"]
    return {**made, **details}


STATUSES: Final[dict[str, Row]] = {
    "order CREATED": Row(
        State.REQUIRES_ACTION,
        fault=order("CREATED"),
        shows=TO_THE_PAGE,
        waits="the payer to approve the order",
        next="lookup",
    ),
    "order SAVED": Row(
        State.REQUIRES_ACTION, fault=order("SAVED"), shows=TO_THE_PAGE, next="lookup"
    ),
    "order PAYER_ACTION_REQUIRED": Row(
        State.REQUIRES_ACTION,
        fault=order("PAYER_ACTION_REQUIRED", rel="payer-action"),
        shows=TO_THE_PAGE,
        next="lookup",
    ),
    "order APPROVED": Row(
        State.QUEUED,
        fault=order("APPROVED"),
        next="new key",
        path="/v2/checkout/orders/1ORDER/capture",
    ),
    "order APPROVED, to authorize": Row(
        State.QUEUED,
        Kind.AUTHORIZE,
        fault=order("APPROVED"),
        next="new key",
        path="/v2/checkout/orders/1ORDER/authorize",
    ),
    "order COMPLETED": Row(
        State.UNKNOWN,
        fault=order("COMPLETED"),
        error="malformed_answer",
        **RESEND,
    ),
    "order VOIDED": Row(
        State.CANCELED, fault=order("VOIDED"), shows={"status": "canceled"}
    ),
    "a status that is new": Row(
        State.UNKNOWN,
        fault=order("LEVITATING"),
        error="unrecognised_status",
        **RESEND,
    ),
    "a status of a capture that is new": Row(
        State.UNKNOWN,
        fault=captured("LEVITATING"),
        error="unrecognised_status",
        **RESEND,
    ),
    "a status of an authorization that is new": Row(
        State.UNKNOWN,
        Kind.AUTHORIZE,
        fault=held("LEVITATING"),
        error="unrecognised_status",
        **resend("authorize"),
    ),
    "a status of a refund that is new": Row(
        State.UNKNOWN,
        Kind.REFUND,
        fault=canned_answer(201, resource("LEVITATING")),
        error="unrecognised_status",
        **resend("refund"),
    ),
    "two captures that stand": Row(
        State.REVIEW,
        fault=order("COMPLETED", captures=[resource("COMPLETED")] * 2),
        error="made_twice",
    ),
    "a capture that was refused, and one that stands": Row(
        State.SUCCEEDED,
        fault=order(
            "COMPLETED", captures=[resource("COMPLETED"), resource("DECLINED")]
        ),
        shows=PAID,
    ),
    "capture COMPLETED": Row(
        State.SUCCEEDED,
        fault=captured("COMPLETED"),
        shows={**PAID, "provider_refs": {"order": "1ORDER", "capture": "2CANNED"}},
    ),
    "capture PENDING": Row(
        State.PENDING, fault=captured("PENDING"), waits="(ECHECK)", next="lookup"
    ),
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
        State.SUCCEEDED, fault=captured("PARTIALLY_REFUNDED"), shows=PAID
    ),
    "capture REFUNDED": Row(State.SUCCEEDED, fault=captured("REFUNDED"), shows=PAID),
    "authorization CREATED": Row(
        State.SUCCEEDED, Kind.AUTHORIZE, fault=held("CREATED"), shows=HELD
    ),
    "authorization PENDING": Row(
        State.PENDING, Kind.AUTHORIZE, fault=held("PENDING"), next="lookup"
    ),
    "authorization DENIED": Row(
        State.DECLINED,
        Kind.AUTHORIZE,
        fault=held("DENIED"),
        error="authorization_denied",
        **FAILED,
    ),
    "authorization PARTIALLY_CAPTURED": Row(
        State.SUCCEEDED, Kind.AUTHORIZE, fault=held("PARTIALLY_CAPTURED"), shows=HELD
    ),
    "authorization CAPTURED": Row(
        State.SUCCEEDED, Kind.AUTHORIZE, fault=held("CAPTURED"), shows=HELD
    ),
    "authorization VOIDED": Row(
        State.CANCELED,
        Kind.AUTHORIZE,
        fault=held("VOIDED"),
        shows={"status": "canceled"},
    ),
    "authorization VOIDED, before its end": Row(
        State.CANCELED,
        Kind.AUTHORIZE,
        fault=held("VOIDED", update_time="2029-12-31T23:59:59Z"),
        shows={"status": "canceled"},
    ),
    "authorization VOIDED, at its end": Row(
        State.EXPIRED,
        Kind.AUTHORIZE,
        fault=held("VOIDED", update_time=ENDS),
        shows={"status": "expired"},
    ),
    "refund COMPLETED": Row(
        State.SUCCEEDED,
        Kind.REFUND,
        shows={"status": "refunded", "amount_refunded": 1999},
        moved=(("refund", 1999),),
    ),
    "refund PENDING": Row(
        State.PENDING,
        Kind.REFUND,
        fault=canned_answer(201, resource("PENDING")),
        waits="(ECHECK)",
        next="lookup",
    ),
    "refund FAILED": Row(
        State.DECLINED,
        Kind.REFUND,
        fault=canned_answer(201, resource("FAILED")),
        error="echeck",
        shows=PAID,
    ),
    "refund CANCELLED": Row(
        State.CANCELED,
        Kind.REFUND,
        fault=canned_answer(201, resource("CANCELLED")),
        error="echeck",
        shows=PAID,
    ),
}


#: Other forms of these statuses.
FORMS: Final[dict[str, Row]] = {
    "capture: a status that is new": Row(
        State.UNKNOWN,
        Kind.CAPTURE,
        fault=canned_answer(201, resource("LEVITATING")),
        error="unrecognised_status",
        **resend("capture"),
    ),
    "void: a status that is new": Row(
        State.UNKNOWN,
        Kind.VOID,
        fault={
            **canned_answer(200, resource("LEVITATING")),
            "match": {"method": "GET", "path": "/v2/payments/authorizations"},
        },
        error="unrecognised_status",
        **resend("void"),
    ),
    "capture COMPLETED, no details": Row(
        State.SUCCEEDED,
        fault=order("COMPLETED", captures=[_bare("COMPLETED")]),
        shows=PAID,
    ),
    **{
        f"capture {status}, details {details}": Row(
            state,
            fault=order("COMPLETED", captures=[_bare(status, **details)]),
            **rest,
        )
        for status, state, rest in (
            (
                "PENDING",
                State.PENDING,
                {"waits": "(no reason given)", "next": "lookup"},
            ),
            ("DECLINED", State.DECLINED, {"error": "capture_declined", **FAILED}),
        )
        for details in ({}, {"status_details": None})
    },
}
_AMOUNTS: Final = (
    {"value": "19.99"},
    {"value": "1,99", "currency_code": "USD"},
    {"value": "19.999", "currency_code": "USD"},
    {"value": 19.99, "currency_code": "USD"},
)
#: Bodies of a 201 that cannot be read.
UNREADABLE: Final[list[object]] = [
    "<html>OK</html>",
    "",
    "null",
    "[]",
    "{}",
    {"id": "1ORDER", "status": "COMPLETED"},
    {**order("COMPLETED")["body"], "purchase_units": []},
    *(
        order("COMPLETED", captures=[made])["body"]
        for made in (
            "not an object",
            {"id": "2CANNED", "status": "COMPLETED"},
            *(resource("COMPLETED", amount=amount) for amount in _AMOUNTS),
            resource("DECLINED", status_details="none"),
        )
    ),
    *(
        {**order("CREATED")["body"], "links": links}
        for links in ([{"rel": "approve"}], "none")
    ),
]


@pytest.mark.parametrize("words", FORMS)
def test_another_form_of_a_status_of_paypal_leads_to_its_state(
    bench: Workbench, words: str
) -> None:
    check_row(bench, "paypal", FORMS[words])


@pytest.mark.parametrize("body", UNREADABLE, ids=str)
def test_a_success_of_paypal_that_cannot_be_read_is_unknown(
    bench: Workbench, body: object
) -> None:
    fault = canned_answer(201, body)
    row = Row(State.UNKNOWN, fault=fault, error="malformed_answer", **RESEND)
    check_row(bench, "paypal", row)


@pytest.mark.parametrize("words", STATUSES)
def test_a_status_of_paypal_leads_to_its_state(bench: Workbench, words: str) -> None:
    check_row(bench, "paypal", STATUSES[words])
