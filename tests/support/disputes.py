"""Disputes for tests, and laying them over a payment."""

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
    """One of the whole price, unless ``fields`` say otherwise."""
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


def reading(about: Payment, read: Dispute | None = None) -> DisputeSnapshot:
    """What the provider shows of a dispute of ``about``'s first operation."""
    return DisputeSnapshot(read or dispute(), about.id, (about.first_operation.id,))


def lay(payment: Payment, *read: Dispute) -> Payment:
    """The payment with these read one after another, as it is stored in the end."""
    for number, one in enumerate(read):
        at = NOW + timedelta(hours=number)
        payment = stored(apply_dispute(payment, reading(payment, one), now=at))
    return payment


LOST: Final = dispute(state=DisputeState.LOST, respond_by=None, outcome="lost")
