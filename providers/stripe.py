"""Stripe: a charge is one PaymentIntent, created and confirmed in one call."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import stripe
from stripe import PaymentIntent, StripeClient, StripeError

from domain.answer import Answer, Failure, NextAction, Verdict
from domain.errors import (
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.money import from_stripe, to_stripe
from domain.payment import Payment, Send
from providers.http import (
    TIMEOUT,
    Observe,
    PooledSession,
    Timeout,
    retry_after,
    was_not_sent,
)
from providers.words import code_of, sentence_of

#: The version of Stripe's API that these translations were written for.
API_VERSION: Final = "2026-10-28.endive"

#: Decline codes after which the same card may still work later
#: (docs.stripe.com/declines/codes).
_RETRYABLE: Final = frozenset(
    "approve_with_id authentication_required insufficient_funds issuer_not_available"
    " processing_error reenter_transaction try_again_later withdrawal_count_limit"
    "_exceeded card_velocity_exceeded".split()
)
#: Codes of a 400 that tell of an earlier call of ours.
_DONE_EARLIER: Final = frozenset(
    "charge_already_captured charge_already_refunded idempotency_key_in_use"
    " payment_intent_unexpected_state".split()
)
#: What an intent can not be whose payment was declined.
_NOT_DECLINED: Final = frozenset("succeeded processing requires_capture".split())


class Stripe:
    """A Provider. ``connections`` bounds the calls that are open at once."""

    def __init__(
        self,
        *,
        api_base: str,
        secret_key: str,
        connections: int,
        observe: Observe,
        timeout: Timeout = TIMEOUT,
    ) -> None:
        # Its telemetry keeps an id in the home folder and sends it with every call.
        stripe.enable_telemetry = False
        session = PooledSession(
            connections=connections, observe=observe, timeout=timeout
        )
        self._client = StripeClient(
            secret_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base.rstrip("/")},
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=timeout, session=session),
        )

    def prepare(self, payment: Payment) -> str:
        """See Provider."""
        asked, operation = payment.submission, payment.operation
        params: dict[str, Any] = {
            "amount": to_stripe(asked.amount),
            "currency": asked.amount.currency.lower(),
            "confirm": True,
            "capture_method": "automatic",
            "payment_method": asked.payment_method,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {"payment": payment.id, "operation": operation.id},
        }
        if asked.reference is not None:
            params["metadata"]["reference"] = asked.reference
        if asked.description is not None:
            params["description"] = asked.description
        if asked.return_url is not None:
            params["automatic_payment_methods"] = {"enabled": True}
            params["return_url"] = asked.return_url
        return json.dumps(params)

    def send(self, payment: Payment) -> Answer:
        """See Provider."""
        send = payment.operation.send
        if send is None:
            raise NeedsReview("send_not_written_down")
        try:
            return self._charge(send)
        # Both go without their causes: these quote what Stripe said, tokens included.
        except ProviderError as error:
            raise error from None
        except Exception:
            # Whatever could not be read, Stripe may have acted.
            raise OutcomeUnknown("malformed_answer") from None

    def _charge(self, send: Send) -> Answer:
        try:
            intent = self._client.v1.payment_intents.create(
                params=json.loads(send.body), options={"idempotency_key": send.key}
            )
        except StripeError as error:
            return _refusal(error)
        return _answer(intent)


def _answer(intent: PaymentIntent) -> Answer:
    """A PaymentIntent's status, in our terms."""
    request_id = intent.last_response.request_id if intent.last_response else None
    refs = _refs(intent.id, intent.latest_charge)
    match intent.status:
        case "succeeded":
            moved = from_stripe(intent.amount_received, intent.currency)
            return Answer(Verdict.SUCCEEDED, moved, refs, request_id=request_id)
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
            late = intent.cancellation_reason == "automatic"
            verdict = Verdict.EXPIRED if late else Verdict.CANCELED
            return Answer(verdict, refs=refs, request_id=request_id)
        case (
            "requires_payment_method" | "requires_confirmation" | "requires_capture"
        ) as status:
            raise NeedsReview(f"status_{status}", request_id=request_id)
        case _:
            raise OutcomeUnknown("unrecognised_status", request_id=request_id)


def _refs(intent_id: str, charge: Any) -> dict[str, str]:
    """``charge`` is an id, an expanded object, or None."""
    refs = {"payment_intent": intent_id}
    if charge:
        refs["charge"] = charge if isinstance(charge, str) else charge.id
    return refs


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


def _refusal(error: StripeError) -> Answer:
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
    return _declined(error.error, _refs(intent.id, charge), request_id)


def _rejected(error: StripeError, code: str | None, request_id: str | None) -> Answer:
    if code in _DONE_EARLIER:
        raise OutcomeUnknown(code, request_id=request_id)
    failure = Failure(
        code=code or "invalid_request",
        message=sentence_of(error.user_message, otherwise="Stripe rejects it."),
        provider_request_id=request_id,
    )
    return Answer(Verdict.REJECTED, failure=failure, request_id=request_id)


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
            raise NeedsReview("replayed_500", request_id=request_id)
        if _header(error, "Stripe-Should-Retry") == "false":
            raise NeedsReview("resend_refused", request_id=request_id)
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
