"""Disputes for tests, and their application to a payment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from domain.payments.apply_dispute import apply_dispute
from domain.payments.dispute import Dispute, DisputeState, DisputeSnapshot
from domain.payments.payment import Payment
from tests.suites.samples import NOW, PRICE, stored

CHARGE: Final = "ch_1"


def dispute(id: str = "dp_1", **fields: Any) -> Dispute:
    """A dispute of the whole price, with ``fields`` changed."""
    whole = Dispute(
        id=id,
        ref=CHARGE,
        money=PRICE,
        reason="fraudulent",
        state=DisputeState.NEEDS_RESPONSE,
        opened_at=NOW,
        withdrawn=PRICE.minor,
        respond_by=NOW + timedelta(days=10),
    )
    return replace(whole, **fields)


def snapshot(payment: Payment, read: Dispute | None = None) -> DisputeSnapshot:
    """The provider's view of a dispute of the payment's first operation."""
    return DisputeSnapshot(read or dispute(), payment.id, (payment.first_operation.id,))


def apply_disputes(payment: Payment, *read: Dispute) -> Payment:
    """The stored payment after these disputes were applied in turn."""
    for number, one in enumerate(read):
        at = NOW + timedelta(hours=number)
        payment = stored(apply_dispute(payment, snapshot(payment, one), now=at))
    return payment


LOST: Final = dispute(state=DisputeState.LOST, respond_by=None, outcome="lost")
