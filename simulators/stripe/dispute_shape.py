"""Stripe's JSON of a dispute, after Stripe's published example."""

from __future__ import annotations

from typing import Final

from simulators.calls import Json
from simulators.stripe.objects import Dispute
from simulators.stripe.shapes import show_balance_transaction

#: Seconds a merchant has to answer: networks give 7 to 21 days.
RESPONSE: Final = 10 * 86400
#: Evidence of a merchant; always empty here.
EVIDENCE: Final = (
    "access_activity_log", "billing_address", "cancellation_policy",
    "cancellation_policy_disclosure", "cancellation_rebuttal",
    "customer_communication", "customer_email_address", "customer_name",
    "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation",
    "duplicate_charge_explanation", "duplicate_charge_id", "product_description",
    "receipt", "refund_policy", "refund_policy_disclosure",
    "refund_refusal_explanation", "service_date", "service_documentation",
    "shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation",
    "shipping_tracking_number", "uncategorized_file", "uncategorized_text",
)  # fmt: skip
#: Visa's reason codes, by Stripe's reason. Source: https://docs.stripe.com/disputes
VISA_CODES: Final = {
    "fraudulent": "10.4",
    "product_not_received": "13.1",
    "product_unacceptable": "13.3",
    "subscription_canceled": "13.2",
    "credit_not_processed": "13.6",
    "duplicate": "12.6",
}


def refundable(dispute: Dispute) -> bool:
    """Whether the charge may be refunded: a chargeback has taken its money."""
    return dispute.inquiry or dispute.status == "won"


def show_dispute(dispute: Dispute) -> Json:
    """Return the ``dispute`` object."""
    charge = dispute.charge
    due_by = dispute.created + RESPONSE
    return {
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": [show_balance_transaction(x) for x in dispute.lines],
        "charge": charge.id,
        "created": dispute.created,
        "currency": charge.intent.currency,
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": due_by if dispute.status.endswith("needs_response") else None,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": refundable(dispute),
        "livemode": False,
        "metadata": {},
        "payment_intent": charge.intent.id,
        "payment_method_details": _method(dispute),
        "reason": dispute.reason,
        "status": dispute.status,
    }


def _method(dispute: Dispute) -> Json | None:
    method = dispute.charge.method
    if method.type != "card":
        return None
    card = {
        "brand": method.brand,
        "case_type": "inquiry" if dispute.inquiry else "chargeback",
        "network": method.brand,
        "network_reason_code": VISA_CODES.get(dispute.reason, "10.4"),
    }
    return {"card": card, "type": "card"}
