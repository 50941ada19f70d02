"""Tests of the mapping of PayPal's errors."""

from __future__ import annotations

import traceback
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import (
    LookupRequired,
    NeedsReview,
    NotAuthorized,
    NotExecuted,
    NotPermitted,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.answer import NextAction, Verdict
from providers.paypal.adapter import PayPal
from tests.suites.accounts import a_payment, written_down
from tests.support.recording_server import Canned, Wire
from tests.support.simulator_control import ORDERS, MakePayPal, Simulator

DEBUG_ID = {"PayPal-Debug-Id": "f0canned"}
#: A token quoted in an error's sentence.
TOKEN = "vault_quoted_by_paypal"


def refusal(*issues: str, name: str = "UNPROCESSABLE_ENTITY") -> dict[str, Any]:
    """PayPal's error object, its sentences quoting a token."""
    details = [
        {"issue": issue, "description": f"It is {TOKEN} that failed."}
        for issue in issues
    ]
    body = {"name": name, "message": f"About {TOKEN}.", "debug_id": "f0canned"}
    return {**body, "details": details} if details else body


@pytest.mark.parametrize(
    ("issue", "verdict", "retryable"),
    [
        ("INSTRUMENT_DECLINED", Verdict.DECLINED, True),
        ("PAYER_CANNOT_PAY", Verdict.DECLINED, False),
        ("MULTI_CURRENCY_ORDER", Verdict.REJECTED, False),
    ],
)
def test_a_422_says_why_in_a_sentence_and_whether_it_may_work_later(
    paypal: PayPal,
    paypal_simulator: Simulator,
    issue: str,
    verdict: Verdict,
    retryable: bool,
) -> None:
    paypal_simulator.arm_answer(422, refusal(issue), DEBUG_ID)
    payment = written_down(paypal, a_payment(method="vault_ok"))
    answer = paypal.send(payment)
    assert answer.verdict is verdict
    assert answer.moved is None
    assert answer.failure is not None
    assert answer.failure.code == issue.lower()
    assert answer.failure.message == f"It is {TOKEN} that failed."
    assert answer.failure.retryable is retryable
    assert answer.failure.provider_request_id == answer.request_id == "f0canned"
    assert paypal_simulator.movements(payment) == []


@pytest.mark.parametrize(
    ("status", "body", "raised", "detail"),
    [
        *(
            (422, refusal(issue), LookupRequired, issue.lower())
            for issue in (
                "ORDER_ALREADY_COMPLETED",
                "ORDER_COMPLETED_OR_VOIDED",
            )
        ),
        (
            422,
            refusal("INVALID_PARAMETER_VALUE", "DUPLICATE_INVOICE_ID"),
            LookupRequired,
            "duplicate_invoice_id",
        ),
        (
            400,
            refusal("DUPLICATE_INVOICE_ID", name="INVALID_REQUEST"),
            LookupRequired,
            "duplicate_invoice_id",
        ),
        *(
            (422, refusal(issue), NeedsReview, issue.lower())
            for issue in (
                "PAYEE_ACCOUNT_INVALID",
                "DUPLICATE_REQUEST_ID",
            )
        ),
        (
            403,
            refusal("PERMISSION_DENIED", name="NOT_AUTHORIZED"),
            NotPermitted,
            "permission_denied",
        ),
        (
            403,
            refusal("PAYEE_ACCOUNT_NOT_VERIFIED", name="NOT_AUTHORIZED"),
            NotAuthorized,
            "payee_account_not_verified",
        ),
        (403, {"error": "insufficient_scope"}, NotAuthorized, "not_authorized"),
        (403, {"message": "Denied"}, OutcomeUnknown, "malformed_answer"),
        (429, refusal(name="RATE_LIMIT_REACHED"), NotExecuted, "rate_limited"),
        (503, refusal(name="SERVICE_UNAVAILABLE"), OutcomeUnknown, "http_503"),
        (408, refusal(name="REQUEST_TIMEOUT"), OutcomeUnknown, "http_408"),
    ],
)
def test_a_refusal_says_what_is_safe_next(
    paypal: PayPal,
    paypal_simulator: Simulator,
    status: int,
    body: object,
    raised: type[ProviderError],
    detail: str,
) -> None:
    paypal_simulator.arm_answer(status, body, DEBUG_ID)
    payment = written_down(paypal, a_payment(method="vault_ok"))
    with pytest.raises(ProviderError) as caught:
        paypal.send(payment)
    assert type(caught.value) is raised
    assert caught.value.detail == detail
    assert caught.value.request_id == "f0canned"
    assert paypal_simulator.movements(payment) == []
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_a_token_whose_payer_must_act_names_the_page_to_go_to(
    paypal: PayPal, paypal_simulator: Simulator
) -> None:
    payment = written_down(paypal, a_payment(method="vault_payer_action"))
    answer = paypal.send(payment)
    assert answer.verdict is Verdict.ACTION_REQUIRED
    assert answer.next_action is not None
    assert answer.next_action.url.startswith(f"{paypal_simulator.url}/checkoutnow?")
    assert answer.waiting_for == "the payer to act at PayPal"
    assert answer.next_action.url.endswith(answer.refs["order"])
    assert paypal_simulator.movements(payment) == []


def test_a_403_for_want_of_consent_asks_the_payer(
    paypal: PayPal, paypal_simulator: Simulator
) -> None:
    link = {"rel": "payer-action", "href": "https://paypal.test/consent"}
    body = {**refusal("CONSENT_NEEDED", name="NOT_AUTHORIZED"), "links": [link]}
    paypal_simulator.arm_answer(403, body, DEBUG_ID)
    answer = paypal.send(written_down(paypal, a_payment(method="vault_ok")))
    assert answer.verdict is Verdict.ACTION_REQUIRED
    assert answer.next_action == NextAction("https://paypal.test/consent")
    assert answer.failure is not None
    assert answer.failure.code == "consent_needed"


def test_a_token_that_does_not_exist_is_rejected(
    paypal: PayPal, paypal_simulator: Simulator
) -> None:
    payment = written_down(paypal, a_payment(method="vault_missing"))
    answer = paypal.send(payment)
    assert answer.verdict is Verdict.REJECTED
    assert answer.failure is not None
    assert answer.failure.code == "token_id_not_found"
    assert paypal_simulator.movements(payment) == []


@pytest.mark.parametrize(
    ("status", "raised"), [(429, NotExecuted), (503, OutcomeUnknown)]
)
@pytest.mark.parametrize(
    ("header", "wait"),
    [("7", timedelta(seconds=7)), ("999999999", timedelta(hours=1)), ("soon", None)],
)
def test_how_long_paypal_asks_to_wait_is_passed_on(
    make_paypal: MakePayPal,
    paypal_wire: Wire,
    status: int,
    raised: type[ProviderError],
    header: str,
    wait: timedelta | None,
) -> None:
    canned = Canned(status, refusal(name="BUSY"), {"Retry-After": header})
    paypal_wire.canned[ORDERS] = [canned]
    paypal = make_paypal(paypal_wire.url)
    with pytest.raises(raised) as caught:
        paypal.send(written_down(paypal, a_payment(method="vault_ok")))
    assert caught.value.retry_after == wait
