"""The providers' published decline codes, as ``last_error`` shows them."""

from __future__ import annotations

from collections.abc import Set
from difflib import get_close_matches
from typing import Final

from domain.payments.failure_codes import FailureCode

#: Stripe's decline codes (docs.stripe.com/declines/codes) and their error codes.
_STRIPE: Final = frozenset(
    "approve_with_id authentication_required call_issuer card_decline_rate_limit"
    "_exceeded card_declined card_not_supported card_velocity_exceeded"
    " currency_not_supported do_not_honor do_not_try_again duplicate_transaction"
    " expired_card fraudulent generic_decline incorrect_address incorrect_cvc"
    " incorrect_number incorrect_pin incorrect_zip insufficient_funds invalid_account"
    " invalid_amount invalid_cvc invalid_expiry_month invalid_expiry_year"
    " invalid_number invalid_pin issuer_not_available lost_card merchant_blacklist"
    " new_account_information_available no_action_taken not_permitted"
    " offline_pin_required online_or_offline_pin_required"
    " payment_method_customer_decline payment_method_provider_decline pickup_card"
    " pin_try_exceeded processing_error reenter_transaction restricted_card"
    " revocation_of_all_authorizations revocation_of_authorization security_violation"
    " service_not_allowed stolen_card stop_payment_order testmode_decline"
    " transaction_not_allowed try_again_later withdrawal_count_limit_exceeded".split()
)
#: PayPal's issues of a decline and its reasons for a declined capture (Orders v2 and
#: Payments v2 specifications).
_PAYPAL: Final = frozenset(
    "buyer_complaint chargeback echeck instrument_declined international_withdrawal"
    " other payer_cannot_pay pending_review"
    " receiving_preference_mandates_manual_action refunded"
    " transaction_approved_awaiting_funding transaction_refused unilateral"
    " verification_required".split()
)
#: The service's own codes for a PayPal decline without a reason.
_OURS: Final = frozenset(
    {
        FailureCode.AUTHORIZATION_DENIED,
        FailureCode.CAPTURE_DECLINED,
        FailureCode.CAPTURE_FAILED,
    }
)
KNOWN_CODES: Final[Set[str]] = _STRIPE | _PAYPAL | _OURS
#: Similarity (0 to 1) of a mistyped word and its code: one or two letters differ. A new
#: code of a provider is rarely this close to a known one.
_MIN_SIMILARITY: Final = 0.85


def suggest_codes(word: str) -> list[str]:
    """Known codes that resemble ``word``, the most similar first."""
    joined = word.replace(" ", "_").replace("-", "_")
    return get_close_matches(joined, sorted(KNOWN_CODES), cutoff=_MIN_SIMILARITY)
