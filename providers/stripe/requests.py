"""Builds the requests that create and confirm a PaymentIntent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from domain.payments.answer import Answer, Verdict
from domain.payments.operation import ClaimAction, Kind, Operation
from domain.payments.payment import Payment
from domain.payments.states import State
from domain.payments.submission import ProviderName, Submission
from providers.sanitize import truncate
from providers.stripe.responses import EXPAND_CHARGE

#: Longest description in Stripe's published schema, in characters.
_DESCRIPTION: Final = 1000


def build_intent(
    submission: Submission, operation: Operation, amount: int, ours: dict[str, str]
) -> dict[str, Any]:
    """The parameters of a charge or an authorization, confirmed in the same call.

    ``amount`` is in Stripe's units.
    """
    manual = operation.kind is Kind.AUTHORIZE
    params: dict[str, Any] = {
        "amount": amount,
        "currency": submission.amount.currency.lower(),
        "confirm": True,
        "capture_method": "manual" if manual else "automatic",
        "payment_method": submission.payment_method,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "metadata": ours,
        "expand": EXPAND_CHARGE,
    }
    if manual and submission.multicapture:
        several = {"request_multicapture": "if_available"}
        params["payment_method_options"] = {"card": several}
    customer = submission.customer_for(ProviderName.STRIPE)
    if customer is not None:
        params["customer"] = customer
    if submission.off_session:
        params["off_session"] = True
    if submission.setup_future_usage is not None:
        params["setup_future_usage"] = submission.setup_future_usage.value
    if submission.reference is not None:
        params["metadata"]["reference"] = submission.reference
    if submission.description is not None:
        params["description"] = truncate(submission.description, _DESCRIPTION)
    if submission.return_url is not None:
        params["automatic_payment_methods"] = {"enabled": True}
        params["return_url"] = submission.return_url
    return params


def build_confirmation(submission: Submission) -> dict[str, Any]:
    """The parameters that confirm an intent again.

    A payment that failed off session is confirmed with the payer present. It names the
    payment method again, because the decline removed it from the intent.
    """
    params: dict[str, Any] = {"expand": EXPAND_CHARGE}
    if submission.off_session:
        params["payment_method"] = submission.payment_method
    if submission.return_url is not None:
        params["return_url"] = submission.return_url
    return params


def require_payer_action(payment: Payment, answer: Answer) -> Answer:
    """Replaces the decline of an off-session payment that needs authentication.

    With a return URL the answer is APPROVED: the intent is confirmed once more, on
    session, and then gives the page where the payer authenticates (docs.stripe.com/
    payments/save-during-payment#charge-saved-payment-method). Without one it asks for
    another submission.
    """
    submission, operation = payment.submission, payment.claimed_operation
    declined = answer.verdict is Verdict.ACTION_REQUIRED and answer.failure is not None
    begins = operation.kind in (Kind.CHARGE, Kind.AUTHORIZE)
    if not (submission.off_session and begins and declined):
        return answer
    resent = (
        operation.approved
        and payment.claim
        and payment.claim.action is ClaimAction.SEND
    )
    if resent or operation.state is State.REQUIRES_ACTION:
        # The payer was present, and the bank declined for the same reason.
        return answer
    if submission.return_url is None:
        words = "the payer, who cannot be asked without a return_url: void it, and"
        return replace(answer, waiting_for=f"{words} submit another one with it")
    if "payment_intent" not in {**operation.refs, **answer.refs}:
        return answer  # no intent to confirm
    return replace(answer, verdict=Verdict.APPROVED, waiting_for=None)
