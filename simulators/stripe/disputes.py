"""Disputes at Stripe: chargebacks, which take the money first, and inquiries.

Source: https://docs.stripe.com/disputes/how-disputes-work
"""

from __future__ import annotations

from typing import Final

from simulators.calls import Json, new_id
from simulators.ledger import Kind
from simulators.stripe.dispute_shape import show_dispute
from simulators.stripe.fees import dispute_fee
from simulators.stripe.objects import Charge, Dispute
from simulators.stripe.store import Store

REASONS: Final = (
    "bank_cannot_process", "check_returned", "credit_not_processed",
    "customer_initiated", "debit_not_authorized", "duplicate", "fraudulent", "general",
    "incorrect_account_details", "insufficient_funds", "noncompliant",
    "product_not_received", "product_unacceptable", "subscription_canceled",
    "unrecognized",
)  # fmt: skip
#: Status to the statuses that may follow it; a dispute begins as one of the first two.
#: An inquiry that goes to needs_response has become a chargeback.
NEXT: Final = {
    "needs_response": ("under_review", "won", "lost"),
    "warning_needs_response": (
        "warning_under_review",
        "warning_closed",
        "needs_response",
    ),
    "under_review": ("won", "lost"),
    "warning_under_review": ("warning_closed", "needs_response"),
    "won": (),
    "lost": (),
    "warning_closed": (),
}
FIRST: Final = ("needs_response", "warning_needs_response")
CLOSED: Final = ("won", "lost", "warning_closed")


class Disputes:
    """Opens disputes and changes their status, with each step's money and events."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, wanted: Json) -> Json:
        """Open one: ``{"charge" | "payment_intent", "reason", "status"}``."""
        charge = self._charge(wanted)
        reason = wanted.get("reason", "fraudulent")
        status = wanted.get("status", "needs_response")
        if reason not in REASONS:
            raise ValueError(f"reason must be one of {list(REASONS)}")
        if status not in FIRST:
            raise ValueError(f"status must be one of {list(FIRST)}")
        return show_dispute(self._open(charge, reason, status))

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
        dispute.status = str(status)
        if dispute.status in CLOSED:
            self._close(dispute)
        else:
            self._send_event(dispute, "updated")
        if dispute.inquiry and dispute.status == "needs_response":
            dispute.inquiry = False
            self._withdraw(dispute)
        return show_dispute(dispute)

    def open_for(self, charge: Charge) -> None:
        """Open the dispute of a test payment method, if it has one.

        At ``Bounds.disputes`` it opens none, because the payment is not at fault.
        """
        wanted, full = charge.method.dispute, self._full()
        if wanted is not None and charge.dispute is None and not full:
            self._open(charge, *wanted)

    def _full(self) -> bool:
        return len(self._store.disputes) >= self._store.bounds.disputes

    def _charge(self, wanted: Json) -> Charge:
        if self._full():
            most = self._store.bounds.disputes
            raise ValueError(f"{most} disputes are kept already")
        intent = self._store.intents.get(str(wanted.get("payment_intent")))
        charge = self._store.charges.get(str(wanted.get("charge")))
        charge = charge or (intent.charge if intent is not None else None)
        if charge is None:
            raise ValueError("charge or payment_intent must name a charge")
        if charge.amount_captured <= charge.amount_refunded:
            raise ValueError(f"{charge.id} holds no money that could be disputed")
        if charge.dispute is not None:
            raise ValueError(f"{charge.id} is disputed already")
        return charge

    def _open(self, charge: Charge, reason: str, status: str) -> Dispute:
        store = self._store
        dispute = Dispute(
            id=new_id("dp_1", 23),
            charge=charge,
            created=store.now(),
            amount=charge.amount_captured - charge.amount_refunded,
            reason=reason,
            status=status,
            inquiry=status == "warning_needs_response",
        )
        charge.dispute = store.disputes[dispute.id] = dispute
        store.account(charge.intent.account).disputes.append(dispute)
        self._send_event(dispute, "created")
        if not dispute.inquiry:
            self._withdraw(dispute)
        return dispute

    def _withdraw(self, dispute: Dispute) -> None:
        """Take the disputed amount and the fee from the balance."""
        charge = dispute.charge
        line = self._store.settle(
            charge.intent,
            "adjustment",
            dispute.id,
            -dispute.amount,
            fee=dispute_fee(charge.intent.currency),
            fee_description="Dispute fee",
            category="dispute",
            description=f"Chargeback withdrawal for {charge.id}",
        )
        dispute.lines.append(line)
        self._move(dispute, "withdraw")
        self._send_event(dispute, "funds_withdrawn")

    def _close(self, dispute: Dispute) -> None:
        """End it; a won chargeback returns the money, but not the fee."""
        if dispute.status == "won":
            line = self._store.settle(
                dispute.charge.intent,
                "adjustment",
                dispute.id,
                dispute.amount,
                category="dispute_reversal",
                description=f"Chargeback reversal for {dispute.charge.id}",
            )
            dispute.lines.append(line)
            self._move(dispute, "reinstate")
        self._send_event(dispute, "closed")
        if dispute.status == "won":
            self._send_event(dispute, "funds_reinstated")

    def _move(self, dispute: Dispute, kind: Kind) -> None:
        intent = dispute.charge.intent
        self._store.move(kind, intent, dispute.id, dispute.amount, None)

    def _send_event(self, dispute: Dispute, step: str) -> None:
        account = dispute.charge.intent.account
        self._store.send_event(
            account, f"charge.dispute.{step}", show_dispute(dispute), None
        )
