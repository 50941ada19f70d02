"""Vault tokens of the simulator, whose names choose the outcome of a payment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a payment with a token."""

    #: Issue of a 422; None for an accepted payment.
    issue: str | None = None
    #: Status of the capture or authorization: COMPLETED means success.
    status: str = "COMPLETED"
    #: Whether the review of a PENDING one ends with a denial.
    denied: bool = False
    #: instant; pending: completes later; failing: pending and fails later;
    #: refused: 422 REFUND_FAILED_INSUFFICIENT_FUNDS.
    refund: str = "instant"


_OUTCOMES: Final = {
    "vault_declined": Outcome("INSTRUMENT_DECLINED"),
    "vault_payer_cannot_pay": Outcome("PAYER_CANNOT_PAY"),
    "vault_refused": Outcome("TRANSACTION_REFUSED"),
    "vault_payer_action": Outcome("PAYER_ACTION_REQUIRED"),
    "vault_payee_restricted": Outcome("PAYEE_ACCOUNT_RESTRICTED"),
    "vault_compliance": Outcome("COMPLIANCE_VIOLATION"),
    "vault_pending": Outcome(status="PENDING"),
    "vault_pending_denied": Outcome(status="PENDING", denied=True),
    "vault_capture_declined": Outcome(status="DECLINED"),
    "vault_refund_pending": Outcome(refund="pending"),
    "vault_refund_failed": Outcome(refund="failing"),
    "vault_refund_no_funds": Outcome(refund="refused"),
}


def outcome_of(token: str) -> Outcome:
    """Return a token's outcome. A token that PayPal would not know is not found.

    Tokens begin with ``vault_``. Those with ``vault_missing`` do not exist, and those
    outside the table succeed.
    """
    if not token.startswith("vault_") or token.startswith("vault_missing"):
        return Outcome("TOKEN_ID_NOT_FOUND")
    return _OUTCOMES.get(token, Outcome())
