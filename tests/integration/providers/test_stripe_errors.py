"""Tests of the mapping of Stripe's errors."""

from __future__ import annotations

import traceback
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import (
    LookupRequired,
    Misconfigured,
    NeedsReview,
    NotAuthorized,
    NotExecuted,
    NotPermitted,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.answer import Verdict
from providers.stripe.adapter import Stripe
from tests.suites.accounts import a_payment, written_down
from tests.support.recording_server import Canned, Wire
from tests.support.simulator_control import MakeStripe, Simulator

#: A token quoted in an error's sentence.
TOKEN = "pm_1QuotedByStripe"


def refusal(type: str = "invalid_request_error", **fields: Any) -> dict[str, Any]:
    """Stripe's error object, its sentence quoting a token."""
    return {"error": {"type": type, "message": f"No such thing: {TOKEN}", **fields}}


BUSY = refusal(code="idempotency_key_in_use")
LOCKED = refusal(code="lock_timeout")
FAILED = refusal("api_error")
RETRY, DO_NOT = {"Stripe-Should-Retry": "true"}, {"Stripe-Should-Retry": "false"}
REPLAYED = {"Idempotent-Replayed": "true"}


@pytest.mark.parametrize(
    ("status", "body", "headers", "raised", "detail"),
    [
        (409, BUSY, {}, OutcomeUnknown, "idempotency_key_in_use"),
        (409, LOCKED, {}, NotExecuted, "lock_timeout"),
        (400, LOCKED, {}, NotExecuted, "lock_timeout"),
        (429, refusal(code="rate_limit"), {}, NotExecuted, "rate_limit"),
        (429, refusal(), {}, NotExecuted, "rate_limited"),
        (400, refusal(code="rate_limit"), {}, NotExecuted, "rate_limit"),
        (500, FAILED, RETRY, OutcomeUnknown, "http_500"),
        (500, FAILED, {**REPLAYED, **DO_NOT}, LookupRequired, "repeated_500"),
        (500, FAILED, {"Idempotent-Replayed": "false"}, OutcomeUnknown, "http_500"),
        (502, FAILED, {}, OutcomeUnknown, "http_502"),
        (503, FAILED, {}, OutcomeUnknown, "http_503"),
        (418, FAILED, {}, OutcomeUnknown, "http_418"),
        (401, refusal(), {}, Misconfigured, "misconfigured"),
        (403, refusal(), {}, NotAuthorized, "not_authorized"),
        (
            403,
            refusal(code="payment_method_unactivated"),
            {},
            NotPermitted,
            "payment_method_unactivated",
        ),
        (
            402,
            refusal(
                "card_error",
                code="card_declined",
                payment_intent={
                    "object": "payment_intent",
                    "id": "pi_3",
                    "status": "succeeded",
                },
            ),
            {},
            NeedsReview,
            "declined_yet_charged",
        ),
    ],
)
def test_a_refusal_says_what_is_safe_next(
    stripe: Stripe,
    stripe_simulator: Simulator,
    status: int,
    body: object,
    headers: dict[str, str],
    raised: type[ProviderError],
    detail: str,
) -> None:
    stripe_simulator.arm_answer(status, body, {"Request-Id": "req_canned", **headers})
    payment = written_down(stripe, a_payment())
    with pytest.raises(ProviderError) as caught:
        stripe.send(payment)
    assert type(caught.value) is raised
    assert caught.value.detail == detail
    assert caught.value.request_id == "req_canned"
    assert stripe_simulator.movements(payment) == []
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("status", "raised"), [(429, NotExecuted), (409, OutcomeUnknown)]
)
@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", timedelta(seconds=7)),
        ("0", timedelta()),
        ("999999999999", timedelta(hours=1)),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        ("\u00b2", None),
    ],
)
def test_how_long_stripe_asks_to_wait_is_passed_on(
    make_stripe: MakeStripe,
    stripe_wire: Wire,
    status: int,
    raised: type[ProviderError],
    header: str,
    wait: timedelta | None,
) -> None:
    canned = Canned(status, refusal(), {"Retry-After": header})
    stripe_wire.canned["/v1/payment_intents"] = [canned]
    stripe = make_stripe(stripe_wire.url)
    with pytest.raises(raised) as caught:
        stripe.send(written_down(stripe, a_payment()))
    assert caught.value.retry_after == wait


def test_a_500_is_unknown_and_needs_a_lookup_once_replayed(
    stripe: Stripe, stripe_simulator: Simulator
) -> None:
    stripe_simulator.arm("replay_500")
    payment = written_down(stripe, a_payment())
    with pytest.raises(OutcomeUnknown):
        stripe.send(payment)
    with pytest.raises(LookupRequired) as caught:
        stripe.send(payment)
    assert caught.value.detail == "repeated_500"
    assert stripe_simulator.movements(payment) == []


def test_a_request_that_stripe_can_not_take_is_rejected_with_its_code(
    stripe: Stripe, stripe_simulator: Simulator
) -> None:
    payment = written_down(stripe, a_payment(method="pm_nobody"))
    answer = stripe.send(payment)
    assert answer.verdict is Verdict.REJECTED
    assert answer.failure is not None
    assert answer.failure.code == "resource_missing"
    assert "pm_nobody" in answer.failure.message
    assert answer.failure.provider_request_id == answer.request_id
    assert (answer.request_id or "").startswith("req_")
    assert stripe_simulator.movements(payment) == []


def test_a_decline_off_session_for_want_of_authentication_asks_the_payer(
    stripe: Stripe, stripe_simulator: Simulator
) -> None:
    declined = refusal(
        "card_error",
        code="authentication_required",
        decline_code="authentication_required",
        charge="ch_3canned",
        payment_intent={
            "object": "payment_intent",
            "id": "pi_3canned",
            "status": "requires_payment_method",
        },
    )
    stripe_simulator.arm_answer(402, declined)
    answer = stripe.send(written_down(stripe, a_payment()))
    assert answer.verdict is Verdict.ACTION_REQUIRED
    assert answer.refs == {"payment_intent": "pi_3canned", "charge": "ch_3canned"}
    assert answer.failure is not None
    assert answer.failure.code == "authentication_required"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 429, 500, 503])
@pytest.mark.parametrize("body", ["<html>gateway</html>", "[]", '{"error": "no"}', ""])
def test_an_error_that_is_not_stripes_own_proves_nothing(
    stripe: Stripe, stripe_simulator: Simulator, status: int, body: str
) -> None:
    stripe_simulator.arm_answer(status, body)
    with pytest.raises(OutcomeUnknown):
        stripe.send(written_down(stripe, a_payment()))


def test_codes_that_are_no_codes_are_not_passed_on(
    stripe: Stripe, stripe_simulator: Simulator
) -> None:
    number = "4242424242424242"
    stripe_simulator.arm_answer(400, refusal(code=number))
    answer = stripe.send(written_down(stripe, a_payment()))
    assert answer.failure is not None
    assert answer.failure.code == "invalid_request"
    declined = refusal("card_error", code=f"{TOKEN} is bad", decline_code=number)
    stripe_simulator.arm_answer(402, declined)
    answer = stripe.send(written_down(stripe, a_payment()))
    assert answer.failure is not None
    assert (answer.failure.code, answer.failure.decline_code) == ("card_error", None)
