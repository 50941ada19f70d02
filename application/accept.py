"""A new payment: durable first, then the bell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from application.ports import JobQueue, PaymentStore, Scope
from domain.errors import IdempotencyMismatch
from domain.payment import BELL_GRACE, Event, Kind, Operation, Payment
from domain.submission import Submission


@dataclass(frozen=True, slots=True)
class Request:
    """The HTTP request that a payment comes from."""

    scope: Scope
    idempotency_key: str
    fingerprint: str
    request_id: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The stored payment, and whether an earlier request had made it."""

    payment: Payment
    replayed: bool


def accept_payment(
    submission: Submission,
    request: Request,
    *,
    store: PaymentStore,
    queue: JobQueue,
    clock: Callable[[], datetime],
    new_id: Callable[[str], str],
) -> Accepted:
    """Stores the payment once for its key, and rings the bell where work is owed now.

    Raises InvalidPayment, IdempotencyMismatch and StoreUnavailable; after any of
    them nothing of this request is promised.
    """
    now = clock()
    submission.check(now=now)
    payment = _new_payment(submission, request, now=now, new_id=new_id)
    [stored] = store.insert_many([payment])
    if stored.id == payment.id:
        if submission.execute_at is None or submission.execute_at <= now:
            queue.ring([stored.id])
        return Accepted(stored, replayed=False)
    if stored.fingerprint != request.fingerprint:
        raise IdempotencyMismatch
    return Accepted(stored, replayed=True)


def _new_payment(
    submission: Submission,
    request: Request,
    *,
    now: datetime,
    new_id: Callable[[str], str],
) -> Payment:
    operation = Operation(
        id=new_id("op"), kind=Kind.CHARGE, amount=submission.amount.minor
    )
    told = {"operation": operation.id, "to": operation.state.value}
    return Payment(
        id=new_id("pay"),
        merchant=request.scope.merchant,
        mode=request.scope.mode,
        idempotency_key=request.idempotency_key,
        fingerprint=request.fingerprint,
        submission=submission,
        operations=(operation,),
        created_at=now,
        updated_at=now,
        due_at=max(now + BELL_GRACE, submission.execute_at or now),
        request_id=request.request_id,
        traceparent=request.traceparent,
        news=(Event(1, "payment.accepted", now, told),),
    )
