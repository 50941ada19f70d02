"""PayPal: a charge is one order, captured at once where a vaulted token pays.

Without a token the payer must approve the order first, at the link it answers with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import requests
from paypalrestsdk import exceptions
from paypalrestsdk.exceptions import ConnectionError as ApiError

from domain.answer import Answer, Failure, NextAction, Verdict
from domain.errors import (
    InvalidPayment,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
)
from domain.money import from_paypal, to_paypal
from domain.payment import Payment
from domain.submission import Mode
from providers.http import (
    TIMEOUT,
    Observe,
    Timeout,
    retry_after,
    was_not_sent,
)
from providers.paypal_api import PayPalApi, Reply, debug_id

_ORDERS: Final = "v2/checkout/orders"
#: Characters that PayPal allows in a description.
_DESCRIPTION: Final = 127
#: Characters of a provider's sentence that are worth keeping.
_MESSAGE: Final = 300

# The issues of a 422, by what they mean (Orders v2 and Payments v2 specifications).
_DECLINED: Final = frozenset(
    "INSTRUMENT_DECLINED PAYER_CANNOT_PAY TRANSACTION_REFUSED".split()
)
_ACTION_REQUIRED: Final = frozenset(
    "PAYER_ACTION_REQUIRED ORDER_NOT_APPROVED"
    " REDIRECT_PAYER_FOR_ALTERNATE_FUNDING".split()
)
_DONE_EARLIER: Final = frozenset(
    "ORDER_ALREADY_CAPTURED ORDER_ALREADY_AUTHORIZED PREVIOUSLY_VOIDED"
    " PREVIOUSLY_CAPTURED CAPTURE_FULLY_REFUNDED DUPLICATE_INVOICE_ID".split()
)
_LATER: Final = frozenset("ORDER_COMPLETION_IN_PROGRESS PENDING_CAPTURE".split())
_EXPIRED: Final = frozenset("ORDER_EXPIRED AUTHORIZATION_EXPIRED".split())
_REVIEW: Final = ("REFUND_FAILED_INSUFFICIENT_FUNDS", "COMPLIANCE_VIOLATION")
_REVIEW_PREFIX: Final = "PAYEE_ACCOUNT_"


class PayPal:
    """A Provider. ``connections`` bounds the calls that are open at once."""

    def __init__(
        self,
        *,
        api_base: str,
        client_id: str,
        client_secret: str,
        mode: Mode,
        connections: int,
        observe: Observe,
        timeout: Timeout = TIMEOUT,
    ) -> None:
        self._api = PayPalApi(
            endpoint=api_base,
            client_id=client_id,
            client_secret=client_secret,
            mode=mode,
            connections=connections,
            observe=observe,
            timeout=timeout,
        )

    def prepare(self, payment: Payment) -> str:
        """See Provider."""
        asked, operation = payment.submission, payment.operation
        unit: dict[str, Any] = {
            "custom_id": operation.id,
            "invoice_id": operation.id,
            "amount": {
                "currency_code": asked.amount.currency,
                "value": to_paypal(asked.amount),
            },
        }
        if asked.description is not None:
            unit["description"] = asked.description[:_DESCRIPTION]
        order: dict[str, Any] = {"intent": "CAPTURE", "purchase_units": [unit]}
        if asked.payment_method is not None:
            order["payment_source"] = {"paypal": {"vault_id": asked.payment_method}}
        elif asked.return_url is not None:
            context = {
                "return_url": asked.return_url,
                "cancel_url": asked.return_url,
                "user_action": "PAY_NOW",
            }
            order["payment_source"] = {"paypal": {"experience_context": context}}
        return json.dumps(order)

    def send(self, payment: Payment) -> Answer:
        """See Provider."""
        send = payment.operation.send
        if send is None:
            raise NeedsReview("send_not_written_down")
        headers = {"PayPal-Request-Id": send.key, "Prefer": "return=representation"}
        try:
            return _answer(self._api.post(_ORDERS, json.loads(send.body), headers))
        except ApiError as error:
            return _refusal(error)
        except requests.RequestException as error:
            if was_not_sent(error):
                raise NotSent from error
            raise OutcomeUnknown("no_answer") from error
        except (InvalidPayment, LookupError, TypeError, ValueError) as error:
            raise OutcomeUnknown("malformed_answer") from error


def _answer(order: Reply) -> Answer:
    """An order's status, in our terms."""
    request_id, refs = order.debug_id, {"order": order["id"]}
    match order["status"]:
        case "COMPLETED":
            return _captured(order, refs)
        case "CREATED" | "SAVED" | "PAYER_ACTION_REQUIRED":
            return Answer(
                Verdict.ACTION_REQUIRED,
                refs=refs,
                next_action=_approval(order),
                waiting_for="the payer to approve the order",
                request_id=request_id,
            )
        case "VOIDED":
            return Answer(Verdict.CANCELED, refs=refs, request_id=request_id)
        case "APPROVED":
            raise NeedsReview("approved_not_captured", request_id=request_id)
        case _:
            raise OutcomeUnknown("unrecognised_status", request_id=request_id)


def _captured(order: Reply, refs: dict[str, str]) -> Answer:
    """A completed order proves nothing: its one capture says what happened."""
    [unit] = order["purchase_units"]
    [capture] = unit["payments"]["captures"]
    refs, request_id = {**refs, "capture": capture["id"]}, order.debug_id
    reason = capture.get("status_details", {}).get("reason")
    match capture["status"]:
        case "COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED":
            amount = capture["amount"]
            moved = from_paypal(amount["value"], amount["currency_code"])
            return Answer(Verdict.SUCCEEDED, moved, refs, request_id=request_id)
        case "PENDING":
            why = f"PayPal to complete the capture ({reason or 'no reason given'})"
            return Answer(
                Verdict.PENDING, refs=refs, waiting_for=why, request_id=request_id
            )
        case "DECLINED" | "FAILED" as status:
            failure = Failure(
                code=f"capture_{status.lower()}",
                message="PayPal declined the capture.",
                decline_code=reason,
                provider_request_id=request_id,
            )
            return Answer(
                Verdict.DECLINED, refs=refs, failure=failure, request_id=request_id
            )
        case _:
            raise OutcomeUnknown("unrecognised_status", request_id=request_id)


def _approval(body: Mapping[str, Any]) -> NextAction | None:
    for link in body.get("links", ()):
        if link.get("rel") in ("approve", "payer-action"):
            return NextAction(link["href"])
    return None


def _refusal(error: ApiError) -> Answer:
    """What a status that is no success says of the payment; see the module's tests.

    Raises a ProviderError for all that is not a definite no.
    """
    status, request_id = error.response.status_code, debug_id(error)
    body = _body(error)
    issue = _issue(body)
    if isinstance(error, exceptions.UnauthorizedAccess):
        raise Misconfigured(issue, request_id=request_id) from error
    if isinstance(error, exceptions.ForbiddenAccess):
        if issue == "CONSENT_NEEDED":
            return _action_required(body, issue, request_id)
        raise Misconfigured(issue, request_id=request_id) from error
    if status == 429:
        raise NotExecuted(
            "rate_limited",
            request_id=request_id,
            retry_after=retry_after(error.response.headers.get("Retry-After")),
        ) from error
    if status == 422:
        return _unprocessable(body, issue, request_id)
    if status in (400, 404):
        failure = _failure(body, issue, request_id)
        return Answer(Verdict.REJECTED, failure=failure, request_id=request_id)
    raise OutcomeUnknown(
        "in_flight" if status == 409 else f"http_{status}", request_id=request_id
    ) from error


def _unprocessable(
    body: Mapping[str, Any], issue: str, request_id: str | None
) -> Answer:
    """A 422, by its issue; one that we do not know did not happen, says PayPal."""
    if issue in _ACTION_REQUIRED:
        return _action_required(body, issue, request_id)
    if issue in _DONE_EARLIER:
        raise OutcomeUnknown(issue.lower(), request_id=request_id)
    if issue in _LATER:
        raise NotExecuted(issue.lower(), request_id=request_id)
    if issue in _REVIEW or issue.startswith(_REVIEW_PREFIX):
        raise NeedsReview(issue.lower(), request_id=request_id)
    failure = _failure(body, issue, request_id)
    if issue in _DECLINED:
        verdict = Verdict.DECLINED
    elif issue in _EXPIRED:
        verdict = Verdict.EXPIRED
    else:
        verdict = Verdict.REJECTED
    return Answer(verdict, failure=failure, request_id=request_id)


def _action_required(
    body: Mapping[str, Any], issue: str, request_id: str | None
) -> Answer:
    return Answer(
        Verdict.ACTION_REQUIRED,
        next_action=_approval(body),
        failure=_failure(body, issue, request_id),
        waiting_for="the payer to act at PayPal",
        request_id=request_id,
    )


def _failure(body: Mapping[str, Any], issue: str, request_id: str | None) -> Failure:
    details = body.get("details") or [{}]
    sentence = details[0].get("description") or body.get("message")
    return Failure(
        code=issue.lower(),
        message=str(sentence or "PayPal refused the payment.")[:_MESSAGE],
        retryable=issue == "INSTRUMENT_DECLINED",
        provider_request_id=request_id,
    )


def _body(error: ApiError) -> dict[str, Any]:
    try:
        body = json.loads(error.content)
    except (TypeError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def _issue(body: Mapping[str, Any]) -> str:
    """The first detail's issue, or the error's name."""
    details = body.get("details") or [{}]
    return str(details[0].get("issue") or body.get("name") or "unspecified")
