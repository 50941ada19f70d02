"""Maps PayPal's errors to answers and ProviderErrors, by their issue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import requests
from paypalrestsdk.exceptions import ConnectionError as ApiError

from domain.error_details import ErrorDetail
from domain.errors import (
    ListTooLong,
    LookupRequired,
    Misconfigured,
    NeedsReview,
    NotAuthorized,
    NotExecuted,
    NotPermitted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.answer import Answer, Failure, Verdict
from domain.payments.failure_codes import FailureCode
from domain.payments.review_reasons import ReviewReason
from providers.http import detail_of_status, is_unsent, parse_retry_after
from providers.paypal.client import debug_id, error_body, is_paypal_error
from providers.paypal.responses import order_refs, parse_approval
from providers.sanitize import parse_paypal_code, parse_sentence, without_causes

# The issues of an error, by meaning (Orders v2 and Payments v2 specifications).
_DECLINED: Final = frozenset(
    "INSTRUMENT_DECLINED PAYER_CANNOT_PAY TRANSACTION_REFUSED".split()
)
_ACTION_REQUIRED: Final = frozenset(
    "PAYER_ACTION_REQUIRED ORDER_NOT_APPROVED"
    " REDIRECT_PAYER_FOR_ALTERNATE_FUNDING".split()
)
_DONE_EARLIER: Final = frozenset(
    "ORDER_ALREADY_CAPTURED ORDER_ALREADY_AUTHORIZED ORDER_ALREADY_COMPLETED"
    " ORDER_COMPLETED_OR_VOIDED PREVIOUSLY_VOIDED PREVIOUSLY_CAPTURED"
    " CAPTURE_FULLY_REFUNDED DUPLICATE_INVOICE_ID"
    " AUTHORIZATION_ALREADY_CAPTURED".split()
)
_RETRY_LATER: Final = frozenset("ORDER_COMPLETION_IN_PROGRESS PENDING_CAPTURE".split())
_CANCELED: Final = frozenset({"AUTHORIZATION_VOIDED"})
_EXPIRED: Final = frozenset("ORDER_EXPIRED AUTHORIZATION_EXPIRED".split())
#: DUPLICATE_REQUEST_ID: our key was used with another body before. That is a bug of
#: ours, and the outcome of the first body is not known.
_REVIEW: Final = {
    "REFUND_FAILED_INSUFFICIENT_FUNDS": ReviewReason.REFUND_FAILED_INSUFFICIENT_FUNDS,
    "COMPLIANCE_VIOLATION": ReviewReason.COMPLIANCE_VIOLATION,
    "DUPLICATE_REQUEST_ID": ReviewReason.DUPLICATE_REQUEST_ID,
}
#: Refused refunds of a disputed capture; the failure code is Stripe's.
_DISPUTED: Final = frozenset(
    "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK TRANSACTION_DISPUTED".split()
)
#: Issues of a 403 that concern this request alone. Any other 403 is taken to concern
#: all calls of its kind: the app lacks a feature.
_NOT_PERMITTED: Final = frozenset(
    "NOT_ELIGIBLE_FOR_TOKEN_PROCESSING NOT_ENABLED_FOR_CARD_PROCESSING"
    " PERMISSION_DENIED PERMISSION_DENIED_FOR_DONATION_ITEMS".split()
)
_PAYEE_ACCOUNT: Final = "PAYEE_ACCOUNT_"
#: The failure code of a search with more than 10,000 transactions.
_RESULT_TOO_LARGE: Final = "resultset_too_large"


def map_error(error: ApiError) -> Answer:
    """Maps an error status to an answer.

    Raises a ProviderError unless the error is a definite refusal.
    """
    status, request_id = error.response.status_code, debug_id(error)
    body = error_body(error)
    issue = _parse_issue(body)
    wait = parse_retry_after(error.response.headers.get("Retry-After"))
    if issue == "CONSENT_NEEDED" and status == 403:
        return _parse_action_required(body, issue, request_id)
    if status == 403 and issue in _NOT_PERMITTED:
        raise NotPermitted(issue.lower(), request_id=request_id)
    if status in (401, 403) and is_paypal_error(body):
        refused = Misconfigured if status == 401 else NotAuthorized
        raise refused(issue and issue.lower(), request_id=request_id)
    if status == 429:
        raise NotExecuted(
            ErrorDetail.RATE_LIMITED, request_id=request_id, retry_after=wait
        )
    if status in (400, 401, 403, 404, 422):
        if issue is None:
            # The error does not have PayPal's form: a proxy or another server answered.
            raise OutcomeUnknown(ErrorDetail.MALFORMED_ANSWER, request_id=request_id)
        return _map_refusal(body, issue, request_id)
    raise OutcomeUnknown(
        detail_of_status(status),
        request_id=request_id,
        retry_after=wait,
    )


def no_response_error(error: requests.RequestException) -> ProviderError:
    """The ProviderError for a call without an answer."""
    return NotSent() if is_unsent(error) else OutcomeUnknown(ErrorDetail.NO_ANSWER)


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Maps the errors of a read other than a lookup. Raises ProviderError."""
    with without_causes():
        try:
            yield
        except ApiError as error:
            failure = map_error(error).failure
            if failure is not None and failure.code == _RESULT_TOO_LARGE:
                raise ListTooLong(request_id=debug_id(error))
            raise OutcomeUnknown(ErrorDetail.READ_REFUSED, request_id=debug_id(error))
        except requests.RequestException as error:
            raise no_response_error(error)


def is_not_found(error: ApiError) -> bool:
    """Whether PayPal has no such object.

    PayPal forgets an order that was not approved within three hours.
    """
    return (
        error.response.status_code == 404
        and _parse_issue(error_body(error)) is not None
    )


def _map_refusal(body: Mapping[str, Any], issue: str, request_id: str | None) -> Answer:
    """Maps a refusal by its issue; one with an unrecognized issue is REJECTED."""
    if issue in _ACTION_REQUIRED:
        return _parse_action_required(body, issue, request_id)
    if issue in _DONE_EARLIER:
        raise LookupRequired(issue.lower(), request_id=request_id)
    if issue in _RETRY_LATER:
        raise NotExecuted(issue.lower(), request_id=request_id)
    if issue in _REVIEW:
        raise NeedsReview(_REVIEW[issue], request_id=request_id)
    if issue.startswith(_PAYEE_ACCOUNT):
        restriction = issue.removeprefix(_PAYEE_ACCOUNT).lower()
        reason = ReviewReason.PAYEE_ACCOUNT.with_detail(restriction)
        raise NeedsReview(reason, request_id=request_id)
    failure = _parse_failure(body, issue, request_id)
    if issue in _DECLINED:
        verdict = Verdict.DECLINED
    elif issue in _CANCELED:
        verdict = Verdict.CANCELED
    elif issue in _EXPIRED:
        verdict = Verdict.EXPIRED
    else:
        verdict = Verdict.REJECTED
    return Answer(verdict, failure=failure, request_id=request_id)


def _parse_action_required(
    body: Mapping[str, Any], issue: str, request_id: str | None
) -> Answer:
    action = parse_approval(body)
    return Answer(
        Verdict.ACTION_REQUIRED,
        refs=order_refs(action),
        next_action=action,
        failure=_parse_failure(body, issue, request_id),
        waiting_for="the payer to act at PayPal",
        request_id=request_id,
    )


def _parse_failure(
    body: Mapping[str, Any], issue: str, request_id: str | None
) -> Failure:
    sentences = [detail.get("description") for detail in _parse_details(body)]
    disputed = issue in _DISPUTED
    return Failure(
        code=FailureCode.CHARGE_DISPUTED if disputed else issue.lower(),
        message=parse_sentence(
            next(iter(sentences), None) or body.get("message"),
            otherwise="PayPal refused the payment.",
        ),
        decline_code=issue.lower() if disputed else None,
        retryable=issue == "INSTRUMENT_DECLINED",
        provider_request_id=request_id,
    )


def _parse_issue(body: Mapping[str, Any]) -> str | None:
    """The issue of an error, or None if the body is not an error of PayPal's.

    Issues of an earlier call of ours come first.
    """
    named = [detail.get("issue") for detail in _parse_details(body)]
    codes = [
        code for code in map(parse_paypal_code, (*named, body.get("name"))) if code
    ]
    earlier = [code for code in codes if code in _DONE_EARLIER]
    return next(iter(earlier or codes), None)


def _parse_details(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = body.get("details") or []
    if not isinstance(details, list):
        raise TypeError("details are a list")
    return details
