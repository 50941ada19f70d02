"""Reads a dispute at the provider, and stores it with its payment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from application.logs import get_logger
from application.ports.admission import AdmissionControl
from application.ports.operators import OperatorView
from application.ports.payments import PaymentStore
from application.ports.webhooks import DisputeReader
from domain.account import Account
from domain.circuit_breaker import Call, CallKind, ProviderHealth, assess_health
from domain.error_details import ErrorDetail
from domain.errors import NotExecuted, PaymentNotFound, ProviderError
from domain.payments.answer import Answer, Verdict
from domain.payments.apply_dispute import apply_dispute
from domain.payments.dispute import MAX_DISPUTES, DisputeUpdate, DisputeSnapshot
from domain.payments.event_types import EventType
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName

log = get_logger(__name__)

#: Tries of a dispute that meets other writes of its payment.
_MAX_ROUNDS: Final = 5

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DisputeContext:
    """The dependencies of the handling of disputes."""

    view: OperatorView
    store: PaymentStore
    #: The reader of an account; raises ProviderError where there is none.
    disputes: Callable[[Account], DisputeReader]
    admission: AdmissionControl
    clock: Callable[[], datetime]
    #: Counts each event once it is stored.
    count_event: Callable[[ProviderName, str], None]
    sleep: Callable[[float], None] = time.sleep


def sync_dispute(update: DisputeUpdate, context: DisputeContext) -> Payment | None:
    """The payment, stored with the dispute as the provider shows it now.

    None where the payment is not stored yet. The dispute is read after the payment, and
    written only if the payment has not changed since. So an older snapshot never
    replaces a newer one. Raises PaymentNotFound where the disputed object is not of a
    payment of the account, ProviderError where the dispute could not be read or the
    payment changes too often, and StoreUnavailable.
    """
    payment_id = _read_dispute(update, context).payment
    if payment_id is None:
        raise PaymentNotFound
    # Not ``retry_write``: here None says that the payment is not there.
    for _ in range(_MAX_ROUNDS):
        payment = next(iter(context.view.load([payment_id])), None)
        if payment is None:
            return None
        if payment.account != update.account:
            raise PaymentNotFound
        snapshot = _read_dispute(update, context)
        step = apply_dispute(payment, snapshot, now=context.clock())
        stored = payment if step is payment else context.store.amend(step)
        if stored is not None:
            _report_events(step, snapshot, context)
            return stored
    raise NotExecuted(ErrorDetail.PAYMENT_MOVES_ON)


def _read_dispute(update: DisputeUpdate, context: DisputeContext) -> DisputeSnapshot:
    call = Call(CallKind.DISPUTES, update.ref)
    return read_when_admitted(
        update.account,
        call,
        context,
        lambda: context.disputes(update.account).read(update),
    )


def read_when_admitted(
    account: Account, call: Call, context: DisputeContext, read: Callable[[], _T]
) -> _T:
    """The result of ``read``, as one call through the account's breakers.

    Its failures open only the breaker of disputes: an account may lack the right to
    such reads and still take payments. Raises ProviderError.
    """
    admission = context.admission.admit(account.id, [call], urgent=False)
    if not admission.granted:
        raise NotExecuted(ErrorDetail.NOT_ADMITTED, retry_after=admission.retry_in)
    context.sleep(admission.delay)
    try:
        found = read()
    except ProviderError as error:
        health, is_dispute = assess_health(error), call.kind is CallKind.DISPUTES
        counts = health is ProviderHealth.BUSY or (
            is_dispute and health is ProviderHealth.KIND_REFUSED
        )
        outcome = error if counts else ProviderError(error.detail)
        context.admission.record(account.id, [(call, outcome)])
        raise
    context.admission.record(account.id, [(call, Answer(Verdict.SUCCEEDED))])
    return found


def _report_events(
    step: Payment, snapshot: DisputeSnapshot, context: DisputeContext
) -> None:
    """Counts and logs the stored events."""
    provider, dispute = step.provider, snapshot.dispute
    fields = {
        "payment": step.id,
        "provider": provider.value,
        "ref": dispute.id,
        "reason": dispute.reason,
    }
    for event in step.pending_events:
        context.count_event(provider, event.type)
        if event.type == EventType.DISPUTE_OPENED:
            log.warning("dispute_opened", **fields)
    is_kept = any(one.id == dispute.id for one in step.disputes)
    if not is_kept and len(step.disputes) >= MAX_DISPUTES:
        log.error("dispute_not_kept", **fields)
