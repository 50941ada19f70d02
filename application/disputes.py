"""What is new of a dispute: read afresh at the provider, and laid over its payment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from application.ports.admission import Gates
from application.ports.operators import OperatorView
from application.ports.payments import PaymentStore
from application.ports.webhooks import Disputes
from domain.account import Account
from domain.circuit_breaker import Call, CallKind, Sign, sign_of
from domain.error_details import ErrorDetail
from domain.errors import NotExecuted, PaymentNotFound, ProviderError
from domain.payments.answer import Answer, Verdict
from domain.payments.apply_dispute import laid_over
from domain.payments.dispute import MAX_DISPUTES, Hint, Reading
from domain.payments.event_types import EventType
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName

log = logging.getLogger(__name__)

#: Writes of one payment that a dispute may meet before it is tried again later.
_ROUNDS: Final = 5

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handling of disputes shares."""

    view: OperatorView
    store: PaymentStore
    #: Shows what an account has; raises ProviderError where it cannot be asked.
    disputes: Callable[[Account], Disputes]
    gates: Gates
    clock: Callable[[], datetime]
    told: Callable[[ProviderName, str], None]  #: counts each fact, once it is stored
    sleep: Callable[[float], None] = time.sleep


def follow(hint: Hint, desk: Desk) -> Payment | None:
    """The payment, stored with the dispute as the provider shows it now.

    None where it is not there yet. What is written was read after the payment was, and
    only where that has not moved on: so no older reading comes after a newer one,
    however late or often the provider tells. Raises PaymentNotFound where what is
    disputed is no payment of the account's, ProviderError where it could not be read,
    or the payment moves too often, and StoreUnavailable.
    """
    named = _read(hint, desk).payment
    if named is None:
        raise PaymentNotFound
    for _ in range(_ROUNDS):
        payment = next(iter(desk.view.known([named])), None)
        if payment is None:
            return None
        if payment.account != hint.account:
            raise PaymentNotFound
        reading = _read(hint, desk)
        step = laid_over(payment, reading, now=desk.clock())
        stored = payment if step is payment else desk.store.amend(step)
        if stored is not None:
            _tell(step, reading, desk)
            return stored
    raise NotExecuted(ErrorDetail.PAYMENT_MOVES_ON)


def _read(hint: Hint, desk: Desk) -> Reading:
    call = Call(CallKind.DISPUTES, hint.ref)
    return asked(
        hint.account, call, desk, lambda: desk.disputes(hint.account).read(hint)
    )


def asked(account: Account, call: Call, desk: Desk, read: Callable[[], _T]) -> _T:
    """What ``read`` returns, by the account's gates, of which a read is one call.

    All that it opens is the gate before disputes: an account may have no right to such
    reads, and take payments all the same. Raises ProviderError.
    """
    admission = desk.gates.admit(account.id, [call], urgent=False)
    if not admission.granted:
        raise NotExecuted(ErrorDetail.NOT_ADMITTED, retry_after=admission.again_in)
    desk.sleep(admission.after)
    try:
        found = read()
    except ProviderError as error:
        sign, of_disputes = sign_of(error), call.kind is CallKind.DISPUTES
        tells = sign is Sign.BUSY or (of_disputes and sign is Sign.KIND_REFUSED)
        told = error if tells else ProviderError(error.detail)
        desk.gates.tell(account.id, [(call, told)])
        raise
    desk.gates.tell(account.id, [(call, Answer(Verdict.SUCCEEDED))])
    return found


def _tell(step: Payment, reading: Reading, desk: Desk) -> None:
    """Counts and logs what was new, which is stored by now."""
    provider, dispute = step.provider, reading.dispute
    logged = {
        "payment": step.id,
        "provider": provider.value,
        "ref": dispute.id,
        "reason": dispute.reason,
    }
    for event in step.news:
        desk.told(provider, event.type)
        if event.type == EventType.DISPUTE_OPENED:
            log.warning("dispute_opened", extra=logged)
    known = any(one.id == dispute.id for one in step.disputes)
    if not known and len(step.disputes) >= MAX_DISPUTES:
        log.error("dispute_not_kept", extra=logged)
