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
from providers.paypal.answer_details import paypal_fee, paypal_saved, paypal_saving
from providers.paypal.client import Reply
from providers.paypal.objects import money_of
from providers.sanitize import name_of, optional, page_url, paypal_code, text_time

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


def answer_of(order: Reply) -> Answer:
    """What an order's status says of its charge, or of its authorization.

    Raises NeedsReview or OutcomeUnknown where it says neither yes nor no, and any
    of LookupError, TypeError, ValueError, AttributeError or InvalidPayment where the
    order is not shaped like one.
    """
    request_id, refs = order.debug_id, {"order": name_of(order["id"])}
    match order["status"]:
        case "COMPLETED":
            return _captured(order, refs)
        case "CREATED" | "SAVED" | "PAYER_ACTION_REQUIRED":
            return Answer(
                Verdict.ACTION_REQUIRED,
                refs=refs,
                next_action=approval_of(order),
                waiting_for="the payer to approve the order",
                request_id=request_id,
            )
        case "VOIDED":
            return Answer(Verdict.CANCELED, refs=refs, request_id=request_id)
        case "APPROVED":
            return Answer(Verdict.APPROVED, refs=refs, request_id=request_id)
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def _captured(order: Reply, refs: dict[str, str]) -> Answer:
    """A completed order proves nothing: its one capture says what happened."""
    payments = payments_of(order)
    saved, saving = paypal_saved(order), paypal_saving(order)
    if order.get("intent") == "AUTHORIZE" or "captures" not in payments:
        authorization = the_one(payments["authorizations"], order.debug_id)
        answer = authorization_of(authorization, refs, order.debug_id)
        return replace(answer, saved=saved, saving=saving)
    capture = the_one(payments["captures"], order.debug_id)
    answer = capture_of(capture, refs, order.debug_id)
    return replace(answer, saved=saved, saving=saving)


def payments_of(order: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was done with the order's one unit: lists by kind."""
    [unit] = order["purchase_units"]
    payments: Mapping[str, Any] = unit.get("payments") or {}
    return payments


def the_one(
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


def capture_of(
    capture: Mapping[str, Any], refs: Mapping[str, str], request_id: str | None
) -> Answer:
    """A capture's status, in our terms."""
    refs = {**refs, "capture": name_of(capture["id"])}
    reason = paypal_code((capture.get("status_details") or {}).get("reason"))
    match capture["status"]:
        case "COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED":
            return Answer(
                Verdict.SUCCEEDED,
                money_of(capture["amount"]),
                refs,
                request_id=request_id,
                fee=paypal_fee(capture),
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


def authorization_of(
    authorization: Mapping[str, Any], refs: Mapping[str, str], request_id: str | None
) -> Answer:
    """An authorization's status, in our terms: whether the money is or was on hold.

    PayPal honours it for three days
    (developer.paypal.com/docs/checkout/standard/customize/authorization).
    """
    refs = {**refs, "authorization": name_of(authorization["id"])}
    match authorization["status"]:
        case "CREATED" | "PARTIALLY_CAPTURED" | "CAPTURED":
            return Answer(
                Verdict.SUCCEEDED,
                money_of(authorization["amount"]),
                refs,
                request_id=request_id,
                expires_at=_time(authorization.get("expiration_time")),
                honored_until=_time(authorization.get("create_time"), plus=_HONORED),
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
            return let_go(authorization, Verdict.CANCELED, refs, request_id)
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def let_go(
    authorization: Mapping[str, Any],
    by_us: Verdict,
    refs: Mapping[str, str],
    request_id: str | None,
) -> Answer:
    """A void: by PayPal itself where time ran out, else by the merchant."""
    end = _time(authorization.get("expiration_time"))
    at = _time(authorization.get("update_time"))
    late = end is not None and at is not None and at >= end
    verdict = Verdict.EXPIRED if late else by_us
    return Answer(verdict, refs=refs, request_id=request_id)


def void_of(authorization: Mapping[str, Any], request_id: str | None) -> Answer:
    """What an authorization's status says of its void."""
    refs = {"authorization": name_of(authorization["id"])}
    match authorization["status"]:
        case "VOIDED":
            return let_go(authorization, Verdict.SUCCEEDED, refs, request_id)
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


def refund_of(refund: Mapping[str, Any], request_id: str | None) -> Answer:
    """A refund's status, in our terms."""
    refs = {"refund": name_of(refund["id"])}
    reason = paypal_code((refund.get("status_details") or {}).get("reason"))
    match refund["status"]:
        case "COMPLETED":
            return Answer(
                Verdict.SUCCEEDED,
                money_of(refund["amount"]),
                refs,
                request_id=request_id,
                fee=paypal_fee(refund),
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


def _time(text: object, *, plus: timedelta = timedelta()) -> datetime | None:
    """A time in an answer, which counts without it: None where it cannot be read."""
    at = optional(text_time, text)
    return None if at is None else at + plus


def approval_of(body: Mapping[str, Any]) -> NextAction | None:
    """Where the payer approves, if a link says so."""
    for link in body.get("links", ()):
        if link.get("rel") in ("approve", "payer-action", "redirect"):
            return NextAction(page_url(link["href"]))
    return None


def order_of(action: NextAction | None) -> dict[str, str]:
    """The order that a payer's page is about: a refusal names it nowhere else."""
    query = parse_qs(urlsplit(action.url).query) if action else {}
    return {"order": name_of(query["token"][0])} if "token" in query else {}
