"""The details of provider errors that this service gives or decides by.

Any other detail is a provider's own code, which is stored and shown, and decides
nothing. ``circuit_breaker`` has the provider health that each of these shows.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ErrorDetail(StrEnum):
    """Why a provider call ended without an answer. Stored and shown by its value."""

    # The defaults, one for each class of ``errors``.
    PROVIDER_ERROR = "provider_error"
    NOT_EXECUTED = "not_executed"
    NOT_SENT = "not_sent"
    MISCONFIGURED = "misconfigured"
    NOT_AUTHORIZED = "not_authorized"
    NOT_PERMITTED = "not_permitted"
    OUTCOME_UNKNOWN = "outcome_unknown"
    MALFORMED_ANSWER = "malformed_answer"
    MALFORMED_OBJECT = "malformed_object"
    LOOKUP_REQUIRED = "lookup_required"
    LIST_TOO_LONG = "list_too_long"
    NEEDS_REVIEW = "needs_review"

    # The call was not made.
    WORKER_STOPPING = "worker_stopping"  #: the worker is about to stop
    CLAIM_TOO_OLD = "claim_too_old"  #: the worker was suspended after its claim
    NOT_ADMITTED = "not_admitted"  #: by the account's breaker or its rate limit
    PAYMENT_MOVES_ON = "payment_moves_on"  #: each write met another one
    ACCOUNT_MISSING = "account_missing"  #: the payment's account does not exist
    ACCOUNT_OF_ANOTHER_MERCHANT = "account_of_another_merchant"
    CREDENTIALS_UNAVAILABLE = "credentials_unavailable"  #: they could not be read
    TOKEN_REFUSED = "token_refused"  #: PayPal refused the credentials
    TOKEN_UNAVAILABLE = "token_unavailable"  #: PayPal gave no token
    TOKEN_MALFORMED = "token_malformed"  #: PayPal's answer has no readable token

    # The provider wants fewer calls.
    RATE_LIMITED = "rate_limited"
    RATE_LIMIT = "rate_limit"  #: Stripe's code for the same
    LOCK_TIMEOUT = "lock_timeout"  #: Stripe handles another call for the object

    # The call's result is not known.
    NO_ANSWER = "no_answer"
    ADAPTER_FAILED = "adapter_failed"  #: an unexpected error in the adapter
    IN_FLIGHT = "in_flight"  #: an earlier call with the key is not finished
    IDEMPOTENCY_KEY_IN_USE = "idempotency_key_in_use"  #: Stripe's code for the same
    REPEATED_500 = "repeated_500"  #: Stripe repeats this error to the same key
    RESEND_REFUSED = "resend_refused"  #: Stripe asks us not to send it again

    # A read without a result.
    LOOKUP_REFUSED = "lookup_refused"
    READ_REFUSED = "read_refused"
    UNRECOGNIZED_STATUS = "unrecognised_status"  #: a status that is new to us


#: The worker did not make the call, which shows nothing about the account.
CALL_NOT_MADE: Final = frozenset(
    {ErrorDetail.WORKER_STOPPING, ErrorDetail.CLAIM_TOO_OLD}
)
