"""Tests that a text in place of a provider's code is neither stored nor shown."""

from __future__ import annotations

from typing import Final

import pytest

from domain.payments.operation import Kind
from domain.payments.states import State
from tests.support import paypal_answers as paypal, stripe_answers as stripe
from tests.support.answer_rows import RESEND, TOKEN, Row, resend, check_row
from tests.support.workbench import Workbench

#: One character more than a code may have.
TOO_LONG: Final = "n" * 81
_DECLINED: Final = {**stripe.DECLINED, "code": TOKEN, "decline_code": TOKEN}

#: Rows by provider and by the object with the text.
ROWS: Final[dict[str, Row]] = {
    "stripe: a card that is declined": Row(
        State.DECLINED,
        fault=stripe.refusal(402, "card_error", code=TOKEN, decline_code=TOKEN),
        error="card_error",
    ),
    "stripe: a request that is refused": Row(
        State.REJECTED, fault=stripe.refusal(400, code=TOKEN), error="invalid_request"
    ),
    "stripe: a request that is refused by a long code": Row(
        State.REJECTED,
        fault=stripe.refusal(400, code=TOO_LONG),
        error="invalid_request",
    ),
    "stripe: credentials that are refused": Row(
        State.RETRYING,
        fault=stripe.refusal(401, code=TOKEN),
        error="misconfigured",
        **RESEND,
    ),
    "stripe: an intent that was declined": Row(
        State.DECLINED,
        fault=stripe.intent("requires_payment_method", last_payment_error=_DECLINED),
        error="card_error",
    ),
    "stripe: a refund that failed": Row(
        State.DECLINED,
        Kind.REFUND,
        fault=stripe.refund("failed", failure_reason=TOKEN),
        error="refund_failed",
    ),
    "stripe: an intent that was captured": Row(
        State.UNKNOWN,
        Kind.CAPTURE,
        fault=stripe.intent(TOKEN),
        error="unrecognised_status",
        **resend("capture"),
    ),
    "stripe: an intent that was canceled": Row(
        State.UNKNOWN,
        Kind.VOID,
        fault=stripe.intent(TOKEN),
        error="unrecognised_status",
        **resend("void"),
    ),
    "paypal: an issue": Row(
        State.REJECTED, fault=paypal.refusal(422, TOKEN, name="NAMED"), error="named"
    ),
    "paypal: an issue and its name": Row(
        State.UNKNOWN,
        fault=paypal.refusal(422, TOKEN, name=TOKEN),
        error="malformed_answer",
        **RESEND,
    ),
    "paypal: a capture that was declined": Row(
        State.DECLINED,
        fault=paypal.captured("DECLINED", reason=TOKEN),
        error="capture_declined",
    ),
    "paypal: a capture that waits": Row(
        State.PENDING, fault=paypal.captured("PENDING", reason=TOKEN), next="lookup"
    ),
    "paypal: an issue that is too long": Row(
        State.REJECTED, fault=paypal.refusal(422, TOO_LONG.upper()), error="named"
    ),
}


@pytest.mark.parametrize("what", ROWS)
def test_text_in_place_of_a_code_is_not_stored(bench: Workbench, what: str) -> None:
    payment_id = check_row(bench, what.partition(":")[0], ROWS[what])
    shown = bench.fetch(payment_id)
    assert not (shown["last_error"] or {}).get("decline_code")
    stored = bench.database.payments.find_one({"_id": payment_id})
    events = bench.shop.get(f"/v1/payments/{payment_id}/events").json()
    seen = f"{stored} {shown} {events}".lower()
    assert TOKEN.lower() not in seen and TOO_LONG not in seen
