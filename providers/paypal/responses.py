"""Parses PayPal's orders, authorizations, captures and refunds into answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from domain.error_details import ErrorDetail
from domain.errors import NeedsReview, OutcomeUnknown
from domain.money import Fee
from domain.payments.answer import Answer, Failure, NextAction, SavedMethod, Verdict
from domain.payments.failure_codes import FailureCode
from domain.payments.review_reasons import ReviewReason
from domain.payments.submission import ProviderName
from providers.paypal.client import Reply
from providers.paypal.objects import parse_money
from providers.sanitize import (
    parse_optional,
    parse_page_url,
    parse_paypal_code,
    parse_rfc3339,
    read_secondary,
    validated_id,
)

#: How long PayPal guarantees the money of an authorization.
_HONORED: Final = timedelta(days=3)

#: Statuses of a capture, hold or refund that moved no money and never will.
_REFUSED: Final = frozenset({"DECLINED", "DENIED", "FAILED", "CANCELLED"})

# The failure codes, by status.
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
    """Answers for a charge or an authorization from its order.

    Raises NeedsReview or OutcomeUnknown if the status gives no outcome; LookupError,
    TypeError, ValueError, AttributeError or InvalidPayment if the order is malformed.
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
    """Answers from an order's one capture or authorization.

    The status COMPLETED of the order itself proves nothing.
    """
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
    """The authorizations, captures and refunds of the order's one unit, by kind."""
    [unit] = order["purchase_units"]
    payments: Mapping[str, Any] = unit.get("payments") or {}
    return payments


def effective_object(
    made: Sequence[Mapping[str, Any]], request_id: str | None
) -> Mapping[str, Any]:
    """The object that counts among those made by the sends of one operation.

    A failed send may have left a refused object beside the resend's. Raises NeedsReview
    if more than one was not refused, IndexError if there is none.
    """
    effective = [one for one in made if one["status"] not in _REFUSED]
    if len(effective) > 1:
        raise NeedsReview(ReviewReason.MADE_TWICE, request_id=request_id)
    return effective[0] if effective else made[-1]


def parse_capture(
    capture: Mapping[str, Any], refs: Mapping[str, str], request_id: str | None
) -> Answer:
    """Answers for a capture from its status."""
    refs = {**refs, "capture": validated_id(capture["id"])}
    reason = parse_paypal_code((capture.get("status_details") or {}).get("reason"))
    match capture["status"]:
        case "COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED":
            return _completed(capture, refs, request_id)
        case "PENDING":
            return _pending("capture", refs, reason, request_id)
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
    """Answers for an authorization from its status.

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
            return Answer(
                Verdict.PENDING,
                refs=refs,
                waiting_for="PayPal to complete the authorization",
                request_id=request_id,
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
    """Answers for a voided authorization: EXPIRED if its time ended, else ``by_us``."""
    end = _parse_time(authorization.get("expiration_time"))
    at = _parse_time(authorization.get("update_time"))
    expired = end is not None and at is not None and at >= end
    verdict = Verdict.EXPIRED if expired else by_us
    return Answer(verdict, refs=refs, request_id=request_id)


def parse_void(authorization: Mapping[str, Any], request_id: str | None) -> Answer:
    """Answers for a void from the authorization's status."""
    refs = {"authorization": validated_id(authorization["id"])}
    match authorization["status"]:
        case "VOIDED":
            return parse_release(authorization, Verdict.SUCCEEDED, refs, request_id)
        case "CREATED" | "PARTIALLY_CAPTURED" | "PENDING":
            return Answer(Verdict.ABSENT, request_id=request_id)
        case "CAPTURED" | "DENIED" as status:
            failure = Failure(
                code=_VOID_CODES[status],
                message="The authorization is no longer on hold.",
                provider_request_id=request_id,
            )
            return Answer(
                Verdict.DECLINED, refs=refs, failure=failure, request_id=request_id
            )
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def _completed(
    found: Mapping[str, Any], refs: Mapping[str, str], request_id: str | None
) -> Answer:
    """Answers for a capture or refund that moved its amount."""
    return Answer(
        Verdict.SUCCEEDED,
        parse_money(found["amount"]),
        refs,
        request_id=request_id,
        fee=parse_paypal_fee(found),
    )


def _pending(
    kind: str, refs: Mapping[str, str], reason: str | None, request_id: str | None
) -> Answer:
    """Answers for a capture or refund that PayPal has not finished."""
    return Answer(
        Verdict.PENDING,
        refs=refs,
        waiting_for=f"PayPal to complete the {kind} ({reason or 'no reason given'})",
        request_id=request_id,
    )


def parse_refund(refund: Mapping[str, Any], request_id: str | None) -> Answer:
    """Answers for a refund from its status."""
    refs = {"refund": validated_id(refund["id"])}
    reason = parse_paypal_code((refund.get("status_details") or {}).get("reason"))
    match refund["status"]:
        case "COMPLETED":
            return _completed(refund, refs, request_id)
        case "PENDING":
            return _pending("refund", refs, reason, request_id)
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
    """An optional time in an answer; None if it cannot be read."""
    at = parse_optional(parse_rfc3339, text)
    return None if at is None else at + plus


def parse_approval(body: Mapping[str, Any]) -> NextAction | None:
    """The page where the payer approves, or None without such a link."""
    for link in body.get("links", ()):
        if link.get("rel") in ("approve", "payer-action", "redirect"):
            return NextAction(parse_page_url(link["href"]))
    return None


def order_refs(action: NextAction | None) -> dict[str, str]:
    """The order's id from the URL of the payer's page: an error has it nowhere else."""
    query = parse_qs(urlsplit(action.url).query) if action else {}
    return {"order": validated_id(query["token"][0])} if "token" in query else {}


# Fees and saved methods are optional: one that cannot be read is logged and left out of
# the answer.


def parse_paypal_fee(movement: Mapping[str, Any]) -> Fee | None:
    """The fee of a capture, or the fee returned with a refund as a negative amount."""

    def read() -> Fee | None:
        received = movement.get("seller_receivable_breakdown") or {}
        refunded = movement.get("seller_payable_breakdown") or {}
        fee = received.get("paypal_fee") or refunded.get("paypal_fee")
        if fee is None:
            return None
        money = parse_money(fee)
        return Fee(money.minor if received else -money.minor, money.currency)

    return read_secondary("fee", ProviderName.PAYPAL, read)


def parse_paypal_saved_method(order: Mapping[str, Any]) -> SavedMethod | None:
    """The wallet that an order saved, or None."""

    def read() -> SavedMethod | None:
        vault = _vault(order)
        if "id" not in vault:
            return None
        customer = (vault.get("customer") or {}).get("id")
        return SavedMethod(
            validated_id(vault["id"]),
            None if customer is None else validated_id(customer),
        )

    return read_secondary("saved_method", ProviderName.PAYPAL, read)


def is_paypal_saving_method(order: Mapping[str, Any]) -> bool:
    """Whether the wallet is still being saved.

    PayPal may answer a paid order earlier (developer.paypal.com, save payment methods
    with the JavaScript SDK).
    """

    def read() -> bool:
        vault = _vault(order)
        return "id" not in vault and vault.get("status") == "APPROVED"

    return read_secondary("saving", ProviderName.PAYPAL, read) or False


def _vault(order: Mapping[str, Any]) -> Mapping[str, Any]:
    wallet = (order.get("payment_source") or {}).get("paypal") or {}
    vault: Mapping[str, Any] = (wallet.get("attributes") or {}).get("vault") or {}
    return vault
