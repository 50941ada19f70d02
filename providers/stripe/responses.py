"""What Stripe's answers mean, in our terms: the tables, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from stripe import Charge, PaymentIntent, Refund

from domain.error_details import ErrorDetail
from domain.errors import NeedsReview, OutcomeUnknown
from domain.payments.answer import Answer, Failure, NextAction, NextActionType, Verdict
from domain.payments.failure_codes import FailureCode
from domain.payments.operation import Kind
from domain.payments.review_reasons import ReviewReason
from providers.amounts import from_stripe
from providers.sanitize import (
    validated_id,
    parse_optional,
    parse_own_id,
    parse_page_url,
    parse_sentence,
    parse_stripe_code,
    parse_unix_time,
)
from providers.stripe.answer_details import parse_stripe_fee, parse_stripe_saved_method

#: Decline codes after which the same card may still work later
#: (docs.stripe.com/declines/codes).
_RETRYABLE: Final = frozenset(
    "approve_with_id authentication_required insufficient_funds issuer_not_available"
    " processing_error reenter_transaction try_again_later withdrawal_count_limit"
    "_exceeded card_velocity_exceeded".split()
)

#: The code of an attempt that the payer did not pay in time: a voucher, a QR code or a
#: bank transfer (docs.stripe.com/error-codes).
_RAN_OUT: Final = "payment_intent_payment_attempt_expired"

#: Addresses of pages for the payer, the best first (docs.stripe.com/api/payment_intents
#: /object, next_action); each type has one of the first three, or only pictures.
_INSTRUCTIONS: Final = (
    *("hosted_voucher_url", "hosted_instructions_url", "hosted_verification_url"),
    *("mobile_auth_url", "image_url_svg", "image_url_png"),
)

#: The codes of refunds that came to nothing, by their status.
_REFUND_CODES: Final = {
    "canceled": FailureCode.REFUND_CANCELED,
    "failed": FailureCode.REFUND_FAILED,
}
#: Asked for with an intent: its charge, and the line of the balance with its fee.
EXPAND_CHARGE: Final = ["latest_charge.balance_transaction"]
#: And with a refund: its own line.
EXPAND_REFUND: Final = ["balance_transaction"]


def parse_intent(intent: PaymentIntent, kind: Kind) -> Answer:
    """A PaymentIntent's status, as the answer to a charge or an authorize.

    Raises NeedsReview or OutcomeUnknown where it says neither yes nor no.
    """
    request_id, refs = read_request_id(intent), build_charge_refs(
        intent.id, intent.latest_charge
    )
    match intent.status:
        case "succeeded" | "requires_capture" if kind is Kind.AUTHORIZE:
            held = from_stripe(intent.amount, intent.currency)
            return Answer(
                Verdict.SUCCEEDED,
                held,
                refs,
                request_id=request_id,
                expires_at=parse_capture_before(intent.latest_charge),
                multicapture=may_capture_in_parts(intent.latest_charge),
                saved_method=parse_stripe_saved_method(intent),
            )
        case "succeeded":
            moved = from_stripe(intent.amount_received, intent.currency)
            return Answer(
                Verdict.SUCCEEDED,
                moved,
                refs,
                request_id=request_id,
                fee=parse_stripe_fee(intent.latest_charge),
                saved_method=parse_stripe_saved_method(intent),
            )
        case "processing":
            return Answer(
                Verdict.PENDING,
                refs=refs,
                waiting_for="Stripe to process the payment",
                request_id=request_id,
            )
        case "requires_action":
            return _parse_unconfirmed(intent, refs, request_id)
        case "requires_payment_method" if intent.last_payment_error:
            return parse_decline(intent.last_payment_error, refs, request_id)
        case "canceled" if intent.amount_received:
            raise NeedsReview(
                ReviewReason.CANCELED_AFTER_CAPTURE, request_id=request_id
            )
        case "canceled":
            return parse_release(intent, Verdict.CANCELED)
        case "requires_confirmation":
            return Answer(Verdict.APPROVED, refs=refs, request_id=request_id)
        case "requires_payment_method" | "requires_capture" as status:
            raise NeedsReview(
                ReviewReason.STATUS.with_detail(status), request_id=request_id
            )
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def parse_void(intent: PaymentIntent) -> Answer:
    """What an intent's status says of its cancellation."""
    request_id = read_request_id(intent)
    match intent.status:
        case "canceled":
            return parse_release(intent, Verdict.SUCCEEDED)
        case "succeeded":
            failure = Failure(
                FailureCode.ALREADY_CAPTURED,
                "The payment was captured before.",
                provider_request_id=request_id,
            )
            refs = build_charge_refs(intent.id, None)
            return Answer(
                Verdict.DECLINED, refs=refs, failure=failure, request_id=request_id
            )
        case (
            "requires_capture"
            | "requires_action"
            | "requires_confirmation"
            | "requires_payment_method"
        ):
            return Answer(Verdict.ABSENT, request_id=request_id)
        case "processing" as status:
            raise NeedsReview(
                ReviewReason.STATUS.with_detail(status), request_id=request_id
            )
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def parse_refund(refund: Refund) -> Answer:
    """A refund's status, in our terms."""
    request_id, refs = read_request_id(refund), {"refund": validated_id(refund.id)}
    match refund.status:
        case "succeeded":
            moved = from_stripe(refund.amount, refund.currency)
            return Answer(
                Verdict.SUCCEEDED,
                moved,
                refs,
                request_id=request_id,
                fee=parse_stripe_fee(refund),
            )
        case "pending" | "requires_action" as status:
            why = "Stripe to complete the refund"
            verdict = Verdict.PENDING
            if status == "requires_action":
                verdict, why = Verdict.ACTION_REQUIRED, "the payer to say where to"
            return Answer(verdict, refs=refs, waiting_for=why, request_id=request_id)
        case "failed" | "canceled" as status:
            reason = parse_stripe_code(getattr(refund, "failure_reason", None))
            failure = Failure(
                code=_REFUND_CODES[status],
                message="The refund did not arrive.",
                decline_code=reason,
                retryable=True,
                provider_request_id=request_id,
            )
            verdict = Verdict.DECLINED if status == "failed" else Verdict.CANCELED
            return Answer(verdict, refs=refs, failure=failure, request_id=request_id)
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def read_metadata_id(found: PaymentIntent | Refund | Charge, name: str) -> str | None:
    """The id of ours on Stripe's object under ``name``; None of any other text."""
    return parse_own_id(getattr(getattr(found, "metadata", None), name, None))


def read_request_id(found: PaymentIntent | Refund) -> str | None:
    """Stripe's name of the call that ``found`` came by; an item of a list has none."""
    return found.last_response.request_id if found.last_response else None


def parse_release(intent: PaymentIntent, by_us: Verdict) -> Answer:
    """A cancellation: by Stripe itself where time ran out."""
    late = intent.cancellation_reason == "automatic"
    verdict = Verdict.EXPIRED if late else by_us
    refs = build_charge_refs(intent.id, None)
    return Answer(verdict, refs=refs, request_id=read_request_id(intent))


def _parse_next_action(intent: PaymentIntent) -> NextAction | None:
    """The page of an action: Stripe shows of it only what belongs to its type.

    A redirect has a ``url``. Vouchers, QR codes and bank transfers, and types that are
    new, have other addresses, of which the first in ``_INSTRUCTIONS`` is taken.
    """
    if _needs_script(intent):
        return None
    action: Any = getattr(intent, "next_action", None)
    details = getattr(action, str(getattr(action, "type", "")), None)
    redirect = parse_optional(parse_page_url, getattr(details, "url", None))
    if redirect is not None:
        return NextAction(redirect)
    shown: Mapping[str, Any] = getattr(details, "to_dict", dict)()
    named = [shown.get(name) for name in _INSTRUCTIONS]
    others = [one for name, one in shown.items() if name != "return_url"]
    pages = (parse_optional(parse_page_url, one) for one in (*named, *others))
    secure = (one for one in pages if one is not None and one.startswith("https:"))
    page = next(secure, None)
    return None if page is None else NextAction(page, NextActionType.INSTRUCTIONS)


def _needs_script(intent: PaymentIntent) -> bool:
    """Whether only Stripe's script on the shop's page could go on: what Stripe asks for
    where it has no way back to the shop. Its addresses are no pages for people."""
    action: Any = getattr(intent, "next_action", None)
    return getattr(action, "type", None) in (None, "use_stripe_sdk")


def _parse_unconfirmed(
    intent: PaymentIntent, refs: dict[str, str], request_id: str | None
) -> Answer:
    """The payer must confirm or pay; to confirm, Stripe has a page only where it may
    send them back from there."""
    action = _parse_next_action(intent)
    failure, waits = None, "the payer to confirm the payment"
    if action is not None and action.type is NextActionType.INSTRUCTIONS:
        waits = "the payer to pay as their page says"
    elif action is None and not _needs_script(intent):
        waits = "the payer to confirm by their payment method, which has no page"
    elif action is None:
        waits = "a void: the payer has no page to confirm it on"
        failure = Failure(
            code=FailureCode.RETURN_URL_MISSING,
            message="The payer must confirm this payment, and can do so only where it"
            " has a return_url. Void it, and submit it again with one.",
            provider_request_id=request_id,
        )
    return Answer(
        Verdict.ACTION_REQUIRED,
        refs=refs,
        next_action=action,
        failure=failure,
        waiting_for=waits,
        request_id=request_id,
    )


def parse_decline(error: Any, refs: dict[str, str], request_id: str | None) -> Answer:
    """``error`` is Stripe's error object, from an exception or from an intent."""
    code = parse_stripe_code(error.code) or FailureCode.CARD_ERROR
    decline_code = parse_stripe_code(getattr(error, "decline_code", None))
    failure = Failure(
        code=code,
        message=parse_sentence(error.message, otherwise="The payment was declined."),
        decline_code=decline_code,
        advice_code=parse_stripe_code(getattr(error, "advice_code", None)),
        retryable=(decline_code or code) in _RETRYABLE,
        provider_request_id=request_id,
    )
    if code == _RAN_OUT:
        ran_out = Failure(
            FailureCode.INSTRUCTIONS_EXPIRED,
            "The payer did not pay before the voucher or code ran out.",
            retryable=True,
            provider_request_id=request_id,
        )
        return Answer(
            Verdict.EXPIRED, refs=refs, failure=ran_out, request_id=request_id
        )
    if "authentication_required" in (code, decline_code):
        return Answer(
            Verdict.ACTION_REQUIRED,
            refs=refs,
            failure=failure,
            waiting_for="the payer to authenticate",
            request_id=request_id,
        )
    return Answer(Verdict.DECLINED, refs=refs, failure=failure, request_id=request_id)


def build_charge_refs(intent_id: object, charge: Any) -> dict[str, str]:
    """``charge`` is an id, an expanded object, or None. Raises ValueError."""
    refs = {"payment_intent": validated_id(intent_id)}
    if charge:
        refs["charge"] = validated_id(getattr(charge, "id", charge))
    return refs


def parse_capture_before(charge: Any) -> datetime | None:
    """Until when an expanded charge can be captured (UTC), where that can be read."""
    return parse_optional(
        parse_unix_time, getattr(_card_details(charge), "capture_before", None)
    )


def may_capture_in_parts(charge: Any) -> bool:
    """Whether an expanded charge can be captured in parts, one after the other."""
    multicapture = getattr(_card_details(charge), "multicapture", None)
    return getattr(multicapture, "status", None) == "available"


def _card_details(charge: Any) -> Any:
    details = getattr(charge, "payment_method_details", None)
    return getattr(details, "card", None)
