"""Payments for the adapters' tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from domain.money import Money
from domain.payment import Kind, Operation, Payment
from domain.submission import Mode, ProviderName, Submission

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def a_charge(
    amount: Money = Money(1999, "USD"),
    provider: ProviderName = ProviderName.STRIPE,
    **fields: Any,
) -> Payment:
    """A new payment; the same arguments make an equal one."""
    return Payment(
        id="pay_1",
        merchant="merchant",
        mode=Mode.TEST,
        idempotency_key="key",
        fingerprint="fingerprint",
        submission=Submission(amount=amount, provider=provider, **fields),
        operations=(Operation("op_1", Kind.CHARGE, amount.minor),),
        created_at=NOW,
        updated_at=NOW,
        due_at=NOW,
    )
