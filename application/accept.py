"""Stores new payments, captures, voids and refunds, and then notifies the workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from application.write_retries import retry_write
from application.ports.payments import JobQueue, PaymentStore, Scope
from domain.account import Account
from domain.errors import (
    IdempotencyMismatch,
    InvalidPayment,
    PaymentNotFound,
    PaymentsError,
    StoreUnavailable,
)
from domain.payments.event_types import EventType
from domain.payments.operation import Kind, Operation, Origin
from domain.payments.payment import WAKEUP_GRACE, Event, Payment
from domain.payments.routing import Routes, choose_accounts
from domain.payments.submission import CaptureMethod, Submission

#: Tries of a request that meets another write of the same payment. One write succeeds
#: each time, so only very many requests of one payment need more.
_MAX_ROUNDS: Final = 50

#: Adds an operation to a payment: a function of ``domain.payments.follow_ups`` with all
#: arguments but the payment given.
PaymentChange = Callable[[Payment], Payment]


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A request for a payment."""

    submission: Submission
    origin: Origin


@dataclass(frozen=True, slots=True)
class Accepted:
    """The stored payment, and the requested operation."""

    payment: Payment
    operation: Operation
    is_repeat: bool  #: an earlier request with the same key made it


def accept_payment(
    request: NewPayment,
    *,
    scope: Scope,
    routes: Routes,
    draw: Callable[[], float],
    store: PaymentStore,
    queue: JobQueue,
    clock: Callable[[], datetime],
    new_id: Callable[[str], str],
) -> Accepted:
    """Stores the payment once for its key, and notifies the workers if it is due now.

    ``routes`` are the merchant's, and ``draw`` in [0, 1) decides between them. Raises
    InvalidPayment, IdempotencyMismatch, ReferenceInProgress and StoreUnavailable. After
    an error the request is not accepted.
    """
    [accepted] = accept_many(
        [request],
        scope=scope,
        routes=routes,
        draw=draw,
        store=store,
        queue=queue,
        clock=clock,
        new_id=new_id,
    )
    if isinstance(accepted, PaymentsError):
        raise accepted
    return accepted


def accept_many(
    requests: Sequence[NewPayment],
    *,
    scope: Scope,
    routes: Routes,
    draw: Callable[[], float],
    store: PaymentStore,
    queue: JobQueue,
    clock: Callable[[], datetime],
    new_id: Callable[[str], str],
) -> list[Accepted | PaymentsError]:
    """Accepts each payment as ``accept_payment`` does, with one insert for all.

    Returns, in order, each request's result or the error that ``accept_payment`` raises
    for it. Raises StoreUnavailable where the whole insert failed: repeats of the
    requests then show which payments are stored.
    """
    now = clock()
    prepared = [
        _prepare(
            request,
            scope=scope,
            routes=routes,
            draw=draw,
            store=store,
            now=now,
            new_id=new_id,
        )
        for request in requests
    ]
    new = [one for one in prepared if isinstance(one, Payment)]
    stored = iter(store.insert_many(new) if new else ())
    results = [
        _result(request, one, next(stored)) if isinstance(one, Payment) else one
        for request, one in zip(requests, prepared, strict=True)
    ]
    due = [
        one.payment.id
        for one in results
        if isinstance(one, Accepted)
        and not one.is_repeat
        and one.operation.starts_at <= now
    ]
    if due:
        queue.notify(due)
    return results


def accept_request(
    payment_id: str,
    request: PaymentChange,
    origin: Origin,
    *,
    scope: Scope,
    store: PaymentStore,
    queue: JobQueue,
) -> Accepted:
    """Applies ``request`` to the payment once for its key, and notifies the workers.

    Raises PaymentNotFound, InvalidPayment, Conflict, IdempotencyMismatch and
    StoreUnavailable. After an error the request is not accepted.
    """

    def write() -> Accepted | None:
        found = store.get(scope, payment_id)
        if found is None:
            raise PaymentNotFound
        if found.find_by_key(origin.idempotency_key) is not None:
            return _accept_again(found, origin)
        stored = store.amend(request(found))
        if stored is None:
            return None
        return Accepted(stored, stored.operations[-1], is_repeat=False)

    error = StoreUnavailable("too many write to this payment at once")
    accepted = retry_write(write, rounds=_MAX_ROUNDS, error=error)
    if not accepted.is_repeat and accepted.operation.due_at is not None:
        queue.notify([payment_id])
    return accepted


def _prepare(
    request: NewPayment,
    *,
    scope: Scope,
    routes: Routes,
    draw: Callable[[], float],
    store: PaymentStore,
    now: datetime,
    new_id: Callable[[str], str],
) -> Payment | Accepted | PaymentsError:
    """The payment to store, else the result or the error of the request."""
    submission, origin = request.submission, request.origin
    try:
        submission.check(now=now)
        try:
            accounts = choose_accounts(routes, submission, draw=draw())
        except InvalidPayment:
            # The accounts may have changed since; a repeated request gets the first
            # request's result.
            earlier = store.find_by_key(scope, origin.idempotency_key)
            if earlier is None:
                raise
            return _accept_again(earlier, origin)
    except PaymentsError as error:
        return error
    return _build_payment(
        submission,
        origin,
        scope=scope,
        accounts=accounts,
        routes_on=routes.decline_codes if accounts[1:] else (),
        now=now,
        new_id=new_id,
    )


def _result(
    request: NewPayment, payment: Payment, stored: Payment | PaymentsError
) -> Accepted | PaymentsError:
    """The result of an insert, which may have found an earlier payment."""
    if isinstance(stored, PaymentsError):
        return stored
    if stored.id == payment.id:
        return Accepted(stored, stored.first_operation, is_repeat=False)
    try:
        return _accept_again(stored, request.origin)
    except IdempotencyMismatch as error:
        return error


def _accept_again(stored: Payment, origin: Origin) -> Accepted:
    """The result of an earlier request with the same key.

    Raises IdempotencyMismatch where that request had another body.
    """
    made = stored.find_by_key(origin.idempotency_key)
    earlier = made.origin if made is not None else None
    if made is None or earlier is None or earlier.fingerprint != origin.fingerprint:
        raise IdempotencyMismatch
    return Accepted(stored, made, is_repeat=True)


def _build_payment(
    submission: Submission,
    origin: Origin,
    *,
    scope: Scope,
    accounts: Sequence[Account],
    routes_on: tuple[str, ...],
    now: datetime,
    new_id: Callable[[str], str],
) -> Payment:
    is_manual = submission.capture is CaptureMethod.MANUAL
    starts_at = max(now, submission.execute_at or now)
    operation = Operation(
        id=new_id("op"),
        kind=Kind.AUTHORIZE if is_manual else Kind.CHARGE,
        amount=submission.amount.minor,
        origin=origin,
        starts_at=starts_at,
        due_at=max(now + WAKEUP_GRACE, starts_at),
    )
    account, *rest = accounts
    data = {"operation": operation.id, "to": operation.state.value}
    return Payment(
        id=new_id("pay"),
        merchant=scope.merchant,
        mode=scope.mode,
        submission=submission,
        account=account,
        route=tuple(rest),
        routes_on=routes_on,
        operations=(operation,),
        created_at=now,
        updated_at=now,
        pending_events=(Event(1, EventType.PAYMENT_ACCEPTED, now, data),),
    )
