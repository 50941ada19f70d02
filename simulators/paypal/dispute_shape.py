"""PayPal's JSON of a dispute, after its OpenAPI file of DisputeReader v1."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from simulators.calls import Call, Json
from simulators.clock import rfc3339
from simulators.paypal.objects import Dispute

#: Seconds a merchant has to answer: 20 days to an inquiry, ten to a claim.
INQUIRY_RESPONSE: Final = 20 * 86400.0
CLAIM_RESPONSE: Final = 10 * 86400.0
#: Path of the DisputeReader API.
PATH: Final = "/v1/customer/disputes"
#: The party that must act, by status.
STATES: Final = {
    "OPEN": "OPEN_INQUIRIES",
    "WAITING_FOR_SELLER_RESPONSE": "REQUIRED_ACTION",
    "UNDER_REVIEW": "UNDER_PAYPAL_REVIEW",
    "RESOLVED": "RESOLVED",
}


def show_page(page: list[Dispute], next_token: str | None, call: Call) -> Json:
    """Return one page of summaries, with a link to the next page if there is one."""
    url = f"{call.base}{PATH}"
    links = [{"href": url, "rel": "self", "method": "GET"}]
    if next_token is not None:
        query = urlencode({**call.query, "next_page_token": next_token})
        links.append({"href": f"{url}?{query}", "rel": "next", "method": "GET"})
    return {"items": [_summary(dispute) for dispute in page], "links": links}


def show_dispute(dispute: Dispute) -> Json:
    """Return the merchant's view of the dispute."""
    capture = dispute.capture
    transaction: Json = {
        "seller_transaction_id": capture.id,
        "create_time": rfc3339(capture.created),
        "transaction_status": capture.status,
        "gross_amount": capture.money.shown(),
        "buyer": {"name": "Ada Payer"},
        "seller": {
            "email": "merchant@example.com",
            "merchant_id": "SJMLTRMRCHNTA",
            "name": "Merchant",
        },
    }
    if capture.invoice_id is not None:
        transaction["invoice_number"] = capture.invoice_id
    if capture.custom_id is not None:
        transaction["custom"] = capture.custom_id
    shown = {**_summary(dispute), "disputed_transactions": [transaction]}
    shown["messages"] = []
    if dispute.outcome is None:
        patience = INQUIRY_RESPONSE if dispute.status == "OPEN" else CLAIM_RESPONSE
        shown["seller_response_due_date"] = rfc3339(dispute.created + patience)
    else:
        shown["dispute_outcome"] = {"outcome_code": dispute.outcome}
        if dispute.outcome == "RESOLVED_BUYER_FAVOUR":
            shown["dispute_outcome"]["amount_refunded"] = dispute.money.shown()
    return shown


def _summary(dispute: Dispute) -> Json:
    """Return the summary of a dispute for lists."""
    url = f"{dispute.capture.order.base}{PATH}/{dispute.id}"
    return {
        "dispute_id": dispute.id,
        "create_time": rfc3339(dispute.created),
        "update_time": rfc3339(dispute.updated),
        "reason": dispute.reason,
        "status": dispute.status,
        "dispute_state": STATES[dispute.status],
        "dispute_amount": dispute.money.shown(),
        "dispute_life_cycle_stage": "CHARGEBACK" if dispute.claim else "INQUIRY",
        "dispute_channel": "INTERNAL",
        "links": [{"href": url, "rel": "self", "method": "GET"}],
    }
