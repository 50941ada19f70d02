"""Payments to test with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from ulid import ULID

from application.ports.payments import PaymentStore, Scope
from domain.account import Account
from domain.errors import PaymentsError
from domain.money import Money
from domain.payments.answer import Answer, Failure, Verdict
from domain.payments.settle import settle
from domain.payments.dispute import Dispute, DisputeState, DisputeSnapshot
from domain.payments.operation import Kind, Operation, Origin
from domain.payments.payment import WAKEUP_GRACE, Event, Payment
from domain.payments.start_attempt import record_send
from domain.payments.submission import (
    CaptureMethod,
    DuplicatePolicy,
    Mode,
    ProviderName,
    Submission,
)

NOW: Final = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)
SHOP: Final = Scope("shop", Mode.TEST)
PRICE: Final = Money(1999, "USD")
KINDS: Final = {
    CaptureMethod.AUTOMATIC: Kind.CHARGE,
    CaptureMethod.MANUAL: Kind.AUTHORIZE,
}
_INTENT: Final = {"payment_intent": "pi_1"}
#: The provider's objects of a first operation that has succeeded.
_REFS: Final[Mapping[tuple[ProviderName | None, Kind], Mapping[str, str]]] = {
    (ProviderName.STRIPE, Kind.CHARGE): _INTENT,
    (ProviderName.STRIPE, Kind.AUTHORIZE): _INTENT,
    (ProviderName.PAYPAL, Kind.CHARGE): {"order": "O1", "capture": "C1"},
    (ProviderName.PAYPAL, Kind.AUTHORIZE): {"order": "O1", "authorization": "A1"},
}
DECLINE: Final = Answer(
    Verdict.DECLINED,
    failure=Failure("card_declined", "Declined.", decline_code="insufficient_funds"),
    request_id="req_declined",
)


def insert_all(store: PaymentStore, payments: Sequence[Payment]) -> list[Payment]:
    """The stored payments. Raises the first error of their inserts."""
    stored: list[Payment] = []
    for one in store.insert_many(payments):
        if isinstance(one, PaymentsError):
            raise one
        stored.append(one)
    return stored


def submission(
    *,
    amount: Money = PRICE,
    provider: ProviderName | None = ProviderName.STRIPE,
    payment_method: str | None = "pm_card_visa",
    reference: str | None = None,
    execute_at: datetime | None = None,
    duplicate_policy: DuplicatePolicy = DuplicatePolicy.NONE,
) -> Submission:
    """A submission of a web app."""
    return Submission(
        amount=amount,
        provider=provider,
        payment_method=payment_method,
        reference=reference,
        execute_at=execute_at,
        duplicate_policy=duplicate_policy,
    )


def payment(
    number: int = 1,
    *,
    submitted: Submission | None = None,
    account: Account | None = None,
    route: tuple[Account, ...] = (),
    routes_on: tuple[str, ...] = (),
    scope: Scope = SHOP,
    key: str | None = None,
    fingerprint: str = "f1",
    now: datetime = NOW,
) -> Payment:
    """A new payment, as ``accept`` makes it: due after the grace.

    ``number`` names it; a higher one is a later payment.
    """
    submitted = submitted or submission()
    operation = Operation(
        id=f"op_{number:026d}",
        kind=KINDS[submitted.capture],
        amount=submitted.amount.minor,
        origin=Origin(key or f"key-{number}", fingerprint),
        starts_at=max(now, submitted.execute_at or now),
        due_at=max(now + WAKEUP_GRACE, submitted.execute_at or now),
    )
    data = {"operation": operation.id, "to": operation.state.value}
    time = ULID.from_timestamp((NOW + timedelta(hours=number)).timestamp())
    return Payment(
        # The id of a payment made ``number`` hours after NOW.
        id=f"pay_{str(time)[:10]}{number:016d}",
        merchant=scope.merchant,
        mode=scope.mode,
        submission=submitted,
        account=account or Account.own(submitted.provider or ProviderName.STRIPE),
        route=route,
        routes_on=routes_on,
        operations=(operation,),
        created_at=now,
        updated_at=now,
        pending_events=(Event(1, "payment.accepted", now, data),),
    )


def sending(payment: Payment, *, now: datetime = NOW, body: str = "{}") -> Payment:
    """The payment with the send of its next operation recorded."""
    assert payment.next_operation is not None
    return record_send(payment, payment.next_operation, body, now=now)


def authorized(number: int = 1, *, now: datetime = NOW, **fields: Any) -> Payment:
    """A payment whose authorization has succeeded, as it is stored."""
    submitted = replace(submission(**fields), capture=CaptureMethod.MANUAL)
    held = Answer(
        Verdict.SUCCEEDED,
        submitted.amount,
        _REFS[submitted.provider, Kind.AUTHORIZE],
        expires_at=now + timedelta(days=7),
    )
    return stored(
        settle(
            sending(payment(number, submitted=submitted, now=now)),
            held,
            now=now,
            jitter=0,
        )
    )


def captured(number: int = 1, *, now: datetime = NOW, **fields: Any) -> Payment:
    """A payment whose charge has succeeded, as it is stored."""
    submitted = submission(**fields)
    paid = Answer(
        Verdict.SUCCEEDED, submitted.amount, _REFS[submitted.provider, Kind.CHARGE]
    )
    return stored(
        settle(
            sending(payment(number, submitted=submitted, now=now)),
            paid,
            now=now,
            jitter=0,
        )
    )


def disputed(payment: Payment, **fields: Any) -> DisputeSnapshot:
    """The provider's view of an open dispute of a payment's first operation."""
    whole = Dispute(
        id="dp_1",
        ref="ch_1",
        money=payment.submission.amount,
        reason="fraudulent",
        state=DisputeState.NEEDS_RESPONSE,
        opened_at=NOW,
        withdrawn=payment.submission.amount.minor,
        respond_by=NOW + timedelta(days=10),
    )
    return DisputeSnapshot(
        replace(whole, **fields), payment.id, (payment.first_operation.id,)
    )


def stored(payment: Payment) -> Payment:
    """The payment as a store returns it after a write."""
    count = payment.event_count + len(payment.pending_events)
    return replace(
        payment, version=payment.version + 1, event_count=count, pending_events=()
    )


def origin(key: str = "k-2", fingerprint: str = "f2") -> Origin:
    """The request of a follow-up."""
    return Origin(key, fingerprint)
