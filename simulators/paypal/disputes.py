"""Disputes at PayPal, inquiries and claims: list, read, change of status.

Source: https://developer.paypal.com/docs/api/customer-disputes/v1/
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from simulators.calls import Answer, Call, Json, new_id
from simulators.paypal.dispute_shape import show_dispute, show_page
from simulators.paypal.errors import bad_field
from simulators.paypal.money import Money
from simulators.paypal.objects import Capture, Dispute, Refund
from simulators.paypal.shapes import show_refund
from simulators.paypal.store import Store, answer, new_paypal_id

#: Disputes kept; no more are opened.
MAX_DISPUTES: Final = 100_000
REASONS: Final = (
    "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
    "MERCHANDISE_OR_SERVICE_NOT_AS_DESCRIBED",
    "UNAUTHORISED",
    "CREDIT_NOT_PROCESSED",
    "DUPLICATE_TRANSACTION",
    "INCORRECT_AMOUNT",
    "PAYMENT_BY_OTHER_MEANS",
    "CANCELED_RECURRING_BILLING",
    "PROBLEM_WITH_REMITTANCE",
    "OTHER",
)
#: Status to its successors. A dispute begins as one of the first two: an inquiry
#: between payer and merchant, or a claim that PayPal decides.
NEXT: Final = {
    "OPEN": ("WAITING_FOR_SELLER_RESPONSE", "won", "lost", "canceled"),
    "WAITING_FOR_SELLER_RESPONSE": ("UNDER_REVIEW", "won", "lost", "canceled"),
    "UNDER_REVIEW": ("WAITING_FOR_SELLER_RESPONSE", "won", "lost", "canceled"),
    "RESOLVED": (),
}
FIRST: Final = ("OPEN", "WAITING_FOR_SELLER_RESPONSE")
#: The final outcomes; ``canceled`` is the payer's choice.
OUTCOMES: Final = {
    "won": "RESOLVED_SELLER_FAVOUR",
    "lost": "RESOLVED_BUYER_FAVOUR",
    "canceled": "CANCELED_BY_BUYER",
}
#: Disputes on one page.
DEFAULT_SIZE: Final = 10
MAX_SIZE: Final = 50


class Disputes:
    """The disputes of payers and their outcomes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def search(self, call: Call) -> Answer:
        """``GET /v1/customer/disputes``, newest first."""
        query = call.query
        size = _size(query.get("page_size", str(DEFAULT_SIZE)))
        since = _time(query, "start_time")
        capture = query.get("disputed_transaction_id")
        found = [
            dispute
            for dispute in reversed(self._store.disputes.values())
            if dispute.capture.order.account == call.account
            and dispute.created >= since
            and capture in (None, dispute.capture.id)
        ]
        ids = [dispute.id for dispute in found]
        token = query.get("next_page_token")
        if token is not None and token not in ids:
            raise bad_field("INVALID_PARAMETER_VALUE", "/next_page_token", token)
        start = ids.index(token) if token is not None else 0
        page, rest = found[start : start + size], ids[start + size :]
        return answer(show_page(page, rest[0] if rest else None, call))

    def get(self, call: Call) -> Answer:
        """``GET /v1/customer/disputes/{id}``."""
        return answer(show_dispute(self._store.dispute(call)))

    def open(self, wanted: Json) -> Json:
        """Open one: ``{"capture", "reason", "status"}``."""
        capture = self._capture(wanted)
        reason = wanted.get("reason", "UNAUTHORISED")
        status = wanted.get("status", "WAITING_FOR_SELLER_RESPONSE")
        if reason not in REASONS:
            raise ValueError(f"reason must be one of {list(REASONS)}")
        if status not in FIRST:
            raise ValueError(f"status must be one of {list(FIRST)}")
        now = self._store.now()
        dispute = Dispute(
            id=new_id("PP-R-", 3, b"ABCDEFGHJKLM") + new_id("-", 8, b"0123456789"),
            capture=capture,
            money=Money(capture.money.units - capture.refunded, capture.money.currency),
            created=now,
            updated=now,
            reason=reason,
            status=status,
            claim=status != "OPEN",
        )
        capture.dispute = self._store.disputes[dispute.id] = dispute
        self._send_event(dispute, "CREATED")
        return show_dispute(dispute)

    def move(self, id: str, status: object) -> Json:
        """Change a dispute's status, as ``NEXT`` allows."""
        dispute = self._store.disputes.get(id)
        if dispute is None:
            raise ValueError(f"there is no dispute {id!r}")
        allowed = NEXT[dispute.status]
        if status not in allowed:
            raise ValueError(
                f"status must be one of {list(allowed)} after {dispute.status}"
            )
        dispute.updated = self._store.now()
        dispute.outcome = OUTCOMES.get(str(status))
        dispute.status = "RESOLVED" if dispute.outcome else str(status)
        dispute.claim = dispute.claim or status == "WAITING_FOR_SELLER_RESPONSE"
        if status == "lost":
            self._reverse(dispute.capture, dispute.money, dispute.id)
        self._send_event(dispute, "RESOLVED" if dispute.outcome else "UPDATED")
        return show_dispute(dispute)

    def reverse(self, wanted: Json) -> Json:
        """Take the rest of ``{"capture"}`` back without a dispute."""
        capture = self._paid(wanted)
        left = Money(capture.money.units - capture.refunded, capture.money.currency)
        return show_refund(self._reverse(capture, left, None))

    def _capture(self, wanted: Json) -> Capture:
        capture = self._paid(wanted)
        if capture.dispute is not None:
            raise ValueError(f"{capture.id} is disputed already")
        if len(self._store.disputes) >= MAX_DISPUTES:
            raise ValueError(f"{MAX_DISPUTES} disputes are kept already")
        return capture

    def _paid(self, wanted: Json) -> Capture:
        capture = self._store.captures.get(str(wanted.get("capture")))
        if capture is None:
            raise ValueError("capture must name a capture")
        if capture.status not in ("COMPLETED", "PARTIALLY_REFUNDED"):
            raise ValueError(f"{capture.id} holds no money that could be disputed")
        return capture

    def _reverse(self, capture: Capture, money: Money, id: str | None) -> Refund:
        """Give the payer the money: PayPal reverses the capture by a refund.

        ``id`` is the dispute's, if there is one.
        """
        store = self._store
        reversal = Refund(
            id=new_paypal_id(),
            capture=capture,
            money=money,
            created=store.now(),
            status="COMPLETED",
            key=None,
            custom_id=capture.custom_id,
            invoice_id=capture.invoice_id,
            note="Payment reversed",
            reversal=True,
        )
        capture.refunds.append(reversal)
        store.refunds[reversal.id] = reversal
        capture.count_refund(money.units, store.now())
        store.move(
            "withdraw",
            id or reversal.id,
            capture.order,
            money,
            None,
            capture.custom_id,
            capture.invoice_id,
        )
        store.send_event("PAYMENT.CAPTURE.REVERSED", "refund", show_refund(reversal))
        return reversal

    def _send_event(self, dispute: Dispute, step: str) -> None:
        event = f"CUSTOMER.DISPUTE.{step}"
        self._store.send_event(event, "dispute", show_dispute(dispute))


def _size(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= MAX_SIZE:
        raise bad_field("INVALID_PARAMETER_VALUE", "/page_size", value)
    return int(value)


def _time(query: Json, name: str) -> float:
    """Return seconds since the epoch; 0 without a time."""
    value = query.get(name)
    if value is None:
        return 0.0
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        raise bad_field("INVALID_PARAMETER_SYNTAX", f"/{name}", value) from None
