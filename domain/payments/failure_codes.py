"""The codes of failures that this service gives or decides by.

Any other code of a failure is the provider's own, which is stored and shown.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from domain.error_details import ErrorDetail


class FailureCode(StrEnum):
    """The code of a refusal. Stored and shown by its value."""

    # Of a void: the end of the authorization before it.
    ALREADY_CAPTURED = "already_captured"
    ALREADY_DENIED = "already_denied"
    AUTHORIZATION_DENIED = "authorization_denied"
    CAPTURE_DECLINED = "capture_declined"
    CAPTURE_FAILED = "capture_failed"
    CAPTURED_AT_PROVIDER = "captured_at_provider"  #: by others, so nothing is left
    CANCELED_BY_OPERATOR = "canceled_by_operator"
    CARD_ERROR = "card_error"  #: a decline of Stripe's without a code
    CHARGE_DISPUTED = "charge_disputed"  #: Stripe's code; PayPal has two for it
    DECLINED_BY_OPERATOR = "declined_by_operator"
    #: A voucher or a code was not paid in time.
    INSTRUCTIONS_EXPIRED = "instructions_expired"
    INVALID_REQUEST = "invalid_request"  #: a refusal of Stripe's without a code
    REFUND_CANCELED = "refund_canceled"  #: at Stripe
    REFUND_CANCELLED = "refund_cancelled"  #: at PayPal, as it is spelled there
    REFUND_FAILED = "refund_failed"
    REFUNDED_AT_PROVIDER = "refunded_at_provider"  #: by others, so nothing is left
    RETURN_URL_MISSING = "return_url_missing"  #: the payer has no page to return to
    # PayPal's codes where our totals differ from its own.
    MAX_CAPTURE_AMOUNT_EXCEEDED = "max_capture_amount_exceeded"
    REFUND_AMOUNT_EXCEEDED = "refund_amount_exceeded"


#: Codes of a disagreement: our totals differ from the provider's, or its answer has a
#: status that is new to us.
DISAGREEING_CODES: Final = frozenset[FailureCode | ErrorDetail](
    {
        FailureCode.MAX_CAPTURE_AMOUNT_EXCEEDED,
        FailureCode.REFUND_AMOUNT_EXCEEDED,
        ErrorDetail.UNRECOGNIZED_STATUS,
    }
)
