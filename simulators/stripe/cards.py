"""Stripe's published test payment methods and the outcome of payments with each.

Source: https://docs.stripe.com/testing. The tokens are public and stand for no card.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Decline:
    """An issuer's reason for a decline, in Stripe's words."""

    code: str
    decline_code: str
    message: str
    #: Stripe's advice: try_again_later, do_not_try_again, confirm_card_data.
    advice_code: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class TestMethod:
    """A test payment method; its fields choose the outcome."""

    type: str = "card"
    brand: str = "visa"
    last4: str = "4242"
    funding: str = "credit"
    #: None approves.
    decline: Decline | None = None
    #: Whether the payer must authenticate (3-D Secure) before the issuer decides.
    authentication: bool = False
    #: Whether saving it for use off session exempts later payments.
    authenticate_once: bool = False
    #: Whether the outcome comes days later; the payment is processing until then.
    slow: bool = False
    #: Whether the payer pays elsewhere, by a voucher with a page of Stripe's.
    voucher: bool = False
    #: instant; pending: succeeds later; failing: looks done and fails later.
    refund: str = "instant"
    #: Reason and status of the dispute that follows the charge; None: no dispute.
    dispute: tuple[str, str] | None = None


def _declined(decline_code: str, advice: str, message: str | None = None) -> Decline:
    return Decline(
        "card_declined", decline_code, message or "Your card was declined.", advice
    )


GENERIC: Final = _declined("generic_decline", "try_again_later")
INSUFFICIENT_FUNDS: Final = _declined(
    "insufficient_funds", "try_again_later", "Your card has insufficient funds."
)
LOST: Final = _declined("lost_card", "do_not_try_again")
STOLEN: Final = _declined("stolen_card", "do_not_try_again")
FRAUDULENT: Final = _declined("fraudulent", "do_not_try_again")
VELOCITY: Final = _declined("card_velocity_exceeded", "try_again_later")
EXPIRED: Final = Decline(
    "expired_card",
    "expired_card",
    "Your card has expired.",
    "confirm_card_data",
    "exp_month",
)
INCORRECT_CVC: Final = Decline(
    "incorrect_cvc",
    "incorrect_cvc",
    "Your card's security code is incorrect.",
    "confirm_card_data",
    "cvc",
)
PROCESSING_ERROR: Final = Decline(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
    "try_again_later",
)
#: The issuer's answer off session if it requires authentication.
AUTHENTICATION_REQUIRED: Final = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "try_again_later",
)
#: A bank account without the money to pay, known only days later.
BANK_INSUFFICIENT_FUNDS: Final = Decline(
    "insufficient_funds",
    "insufficient_funds",
    "The customer's account has insufficient funds to cover this payment.",
    "try_again_later",
)

_VISA: Final = TestMethod()
_SECURE: Final = TestMethod(last4="3184", authentication=True)
_BANK: Final = TestMethod(type="us_bank_account", last4="6789", slow=True)

#: Declining tokens, by the part after ``pm_card_``; Stripe also has most of them with
#: ``visa_`` in between.
_DECLINES: Final = {
    "chargeDeclined": (GENERIC, "0002"),
    "chargeDeclinedInsufficientFunds": (INSUFFICIENT_FUNDS, "9995"),
    "chargeDeclinedLostCard": (LOST, "9987"),
    "chargeDeclinedStolenCard": (STOLEN, "9979"),
    "chargeDeclinedFraudulent": (FRAUDULENT, "0019"),
    "chargeDeclinedExpiredCard": (EXPIRED, "0069"),
    "chargeDeclinedIncorrectCvc": (INCORRECT_CVC, "0127"),
    "chargeDeclinedProcessingError": (PROCESSING_ERROR, "0119"),
    "chargeDeclinedVelocityLimitExceeded": (VELOCITY, "6975"),
    "chargeCustomerFail": (GENERIC, "0341"),
}

METHODS: Final[dict[str, TestMethod]] = {
    "pm_card_visa": _VISA,
    "pm_card_visa_debit": replace(_VISA, last4="5556", funding="debit"),
    "pm_card_mastercard": TestMethod(brand="mastercard", last4="4444"),
    "pm_card_mastercard_debit": TestMethod(
        brand="mastercard", last4="8210", funding="debit"
    ),
    "pm_card_mastercard_prepaid": TestMethod(
        brand="mastercard", last4="5100", funding="prepaid"
    ),
    "pm_card_amex": TestMethod(brand="amex", last4="8431"),
    "pm_card_discover": TestMethod(brand="discover", last4="1117"),
    "pm_card_jcb": TestMethod(brand="jcb", last4="0505"),
    "pm_card_unionpay": TestMethod(brand="unionpay", last4="0005"),
    "pm_card_authenticationRequired": _SECURE,
    "pm_card_authenticationRequiredOnSetup": replace(
        _SECURE, last4="3155", authenticate_once=True
    ),
    "pm_card_threeDSecureRequired": replace(_SECURE, last4="3063"),
    "pm_card_threeDSecure2Required": replace(_SECURE, last4="3220"),
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": replace(
        _SECURE, last4="8260", decline=INSUFFICIENT_FUNDS
    ),
    "pm_card_pendingRefund": replace(_VISA, last4="7726", refund="pending"),
    "pm_card_refundFail": replace(_VISA, last4="5126", refund="failing"),
    "pm_card_createDispute": replace(
        _VISA, last4="0259", dispute=("fraudulent", "needs_response")
    ),
    "pm_card_createDisputeProductNotReceived": replace(
        _VISA, last4="2685", dispute=("product_not_received", "needs_response")
    ),
    "pm_card_createDisputeInquiry": replace(
        _VISA, last4="1976", dispute=("general", "warning_needs_response")
    ),
    "pm_oxxo": TestMethod(type="oxxo", voucher=True),
    "pm_usBankAccount": _BANK,
    "pm_usBankAccount_success": _BANK,
    "pm_usBankAccount_insufficientFunds": replace(
        _BANK, last4="2227", decline=BANK_INSUFFICIENT_FUNDS
    ),
}
for _name, (_decline, _last4) in _DECLINES.items():
    _method = TestMethod(last4=_last4, decline=_decline)
    METHODS[f"pm_card_{_name}"] = METHODS[f"pm_card_visa_{_name}"] = _method

#: Smallest amount Stripe takes, in minor units, of an account that is paid out in the
#: same currency.
#: Source: https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
MINIMUM: Final = {
    "usd": 50, "aed": 200, "ars": 50, "aud": 50, "brl": 50, "cad": 50, "chf": 50,
    "cop": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400,
    "huf": 17500, "idr": 50, "ils": 50, "inr": 50, "jpy": 50, "krw": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "php": 50, "pln": 200, "ron": 200, "rub": 50,
    "sek": 300, "sgd": 50, "thb": 1000, "zar": 50,
}  # fmt: skip
#: Accepted currencies without a minimum here.
OTHER_CURRENCIES: Final = frozenset(
    "afn all amd ang aoa awg azn bam bbd bdt bgn bhd bif bmd bnd bob bsd bwp byn bzd "
    "cdf clp cny crc cve djf dop dzd egp etb fjd fkp gel gip gmd gnf gtq gyd hnl "
    "htg isk jmd jod kes kgs khr kmf kwd kyd kzt lak lbp lkr lrd lsl mad "
    "mdl mga mkd mmk mnt mop mur mvr mwk mzn nad ngn nio npr omr pab pen pgk pkr "
    "pyg qar rsd rwf sar sbd scr shp sle sos srd std szl tjs tnd top try ttd twd "
    "tzs uah ugx uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zmw".split()
)
#: Sent with a last digit of 0: Stripe keeps three decimals but settles two.
#: Source: https://docs.stripe.com/currencies#three-decimal
THREE_DECIMAL: Final = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
#: Sent times 100 although nothing below the whole unit exists, so a multiple of 100.
#: Source: https://docs.stripe.com/currencies#special-cases
WHOLE_UNITS: Final = frozenset(("isk", "ugx"))
#: Eight digits, the most Stripe takes for an amount in most currencies, and more in
#: some. Source: the page of the minimum.
MAXIMUM: Final = 99_999_999
MAXIMUM_IN: Final = {
    **dict.fromkeys(("cop", "huf", "idr", "jpy", "lbp"), 999_999_999_999),
    "inr": 999_999_999,
}
