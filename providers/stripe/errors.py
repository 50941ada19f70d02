"""Maps the SDK's exceptions to answers and ProviderErrors, by class and code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import stripe
from stripe import StripeError

from domain.error_details import ErrorDetail
from domain.errors import (
    LookupRequired,
    MalformedAnswer,
    Misconfigured,
    NeedsReview,
    NotAuthorized,
    NotExecuted,
    NotPermitted,
    NotSent,
    OutcomeUnknown,
)
from domain.payments.answer import Answer, Failure, Verdict
from domain.payments.failure_codes import FailureCode
from domain.payments.review_reasons import ReviewReason
from providers.http import detail_of_status, is_unsent, parse_retry_after
from providers.sanitize import parse_sentence, parse_stripe_code, without_causes
from providers.stripe.responses import build_charge_refs, parse_decline

#: Codes of a 400 that an earlier call of ours may have caused.
_DONE_EARLIER: Final = frozenset(
    "charge_already_captured charge_already_refunded"
    " payment_intent_unexpected_state".split()
)
#: Statuses that an intent with a declined payment cannot have.
_NOT_DECLINED: Final = frozenset("succeeded processing requires_capture".split())
#: Codes of a 403 that concern this request alone. Any other 403 is taken to concern all
#: calls of its kind: a restricted key may lack the permission.
_NOT_PERMITTED: Final = frozenset(
    "capability_not_active country_unsupported payment_method_not_available"
    " payment_method_restricted payment_method_unactivated".split()
)
#: Codes of a 400 for an expired hold.
_EXPIRED: Final = frozenset({"charge_expired_for_capture"})


def map_error(error: StripeError) -> Answer:
    """Maps an exception of the SDK to an answer.

    Raises a ProviderError unless the exception is a definite refusal.
    """
    code = parse_stripe_code(error.code) or parse_stripe_code(
        getattr(error.error, "code", None)
    )
    request_id, status = error.request_id, error.http_status
    if isinstance(error, stripe.CardError):
        return _map_card_error(error, request_id)
    if isinstance(error, stripe.RateLimitError) or code == ErrorDetail.LOCK_TIMEOUT:
        raise NotExecuted(
            code or ErrorDetail.RATE_LIMITED,
            request_id=request_id,
            retry_after=parse_retry_after(_header(error, "Retry-After")),
        )
    if isinstance(error, stripe.PermissionError) and code in _NOT_PERMITTED:
        raise NotPermitted(code, request_id=request_id)
    if isinstance(error, stripe.PermissionError):
        raise NotAuthorized(code, request_id=request_id)
    if isinstance(error, stripe.AuthenticationError):
        raise Misconfigured(code, request_id=request_id)
    if isinstance(error, stripe.IdempotencyError):
        raise NeedsReview(ReviewReason.IDEMPOTENCY_MISMATCH, request_id=request_id)
    if isinstance(error, stripe.InvalidRequestError) and status in (400, 404):
        return _map_rejection(error, code, request_id)
    _raise_unknown(error, code, request_id)


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Maps the errors of a read other than a lookup. Raises ProviderError."""
    with without_causes():
        try:
            yield
        except StripeError as error:
            map_error(error)
            raise OutcomeUnknown(ErrorDetail.READ_REFUSED, request_id=error.request_id)


def _map_card_error(error: stripe.CardError, request_id: str | None) -> Answer:
    """A decline. Raises NeedsReview if the intent's status contradicts it."""
    intent = getattr(error.error, "payment_intent", None)
    if intent is None:
        return parse_decline(error.error, {}, request_id)
    if intent.status in _NOT_DECLINED:
        raise NeedsReview(ReviewReason.DECLINED_YET_CHARGED, request_id=request_id)
    charge = getattr(error.error, "charge", None)
    return parse_decline(error.error, build_charge_refs(intent.id, charge), request_id)


def _map_rejection(
    error: StripeError, code: str | None, request_id: str | None
) -> Answer:
    if code in _DONE_EARLIER:
        raise LookupRequired(code, request_id=request_id)
    if code == ErrorDetail.IDEMPOTENCY_KEY_IN_USE:
        raise OutcomeUnknown(ErrorDetail.IDEMPOTENCY_KEY_IN_USE, request_id=request_id)
    failure = Failure(
        code=code or FailureCode.INVALID_REQUEST,
        message=parse_sentence(error.user_message, otherwise="Stripe rejects it."),
        provider_request_id=request_id,
    )
    verdict = Verdict.EXPIRED if code in _EXPIRED else Verdict.REJECTED
    return Answer(verdict, failure=failure, request_id=request_id)


def _raise_unknown(
    error: StripeError, code: str | None, request_id: str | None
) -> NoReturn:
    """Raises for errors after which the operation may have been carried out."""
    if isinstance(error, stripe.APIConnectionError):
        if is_unsent(error):
            raise NotSent
        raise OutcomeUnknown(ErrorDetail.NO_ANSWER)
    status = error.http_status or 0
    if status >= 500:
        # Stripe would repeat this answer, so only a lookup helps.
        if _header(error, "Idempotent-Replayed") == "true":
            raise LookupRequired(ErrorDetail.REPEATED_500, request_id=request_id)
        if _header(error, "Stripe-Should-Retry") == "false":
            raise LookupRequired(ErrorDetail.RESEND_REFUSED, request_id=request_id)
    if 200 <= status < 300:
        raise MalformedAnswer(request_id=request_id)
    if status in (401, 403):
        # The error does not have Stripe's form: a proxy or another server answered.
        code = ErrorDetail.MALFORMED_ANSWER
    raise OutcomeUnknown(
        code or detail_of_status(status),
        request_id=request_id,
        retry_after=parse_retry_after(_header(error, "Retry-After")),
    )


def _header(error: StripeError, name: str) -> str | None:
    """The value of a header, looked up without regard to case."""
    headers = {key.lower(): value for key, value in (error.headers or {}).items()}
    return headers.get(name.lower())
