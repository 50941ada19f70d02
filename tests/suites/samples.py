"""Payments to test with."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final

from application.ports import Scope
from domain.answer import Answer, Failure, Verdict
from domain.money import Money
from domain.payment import BELL_GRACE, Event, Kind, Operation, Payment
from domain.submission import Mode, ProviderName, Submission

NOW: Final = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)
SHOP: Final = Scope("shop", Mode.TEST)
PRICE: Final = Money(1999, "USD")
DECLINE: Final = Answer(
    Verdict.DECLINED,
    failure=Failure("card_declined", "Declined.", decline_code="insufficient_funds"),
    request_id="req_declined",
)


def submission(
    *,
    amount: Money = PRICE,
    provider: ProviderName = ProviderName.STRIPE,
    payment_method: str | None = "pm_card_visa",
    reference: str | None = None,
    execute_at: datetime | None = None,
) -> Submission:
    """What a web app might ask for."""
    return Submission(
        amount=amount,
        provider=provider,
        payment_method=payment_method,
        reference=reference,
        execute_at=execute_at,
    )


def payment(
    number: int = 1,
    *,
    asked: Submission | None = None,
    scope: Scope = SHOP,
    key: str | None = None,
    fingerprint: str = "f1",
    now: datetime = NOW,
) -> Payment:
    """A new payment, as ``accept`` makes it: its message may come within the grace.

    ``number`` names it; a higher one is a later payment.
    """
    asked = asked or submission()
    operation = Operation(f"op_{number:026d}", Kind.CHARGE, asked.amount.minor)
    told = {"operation": operation.id, "to": operation.state.value}
    return Payment(
        id=f"pay_{number:026d}",
        merchant=scope.merchant,
        mode=scope.mode,
        idempotency_key=key or f"key-{number}",
        fingerprint=fingerprint,
        submission=asked,
        operations=(operation,),
        created_at=now,
        updated_at=now,
        due_at=max(now + BELL_GRACE, asked.execute_at or now),
        news=(Event(1, "payment.accepted", now, told),),
    )
