"""What is new of a dispute: read afresh at the provider, and laid over its payment."""

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

#: Writes of one payment that a dispute may meet before it is tried again later.
_MAX_CONFLICTS: Final = 5

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DisputeContext:
    """What the handling of disputes shares."""

    view: OperatorView
    store: PaymentStore
    #: Shows what an account has; raises ProviderError where it cannot be asked.
    disputes: Callable[[Account], DisputeReader]
    admission: AdmissionControl
    clock: Callable[[], datetime]
    count_event: Callable[
        [ProviderName, str], None
    ]  #: counts each fact, once it is stored
    sleep: Callable[[float], None] = time.sleep


def sync_dispute(update: DisputeUpdate, context: DisputeContext) -> Payment | None:
    """The payment, stored with the dispute as the provider shows it now.

    None where it is not there yet. What is written was read after the payment was, and
    only where that has not moved on: so no older reading comes after a newer one,
    however late or often the provider tells. Raises PaymentNotFound where what is
    disputed is no payment of the account's, ProviderError where it could not be read,
    or the payment moves too often, and StoreUnavailable.
    """
    named = _read_dispute(update, context).payment
    if named is None:
        raise PaymentNotFound
    # Not ``retry_on_conflict``: here None says that the payment is not there.
    for _ in range(_MAX_CONFLICTS):
        payment = next(iter(context.view.load([named])), None)
        if payment is None:
            return None
        if payment.account != update.account:
            raise PaymentNotFound
        reading = _read_dispute(update, context)
        step = apply_dispute(payment, reading, now=context.clock())
        stored = payment if step is payment else context.store.amend(step)
        if stored is not None:
            _report_events(step, reading, context)
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
    """What ``read`` returns, by the account's breakers, of which a read is one call.

    All that it opens is the breaker of disputes: an account may have no right to such
    reads, and take payments all the same. Raises ProviderError.
    """
    admission = context.admission.admit(account.id, [call], urgent=False)
    if not admission.granted:
        raise NotExecuted(ErrorDetail.NOT_ADMITTED, retry_after=admission.retry_in)
    context.sleep(admission.delay)
    try:
        found = read()
    except ProviderError as error:
        sign, of_disputes = assess_health(error), call.kind is CallKind.DISPUTES
        tells = sign is ProviderHealth.BUSY or (
            of_disputes and sign is ProviderHealth.KIND_REFUSED
        )
        told = error if tells else ProviderError(error.detail)
        context.admission.record(account.id, [(call, told)])
        raise
    context.admission.record(account.id, [(call, Answer(Verdict.SUCCEEDED))])
    return found


def _report_events(
    step: Payment, snapshot: DisputeSnapshot, context: DisputeContext
) -> None:
    """Counts and logs what was new, which is stored by now."""
    provider, dispute = step.provider, snapshot.dispute
    logged = {
        "payment": step.id,
        "provider": provider.value,
        "ref": dispute.id,
        "reason": dispute.reason,
    }
    for event in step.pending_events:
        context.count_event(provider, event.type)
        if event.type == EventType.DISPUTE_OPENED:
            log.warning("dispute_opened", **logged)
    known = any(one.id == dispute.id for one in step.disputes)
    if not known and len(step.disputes) >= MAX_DISPUTES:
        log.error("dispute_not_kept", **logged)
