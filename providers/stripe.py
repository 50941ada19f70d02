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
)
from domain.money import from_stripe, to_stripe
from domain.payment import Payment
from providers.http import (
    TIMEOUT,
    Observe,
    PooledSession,
    retry_after,
    was_not_sent,
)

#: The version of Stripe's API that these translations were written for.
API_VERSION: Final = "2026-10-28.endive"

#: Decline codes after which the same card may still work later
#: (docs.stripe.com/declines/codes).
_RETRYABLE: Final = frozenset(
    "approve_with_id authentication_required insufficient_funds issuer_not_available"
    " processing_error reenter_transaction try_again_later withdrawal_count_limit"
    "_exceeded card_velocity_exceeded".split()
)
#: Characters of a provider's sentence that are worth keeping.
_MESSAGE: Final = 300


class Stripe:
    """A Provider. ``connections`` bounds the calls that are open at once."""

    def __init__(
        self, *, api_base: str, secret_key: str, connections: int, observe: Observe
    ) -> None:
        session = PooledSession(connections=connections, observe=observe)
        self._client = StripeClient(
            secret_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base.rstrip("/")},
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=TIMEOUT, session=session),
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
            intent = self._client.v1.payment_intents.create(
                params=json.loads(send.body), options={"idempotency_key": send.key}
            )
            return _answer(intent)
        except StripeError as error:
            return _refusal(error)


def _answer(intent: PaymentIntent) -> Answer:
    """A PaymentIntent's status, in our terms."""
    request_id = intent.last_response.request_id if intent.last_response else None
    refs = {"payment_intent": intent.id}
    if intent.latest_charge:
        charge = intent.latest_charge
        refs["charge"] = charge if isinstance(charge, str) else charge.id
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
        case "canceled":
            return Answer(Verdict.CANCELED, refs=refs, request_id=request_id)
        case "requires_payment_method" | "requires_capture" as status:
            raise NeedsReview(f"status_{status}", request_id=request_id)
        case _:
            raise OutcomeUnknown("unrecognised_status", request_id=request_id)


def _next_action(intent: PaymentIntent) -> NextAction | None:
    action = intent.next_action
    redirect = action.redirect_to_url if action is not None else None
    return NextAction(redirect.url) if redirect and redirect.url else None


def _declined(error: Any, refs: dict[str, str], request_id: str | None) -> Answer:
    """``error`` is Stripe's error object, from an exception or from an intent."""
    decline_code = getattr(error, "decline_code", None)
    code = error.code or "card_error"
    failure = Failure(
        code=code,
        message=(error.message or "The payment was declined.")[:_MESSAGE],
        decline_code=decline_code,
        advice_code=getattr(error, "advice_code", None),
        retryable=(decline_code or code) in _RETRYABLE,
        provider_request_id=request_id,
    )
    if code == "authentication_required":
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
    code = error.code or getattr(error.error, "code", None)
    request_id, status = error.request_id, error.http_status
    if isinstance(error, stripe.CardError):
        intent = getattr(error.error, "payment_intent", None)
        refs = {"payment_intent": intent["id"]} if intent else {}
        return _declined(error.error or error, refs, request_id)
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


def _rejected(error: StripeError, code: str | None, request_id: str | None) -> Answer:
    failure = Failure(
        code=code or "invalid_request",
        message=(error.user_message or "Stripe rejects the request.")[:_MESSAGE],
        provider_request_id=request_id,
    )
    return Answer(Verdict.REJECTED, failure=failure, request_id=request_id)


def _raise_unknown(
    error: StripeError, code: str | None, request_id: str | None
) -> NoReturn:
    """Whatever is left may have happened."""
    if isinstance(error, stripe.APIConnectionError) and was_not_sent(error):
        raise NotSent from error
    if (error.http_status or 0) >= 500 and _header(error, "Idempotent-Replayed"):
        raise NeedsReview("replayed_500", request_id=request_id) from error
    if error.http_status == 409:
        code = code or "in_flight"
    raise OutcomeUnknown(
        code or f"http_{error.http_status or 'none'}",
        request_id=request_id,
        retry_after=retry_after(_header(error, "Retry-After")),
    ) from error


def _header(error: StripeError, name: str) -> str | None:
    """``name`` as Stripe writes it, whatever the transport made of its case."""
    headers = {key.lower(): value for key, value in (error.headers or {}).items()}
    return headers.get(name.lower())
