"""What PayPal's objects mean, in our terms: the tables, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from domain.error_details import ErrorDetail
from domain.errors import NeedsReview, OutcomeUnknown
from domain.payments.answer import Answer, Failure, NextAction, Verdict
from domain.payments.failure_codes import FailureCode
from domain.payments.review_reasons import ReviewReason
from providers.paypal.answer_details import (
    parse_paypal_fee,
    parse_paypal_saved_method,
    is_paypal_saving_method,
)
from providers.paypal.client import Reply
from providers.paypal.objects import parse_money
from providers.sanitize import (
    validated_id,
    parse_optional,
    parse_page_url,
    parse_paypal_code,
    parse_rfc3339,
)

#: How long PayPal vouches for the money of an authorization.
_HONORED: Final = timedelta(days=3)

#: What has moved nothing and never will, be it a capture, a hold or a refund.
_REFUSED: Final = frozenset({"DECLINED", "DENIED", "FAILED", "CANCELLED"})

# The codes of what came to nothing, by its status.
_CAPTURE_CODES: Final = {
    "DECLINED": FailureCode.CAPTURE_DECLINED,
    "FAILED": FailureCode.CAPTURE_FAILED,
}
_VOID_CODES: Final = {
    "CAPTURED": FailureCode.ALREADY_CAPTURED,
    "DENIED": FailureCode.ALREADY_DENIED,
}
_REFUND_CODES: Final = {
    "CANCELLED": FailureCode.REFUND_CANCELLED,
    "FAILED": FailureCode.REFUND_FAILED,
}


def parse_order(order: Reply) -> Answer:
    """What an order's status says of its charge, or of its authorization.

    Raises NeedsReview or OutcomeUnknown where it says neither yes nor no, and any
    of LookupError, TypeError, ValueError, AttributeError or InvalidPayment where the
    order is not shaped like one.
    """
    request_id, refs = order.debug_id, {"order": validated_id(order["id"])}
    match order["status"]:
        case "COMPLETED":
            return _parse_captured_order(order, refs)
        case "CREATED" | "SAVED" | "PAYER_ACTION_REQUIRED":
            return Answer(
                Verdict.ACTION_REQUIRED,
                refs=refs,
                next_action=parse_approval(order),
                waiting_for="the payer to approve the order",
                request_id=request_id,
            )
        case "VOIDED":
            return Answer(Verdict.CANCELED, refs=refs, request_id=request_id)
        case "APPROVED":
            return Answer(Verdict.APPROVED, refs=refs, request_id=request_id)
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def _parse_captured_order(order: Reply, refs: dict[str, str]) -> Answer:
    """A completed order proves nothing: its one capture says what happened."""
    payments = order_payments(order)
    saved, saving = parse_paypal_saved_method(order), is_paypal_saving_method(order)
    if order.get("intent") == "AUTHORIZE" or "captures" not in payments:
        authorization = effective_object(payments["authorizations"], order.debug_id)
        answer = parse_authorization(authorization, refs, order.debug_id)
        return replace(answer, saved_method=saved, is_saving_method=saving)
    capture = effective_object(payments["captures"], order.debug_id)
    answer = parse_capture(capture, refs, order.debug_id)
    return replace(answer, saved_method=saved, is_saving_method=saving)


def order_payments(order: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was done with the order's one unit: lists by kind."""
    [unit] = order["purchase_units"]
    payments: Mapping[str, Any] = unit.get("payments") or {}
    return payments


def effective_object(
    made: Sequence[Mapping[str, Any]], request_id: str | None
) -> Mapping[str, Any]:
    """What came of the sends of one operation, of which there is at least one object.

    A send that failed may have left one that was refused, beside that of a resend.
    Raises NeedsReview where more than one was not refused, IndexError without any.
    """
    standing = [one for one in made if one["status"] not in _REFUSED]
    if len(standing) > 1:
        raise NeedsReview(ReviewReason.MADE_TWICE, request_id=request_id)
    return standing[0] if standing else made[-1]


def parse_capture(
    capture: Mapping[str, Any], refs: Mapping[str, str], request_id: str | None
) -> Answer:
    """A capture's status, in our terms."""
    refs = {**refs, "capture": validated_id(capture["id"])}
    reason = parse_paypal_code((capture.get("status_details") or {}).get("reason"))
    match capture["status"]:
        case "COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED":
            return Answer(
                Verdict.SUCCEEDED,
                parse_money(capture["amount"]),
                refs,
                request_id=request_id,
                fee=parse_paypal_fee(capture),
            )
        case "PENDING":
            why = f"PayPal to complete the capture ({reason or 'no reason given'})"
            return Answer(
                Verdict.PENDING, refs=refs, waiting_for=why, request_id=request_id
            )
        case "DECLINED" | "FAILED" as status:
            failure = Failure(
                code=_CAPTURE_CODES[status],
                message="PayPal declined the capture.",
                decline_code=reason and reason.lower(),
                provider_request_id=request_id,
            )
            return Answer(
                Verdict.DECLINED, refs=refs, failure=failure, request_id=request_id
            )
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def parse_authorization(
    authorization: Mapping[str, Any], refs: Mapping[str, str], request_id: str | None
) -> Answer:
    """An authorization's status, in our terms: whether the money is or was on hold.

    PayPal honours it for three days
    (developer.paypal.com/docs/checkout/standard/customize/authorization).
    """
    refs = {**refs, "authorization": validated_id(authorization["id"])}
    match authorization["status"]:
        case "CREATED" | "PARTIALLY_CAPTURED" | "CAPTURED":
            return Answer(
                Verdict.SUCCEEDED,
                parse_money(authorization["amount"]),
                refs,
                request_id=request_id,
                expires_at=_parse_time(authorization.get("expiration_time")),
                honored_until=_parse_time(
                    authorization.get("create_time"), plus=_HONORED
                ),
            )
        case "PENDING":
            why = "PayPal to complete the authorization"
            return Answer(
                Verdict.PENDING, refs=refs, waiting_for=why, request_id=request_id
            )
        case "DENIED":
            failure = Failure(
                code=FailureCode.AUTHORIZATION_DENIED,
                message="PayPal denied the authorization.",
                provider_request_id=request_id,
            )
            return Answer(
                Verdict.DECLINED, refs=refs, failure=failure, request_id=request_id
            )
        case "VOIDED":
            return parse_release(authorization, Verdict.CANCELED, refs, request_id)
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def parse_release(
    authorization: Mapping[str, Any],
    by_us: Verdict,
    refs: Mapping[str, str],
    request_id: str | None,
) -> Answer:
    """A void: by PayPal itself where time ran out, else by the merchant."""
    end = _parse_time(authorization.get("expiration_time"))
    at = _parse_time(authorization.get("update_time"))
    late = end is not None and at is not None and at >= end
    verdict = Verdict.EXPIRED if late else by_us
    return Answer(verdict, refs=refs, request_id=request_id)


def parse_void(authorization: Mapping[str, Any], request_id: str | None) -> Answer:
    """What an authorization's status says of its void."""
    refs = {"authorization": validated_id(authorization["id"])}
    match authorization["status"]:
        case "VOIDED":
            return parse_release(authorization, Verdict.SUCCEEDED, refs, request_id)
        case "CREATED" | "PARTIALLY_CAPTURED" | "PENDING":
            return Answer(Verdict.ABSENT, request_id=request_id)
        case "CAPTURED" | "DENIED" as status:
            failure = Failure(
                code=_VOID_CODES[status],
                message="The authorization is not on hold any more.",
                provider_request_id=request_id,
            )
            return Answer(
                Verdict.DECLINED, refs=refs, failure=failure, request_id=request_id
            )
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def parse_refund(refund: Mapping[str, Any], request_id: str | None) -> Answer:
    """A refund's status, in our terms."""
    refs = {"refund": validated_id(refund["id"])}
    reason = parse_paypal_code((refund.get("status_details") or {}).get("reason"))
    match refund["status"]:
        case "COMPLETED":
            return Answer(
                Verdict.SUCCEEDED,
                parse_money(refund["amount"]),
                refs,
                request_id=request_id,
                fee=parse_paypal_fee(refund),
            )
        case "PENDING":
            why = f"PayPal to complete the refund ({reason or 'no reason given'})"
            return Answer(
                Verdict.PENDING, refs=refs, waiting_for=why, request_id=request_id
            )
        case "FAILED" | "CANCELLED" as status:
            failure = Failure(
                code=_REFUND_CODES[status],
                message="The refund did not arrive.",
                decline_code=reason and reason.lower(),
                retryable=True,
                provider_request_id=request_id,
            )
            verdict = Verdict.DECLINED if status == "FAILED" else Verdict.CANCELED
            return Answer(verdict, refs=refs, failure=failure, request_id=request_id)
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def _parse_time(text: object, *, plus: timedelta = timedelta()) -> datetime | None:
    """A time in an answer, which counts without it: None where it cannot be read."""
    at = parse_optional(parse_rfc3339, text)
    return None if at is None else at + plus


def parse_approval(body: Mapping[str, Any]) -> NextAction | None:
    """Where the payer approves, if a link says so."""
    for link in body.get("links", ()):
        if link.get("rel") in ("approve", "payer-action", "redirect"):
            return NextAction(parse_page_url(link["href"]))
    return None


def order_refs(action: NextAction | None) -> dict[str, str]:
    """The order that a payer's page is about: a refusal names it nowhere else."""
    query = parse_qs(urlsplit(action.url).query) if action else {}
    return {"order": validated_id(query["token"][0])} if "token" in query else {}
