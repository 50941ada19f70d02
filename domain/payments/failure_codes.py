"""The codes of failures that this service gives or decides by.

Any other code of a failure is the provider's own, which is stored and shown.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from domain.error_details import ErrorDetail


class FailureCode(StrEnum):
    """Why the answer was a refusal. Stored and shown by its value."""

    # Of a void: what became of the authorization before.
    ALREADY_CAPTURED = "already_captured"
    ALREADY_DENIED = "already_denied"
    AUTHORIZATION_DENIED = "authorization_denied"
    CAPTURE_DECLINED = "capture_declined"
    CAPTURE_FAILED = "capture_failed"
    CAPTURED_AT_PROVIDER = "captured_at_provider"  #: by others, so nothing is left
    CANCELED_BY_OPERATOR = "canceled_by_operator"
    CARD_ERROR = "card_error"  #: a decline that Stripe gives no code of
    CHARGE_DISPUTED = "charge_disputed"  #: Stripe's code; PayPal has two for it
    DECLINED_BY_OPERATOR = "declined_by_operator"
    INSTRUCTIONS_EXPIRED = (
        "instructions_expired"  #: a voucher, a code: not paid in time
    )
    INVALID_REQUEST = "invalid_request"  #: a refusal that Stripe gives no code of
    REFUND_CANCELED = "refund_canceled"  #: at Stripe
    REFUND_CANCELLED = "refund_cancelled"  #: at PayPal, as it is spelled there
    REFUND_FAILED = "refund_failed"
    REFUNDED_AT_PROVIDER = "refunded_at_provider"  #: by others, so nothing is left
    RETURN_URL_MISSING = "return_url_missing"  #: so the payer has no page to act on
    # PayPal's codes that our totals are not its own.
    MAX_CAPTURE_AMOUNT_EXCEEDED = "max_capture_amount_exceeded"
    REFUND_AMOUNT_EXCEEDED = "refund_amount_exceeded"


#: Codes that a provider gives only where our totals are not its own, or its answer has
#: a word that is new to us.
DISAGREEING_CODES: Final = frozenset[FailureCode | ErrorDetail](
    {
        FailureCode.MAX_CAPTURE_AMOUNT_EXCEEDED,
        FailureCode.REFUND_AMOUNT_EXCEEDED,
        ErrorDetail.UNRECOGNIZED_STATUS,
    }
)
