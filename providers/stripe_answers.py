"""What Stripe's answers mean, in our terms: the tables, and nothing else."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import stripe
from stripe import PaymentIntent, Refund, StripeError

from domain.answer import Answer, Failure, NextAction, Verdict
from domain.errors import (
    LookNeeded,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
)
from domain.money import from_stripe
from domain.operation import Kind
from providers.asides import stripe_fee, stripe_saved
from providers.http import retry_after, was_not_sent
from providers.stripe_charges import capture_before, refs_of, takes_several
from providers.words import code_of, sentence_of

#: Decline codes after which the same card may still work later
#: (docs.stripe.com/declines/codes).
_RETRYABLE: Final = frozenset(
    "approve_with_id authentication_required insufficient_funds issuer_not_available"
    " processing_error reenter_transaction try_again_later withdrawal_count_limit"
    "_exceeded card_velocity_exceeded".split()
)
#: Codes of a 400 that tell of an earlier call of ours.
_DONE_EARLIER: Final = frozenset(
    "charge_already_captured charge_already_refunded"
    " payment_intent_unexpected_state".split()
)
#: What an intent can not be whose payment was declined.
_NOT_DECLINED: Final = frozenset("succeeded processing requires_capture".split())
#: Codes of a 400 that say: too late.
_EXPIRED: Final = frozenset({"charge_expired_for_capture"})


def answer_of(intent: PaymentIntent, kind: Kind) -> Answer:
    """A PaymentIntent's status, as the answer to a charge or an authorize.

    Raises NeedsReview or OutcomeUnknown where it says neither yes nor no.
    """
    request_id, refs = request_id_of(intent), refs_of(intent.id, intent.latest_charge)
    match intent.status:
        case "succeeded" | "requires_capture" if kind is Kind.AUTHORIZE:
            held = from_stripe(intent.amount, intent.currency)
            return Answer(
                Verdict.SUCCEEDED,
                held,
                refs,
                request_id=request_id,
                expires_at=capture_before(intent.latest_charge),
                multicapture=takes_several(intent.latest_charge),
                saved=stripe_saved(intent),
            )
        case "succeeded":
            moved = from_stripe(intent.amount_received, intent.currency)
            return Answer(
                Verdict.SUCCEEDED,
                moved,
                refs,
                request_id=request_id,
                fee=stripe_fee(intent.latest_charge),
                saved=stripe_saved(intent),
            )
        case "processing":
            return Answer(
                Verdict.PENDING,
                refs=refs,
                waiting_for="Stripe to process the payment",
                request_id=request_id,
            )
        case "requires_action":
            return Answer(
                Verdict.ACTION_REQUIRED,
                refs=refs,
                next_action=_next_action(intent),
                waiting_for="the payer to confirm the payment",
                request_id=request_id,
            )
        case "requires_payment_method" if intent.last_payment_error:
            return _declined(intent.last_payment_error, refs, request_id)
        case "canceled" if intent.amount_received:
            raise NeedsReview("canceled_after_capture", request_id=request_id)
        case "canceled":
            return let_go(intent, Verdict.CANCELED)
        case "requires_confirmation":
            return Answer(Verdict.APPROVED, refs=refs, request_id=request_id)
        case "requires_payment_method" | "requires_capture" as status:
            raise NeedsReview(f"status_{status}", request_id=request_id)
        case _:
            raise OutcomeUnknown("unrecognised_status", request_id=request_id)


def void_of(intent: PaymentIntent) -> Answer:
    """What an intent's status says of its cancellation."""
    request_id = request_id_of(intent)
    match intent.status:
        case "canceled":
            return let_go(intent, Verdict.SUCCEEDED)
        case "succeeded":
            failure = Failure(
                "already_captured",
                "The payment was captured before.",
                provider_request_id=request_id,
            )
            refs = {"payment_intent": intent.id}
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
        case _:
            raise NeedsReview(f"status_{intent.status}", request_id=request_id)


def refund_of(refund: Refund) -> Answer:
    """A refund's status, in our terms."""
    request_id, refs = request_id_of(refund), {"refund": refund.id}
    match refund.status:
        case "succeeded":
            moved = from_stripe(refund.amount, refund.currency)
            return Answer(
                Verdict.SUCCEEDED,
                moved,
                refs,
                request_id=request_id,
                fee=stripe_fee(refund),
            )
        case "pending" | "requires_action" as status:
            why = "Stripe to complete the refund"
            verdict = Verdict.PENDING
            if status == "requires_action":
                verdict, why = Verdict.ACTION_REQUIRED, "the payer to say where to"
            return Answer(verdict, refs=refs, waiting_for=why, request_id=request_id)
        case "failed" | "canceled" as status:
            reason = code_of(getattr(refund, "failure_reason", None))
            failure = Failure(
                code=f"refund_{status}",
                message="The refund did not arrive.",
                decline_code=reason,
                retryable=True,
                provider_request_id=request_id,
            )
            verdict = Verdict.DECLINED if status == "failed" else Verdict.CANCELED
            return Answer(verdict, refs=refs, failure=failure, request_id=request_id)
        case _:
            raise OutcomeUnknown("unrecognised_status", request_id=request_id)


def metadata_of(found: PaymentIntent | Refund, name: str) -> str | None:
    """What we wrote on Stripe's object under ``name``."""
    return getattr(found.metadata, name, None)


def request_id_of(found: PaymentIntent | Refund) -> str | None:
    """Stripe's name of the call that ``found`` came by; an item of a list has none."""
    return found.last_response.request_id if found.last_response else None


def let_go(intent: PaymentIntent, by_us: Verdict) -> Answer:
    """A cancellation: by Stripe itself where time ran out."""
    late = intent.cancellation_reason == "automatic"
    verdict = Verdict.EXPIRED if late else by_us
    refs = {"payment_intent": intent.id}
    return Answer(verdict, refs=refs, request_id=request_id_of(intent))


def _next_action(intent: PaymentIntent) -> NextAction | None:
    """Stripe shows of an action only what belongs to its kind."""
    redirect = getattr(intent.next_action, "redirect_to_url", None)
    return NextAction(redirect.url) if redirect and redirect.url else None


def _declined(error: Any, refs: dict[str, str], request_id: str | None) -> Answer:
    """``error`` is Stripe's error object, from an exception or from an intent."""
    code = code_of(error.code) or "card_error"
    decline_code = code_of(getattr(error, "decline_code", None))
    failure = Failure(
        code=code,
        message=sentence_of(error.message, otherwise="The payment was declined."),
        decline_code=decline_code,
        advice_code=code_of(getattr(error, "advice_code", None)),
        retryable=(decline_code or code) in _RETRYABLE,
        provider_request_id=request_id,
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


def refusal_of(error: StripeError) -> Answer:
    """What an exception of the SDK says of the payment; see the module's tests.

    Raises a ProviderError for all that is not a definite no.
    """
    code = code_of(error.code) or code_of(getattr(error.error, "code", None))
    request_id, status = error.request_id, error.http_status
    if isinstance(error, stripe.CardError):
        return _card_refused(error, request_id)
    if isinstance(error, stripe.RateLimitError) or code == "lock_timeout":
        raise NotExecuted(
            code or "rate_limited",
            request_id=request_id,
            retry_after=retry_after(_header(error, "Retry-After")),
        )
    if isinstance(error, (stripe.AuthenticationError, stripe.PermissionError)):
        raise Misconfigured(code, request_id=request_id)
    if isinstance(error, stripe.IdempotencyError):
        raise NeedsReview("idempotency_mismatch", request_id=request_id)
    if isinstance(error, stripe.InvalidRequestError) and status in (400, 404):
        return _rejected(error, code, request_id)
    _raise_unknown(error, code, request_id)


def _card_refused(error: stripe.CardError, request_id: str | None) -> Answer:
    """A decline, unless the intent that it belongs to says otherwise."""
    intent = getattr(error.error, "payment_intent", None)
    if intent is None:
        return _declined(error.error, {}, request_id)
    if intent.status in _NOT_DECLINED:
        raise NeedsReview("declined_yet_charged", request_id=request_id)
    charge = getattr(error.error, "charge", None)
    return _declined(error.error, refs_of(intent.id, charge), request_id)


def _rejected(error: StripeError, code: str | None, request_id: str | None) -> Answer:
    if code in _DONE_EARLIER:
        raise LookNeeded(code, request_id=request_id)
    if code == "idempotency_key_in_use":
        raise OutcomeUnknown(code, request_id=request_id)
    failure = Failure(
        code=code or "invalid_request",
        message=sentence_of(error.user_message, otherwise="Stripe rejects it."),
        provider_request_id=request_id,
    )
    verdict = Verdict.EXPIRED if code in _EXPIRED else Verdict.REJECTED
    return Answer(verdict, failure=failure, request_id=request_id)


def _raise_unknown(
    error: StripeError, code: str | None, request_id: str | None
) -> NoReturn:
    """Whatever is left may have happened."""
    if isinstance(error, stripe.APIConnectionError):
        if was_not_sent(error):
            raise NotSent
        raise OutcomeUnknown("no_answer")
    status = error.http_status or 0
    if status >= 500:
        # Stripe would say the same again: only a look can tell.
        if _header(error, "Idempotent-Replayed") == "true":
            raise LookNeeded("replayed_500", request_id=request_id)
        if _header(error, "Stripe-Should-Retry") == "false":
            raise LookNeeded("resend_refused", request_id=request_id)
    if 200 <= status < 300:
        code = "malformed_answer"
    raise OutcomeUnknown(
        code or ("in_flight" if status == 409 else f"http_{status}"),
        request_id=request_id,
        retry_after=retry_after(_header(error, "Retry-After")),
    )


def _header(error: StripeError, name: str) -> str | None:
    """``name`` as Stripe writes it, whatever the transport made of its case."""
    headers = {key.lower(): value for key, value in (error.headers or {}).items()}
    return headers.get(name.lower())
