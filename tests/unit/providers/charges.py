"""Payments for the adapters' tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from domain.money import Money
from domain.operation import Kind, Operation, Origin
from domain.payment import Payment
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
        submission=Submission(amount=amount, provider=provider, **fields),
        operations=(
            Operation(
                id="op_1",
                kind=Kind.CHARGE,
                amount=amount.minor,
                origin=Origin("key", "fingerprint"),
                owed_from=NOW,
                due_at=NOW,
            ),
        ),
        created_at=NOW,
        updated_at=NOW,
    )
