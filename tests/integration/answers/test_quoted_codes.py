"""Where a provider says a token in place of a code, nobody keeps or shows it."""

from __future__ import annotations

from typing import Final

import pytest

from domain.operation import Kind
from domain.states import State
from tests.integration.answers import paypal_words as paypal
from tests.integration.answers import stripe_words as stripe
from tests.integration.answers.saying import TOKEN, Row, holds
from tests.integration.traps.workbench import Workbench

_DECLINED: Final = {**stripe.DECLINED, "code": TOKEN, "decline_code": TOKEN}

STRIPE: Final[dict[str, Row]] = {
    "a card that is declined": Row(
        State.DECLINED,
        fault=stripe.refusal(402, "card_error", code=TOKEN, decline_code=TOKEN),
        error="card_error",
    ),
    "a request that is refused": Row(
        State.REJECTED, fault=stripe.refusal(400, code=TOKEN), error="invalid_request"
    ),
    "credentials that are refused": Row(
        State.RETRYING,
        fault=stripe.refusal(401, code=TOKEN),
        error="misconfigured",
        next="same key",
        moved=(("charge", 1999),),
    ),
    "an intent that was declined": Row(
        State.DECLINED,
        fault=stripe.intent("requires_payment_method", last_payment_error=_DECLINED),
        error="card_error",
    ),
    "a refund that failed": Row(
        State.DECLINED,
        Kind.REFUND,
        fault=stripe.refund("failed", failure_reason=TOKEN),
        error="refund_failed",
    ),
    "an intent that was captured": Row(
        State.UNKNOWN,
        Kind.CAPTURE,
        fault=stripe.intent(TOKEN),
        error="unrecognised_status",
        next="same key",
        moved=(("capture", 1999),),
    ),
    "an intent that was canceled": Row(
        State.UNKNOWN,
        Kind.VOID,
        fault=stripe.intent(TOKEN),
        error="unrecognised_status",
        next="same key",
        moved=(("void", 1999),),
    ),
}
PAYPAL: Final[dict[str, Row]] = {
    "an issue": Row(
        State.REJECTED, fault=paypal.refusal(422, TOKEN, name="NAMED"), error="named"
    ),
    "an issue and its name": Row(
        State.UNKNOWN,
        fault=paypal.refusal(422, TOKEN, name=TOKEN),
        error="malformed_answer",
        next="same key",
        moved=(("charge", 1999),),
    ),
    "a capture that was declined": Row(
        State.DECLINED,
        fault=paypal.captured("DECLINED", reason=TOKEN),
        error="capture_declined",
    ),
    "a capture that waits": Row(
        State.PENDING, fault=paypal.captured("PENDING", reason=TOKEN), next="look"
    ),
}


@pytest.mark.parametrize("what", STRIPE)
def test_a_code_of_stripes_that_is_none(bench: Workbench, what: str) -> None:
    _is_not_kept(bench, "stripe", STRIPE[what])


@pytest.mark.parametrize("what", PAYPAL)
def test_a_code_of_paypals_that_is_none(bench: Workbench, what: str) -> None:
    _is_not_kept(bench, "paypal", PAYPAL[what])


def _is_not_kept(bench: Workbench, provider: str, row: Row) -> None:
    payment_id = holds(bench, provider, row)
    stored = bench.database.payments.find_one({"_id": payment_id})
    events = bench.shop.get(f"/v1/payments/{payment_id}/events").json()
    seen = f"{stored} {bench.shown(payment_id)} {events}"
    assert TOKEN.lower() not in seen.lower()
