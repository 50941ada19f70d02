"""Each row of PayPal's statuses in docs/providers.md."""

from __future__ import annotations

from typing import Final

import pytest

from domain.payments.operation import Kind
from domain.payments.states import State
from tests.support.answer_rows import AGAIN, FAILED, Row, again, holds, canned_answer
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

STATUSES: Final[dict[str, Row]] = {
    "order CREATED": Row(
        State.REQUIRES_ACTION, fault=order("CREATED"), shows=TO_THE_PAGE, next="lookup"
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
    "a status of a capture that is new": Row(
        State.UNKNOWN,
        fault=captured("LEVITATING"),
        error="unrecognised_status",
        **AGAIN,
    ),
    "a status of an authorization that is new": Row(
        State.UNKNOWN,
        Kind.AUTHORIZE,
        fault=held("LEVITATING"),
        error="unrecognised_status",
        **again("authorize"),
    ),
    "a status of a refund that is new": Row(
        State.UNKNOWN,
        Kind.REFUND,
        fault=canned_answer(201, resource("LEVITATING")),
        error="unrecognised_status",
        **again("refund"),
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
    "capture COMPLETED": Row(State.SUCCEEDED, fault=captured("COMPLETED"), shows=PAID),
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


@pytest.mark.parametrize("words", STATUSES)
def test_a_status_of_paypal(bench: Workbench, words: str) -> None:
    holds(bench, "paypal", STATUSES[words])
