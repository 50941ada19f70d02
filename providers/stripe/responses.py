"""Parses Stripe's payment intents, refunds and charges into answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from stripe import Charge, PaymentIntent, Refund

from domain.error_details import ErrorDetail
from domain.errors import NeedsReview, OutcomeUnknown
from domain.money import Fee
from domain.payments.answer import (
    Answer,
    Failure,
    NextAction,
    NextActionType,
    SavedMethod,
    Verdict,
)
from domain.payments.failure_codes import FailureCode
from domain.payments.operation import Kind
from domain.payments.review_reasons import ReviewReason
from domain.payments.submission import ProviderName
from providers.amounts import from_stripe
from providers.sanitize import (
    parse_optional,
    parse_own_id,
    parse_page_url,
    parse_sentence,
    parse_stripe_code,
    parse_unix_time,
    read_secondary,
    validated_id,
)

#: Decline codes after which the same card may work later
#: (docs.stripe.com/declines/codes).
_RETRYABLE: Final = frozenset(
    "approve_with_id authentication_required insufficient_funds issuer_not_available"
    " processing_error reenter_transaction try_again_later withdrawal_count_limit"
    "_exceeded card_velocity_exceeded".split()
)

#: The code of a voucher, QR code or bank transfer that the payer did not pay in time
#: (docs.stripe.com/error-codes).
_RAN_OUT: Final = "payment_intent_payment_attempt_expired"

#: Fields with a page for the payer, the best first (docs.stripe.com/api/payment_intents
#: /object, next_action). Each type has one of the first three, or only images.
_INSTRUCTIONS: Final = (
    *("hosted_voucher_url", "hosted_instructions_url", "hosted_verification_url"),
    *("mobile_auth_url", "image_url_svg", "image_url_png"),
)

#: The failure codes of refunds, by status.
_REFUND_CODES: Final = {
    "canceled": FailureCode.REFUND_CANCELED,
    "failed": FailureCode.REFUND_FAILED,
}
#: Expanded in an intent: its charge, and the balance transaction with the fee.
EXPAND_CHARGE: Final = ["latest_charge.balance_transaction"]
#: Expanded in a refund: its balance transaction.
EXPAND_REFUND: Final = ["balance_transaction"]


def parse_intent(intent: PaymentIntent, kind: Kind) -> Answer:
    """Answers for a charge or an authorization from its PaymentIntent.

    Raises NeedsReview or OutcomeUnknown if the status gives no outcome.
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
    """Answers for a void from the intent's status."""
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
    """Answers for a refund from its status."""
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
            waiting_for = "Stripe to complete the refund"
            verdict = Verdict.PENDING
            if status == "requires_action":
                verdict = Verdict.ACTION_REQUIRED
                waiting_for = "the payer to say where to"
            return Answer(
                verdict, refs=refs, waiting_for=waiting_for, request_id=request_id
            )
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
    """Our id in the metadata field ``name``; None if the field has no such id."""
    return parse_own_id(getattr(getattr(found, "metadata", None), name, None))


def read_request_id(found: PaymentIntent | Refund) -> str | None:
    """The id of the request that returned ``found``; None for an item of a list."""
    return found.last_response.request_id if found.last_response else None


def parse_release(intent: PaymentIntent, by_us: Verdict) -> Answer:
    """Answers for a canceled intent: EXPIRED if Stripe canceled it, else ``by_us``."""
    expired = intent.cancellation_reason == "automatic"
    verdict = Verdict.EXPIRED if expired else by_us
    refs = build_charge_refs(intent.id, None)
    return Answer(verdict, refs=refs, request_id=read_request_id(intent))


def _parse_next_action(intent: PaymentIntent) -> NextAction | None:
    """The payer's page in an intent's next action.

    A redirect has a ``url``. Vouchers, QR codes, bank transfers and unrecognized types
    have other fields: those in ``_INSTRUCTIONS`` come first.
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
    """Whether the next action needs Stripe's script on the shop's page.

    Stripe asks for it when the payment has no return URL. The action's URLs are not
    pages for the payer.
    """
    action: Any = getattr(intent, "next_action", None)
    return getattr(action, "type", None) in (None, "use_stripe_sdk")


def _parse_unconfirmed(
    intent: PaymentIntent, refs: dict[str, str], request_id: str | None
) -> Answer:
    """The answer while the payer must confirm or pay.

    Stripe has a page for confirmation only if the payment has a return URL.
    """
    action = _parse_next_action(intent)
    failure, waiting_for = None, "the payer to confirm the payment"
    if action is not None and action.type is NextActionType.INSTRUCTIONS:
        waiting_for = "the payer to pay as their page says"
    elif action is None and not _needs_script(intent):
        waiting_for = "the payer to confirm by their payment method, which has no page"
    elif action is None:
        waiting_for = "a void: the payer has no page to confirm it on"
        failure = Failure(
            code=FailureCode.RETURN_URL_MISSING,
            message="The payer must confirm this payment, which needs a return_url."
            " Void it, and submit it again with one.",
            provider_request_id=request_id,
        )
    return Answer(
        Verdict.ACTION_REQUIRED,
        refs=refs,
        next_action=action,
        failure=failure,
        waiting_for=waiting_for,
        request_id=request_id,
    )


def parse_decline(error: Any, refs: dict[str, str], request_id: str | None) -> Answer:
    """Answers for a decline; ``error`` comes from an exception or from an intent."""
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
        expired = Failure(
            FailureCode.INSTRUCTIONS_EXPIRED,
            "The payer did not pay before the voucher or code expired.",
            retryable=True,
            provider_request_id=request_id,
        )
        return Answer(
            Verdict.EXPIRED, refs=refs, failure=expired, request_id=request_id
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
    """Stripe's ids of a payment. ``charge`` is an id, an expanded object or None.

    Raises ValueError.
    """
    refs = {"payment_intent": validated_id(intent_id)}
    if charge:
        refs["charge"] = validated_id(getattr(charge, "id", charge))
    return refs


def parse_capture_before(charge: Any) -> datetime | None:
    """The end of an expanded charge's capture period (UTC), or None."""
    return parse_optional(
        parse_unix_time, getattr(_card_details(charge), "capture_before", None)
    )


def may_capture_in_parts(charge: Any) -> bool:
    """Whether an expanded charge can be captured in several parts."""
    multicapture = getattr(_card_details(charge), "multicapture", None)
    return getattr(multicapture, "status", None) == "available"


def _card_details(charge: Any) -> Any:
    details = getattr(charge, "payment_method_details", None)
    return getattr(details, "card", None)


# Fees and saved methods are optional: one that cannot be read is logged and left out of
# the answer.


def parse_stripe_fee(holder: Any, part: int | None = None) -> Fee | None:
    """The fee in the expanded balance transaction of a charge or a refund.

    It is negative if Stripe returned a fee. ``part`` is the amount of one of several
    captures, in Stripe's units. The transaction is the latest capture's, so one with
    another amount gives no fee.
    """

    def read() -> Fee | None:
        line = getattr(holder, "balance_transaction", None)
        if line is None or isinstance(line, str):
            return None
        if part is not None and not _is_of(line, part, holder.currency):
            return None
        return _fee_in(line)

    return read_secondary("fee", ProviderName.STRIPE, read)


def parse_stripe_part_fee(
    lines: Callable[[], Iterable[Any]], part: int, currency: str
) -> Fee | None:
    """The fee of one of several captures of a charge.

    ``lines`` reads the charge's balance transactions. Captures of equal amounts may
    get each other's fee.
    """

    def read() -> Fee | None:
        captures = (line for line in lines() if _is_of(line, part, currency))
        return next((_fee_in(line) for line in captures), None)

    return read_secondary("fee", ProviderName.STRIPE, read)


def parse_stripe_saved_method(intent: Any) -> SavedMethod | None:
    """The payment method that an intent saved, or None."""

    def read() -> SavedMethod | None:
        method = getattr(intent, "payment_method", None)
        if getattr(intent, "setup_future_usage", None) is None or method is None:
            return None
        customer = getattr(intent, "customer", None)
        return SavedMethod(
            validated_id(_id(method)),
            None if customer is None else validated_id(_id(customer)),
        )

    return read_secondary("saved_method", ProviderName.STRIPE, read)


def _is_of(line: Any, part: int, currency: str) -> bool:
    """Whether a balance transaction is a capture of ``part``.

    One in the account's currency, where that differs, cannot be matched.
    """
    taken = line.type in ("charge", "payment")
    return taken and (line.amount, line.currency) == (part, currency)


def _fee_in(line: Any) -> Fee:
    money = from_stripe(abs(line.fee), line.currency)
    return Fee(money.minor if line.fee > 0 else -money.minor, money.currency)


def _id(value: Any) -> object:
    """The id of an object that Stripe gives as an id or expanded."""
    return value if isinstance(value, str) else value.id
