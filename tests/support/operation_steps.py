"""Steps of operations: requests, answers and lookups."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from domain.errors import ProviderError
from domain.money import Money
from domain.payments import follow_ups
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.operation import ABSENCE_PROOF_DELAY, Kind
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from tests.suites.samples import NOW, PRICE, origin, sending, stored

#: A time at which a lookup proves absence.
LATER: Final = NOW + ABSENCE_PROOF_DELAY
FOUND: Final = Answer(
    Verdict.SUCCEEDED, PRICE, {"payment_intent": "pi_1"}, request_id="r1"
)


def capture(
    held: Payment, amount: int | None = None, *, final: bool | None = None
) -> Payment:
    """Requests a capture, by default of the whole hold."""
    name = f"op_{len(held.operations)}"
    requested = follow_ups.capture(
        held, amount=amount, final=final, id=name, origin=origin(name), now=NOW
    )
    return stored(requested)


def refund(
    paid: Payment, amount: int | None = None, *, of: str | None = None
) -> Payment:
    """Requests a refund, by default of the whole rest."""
    name = f"op_{len(paid.operations)}"
    requested = follow_ups.refund(
        paid, amount=amount, target=of, id=name, origin=origin(name), now=NOW
    )
    return stored(requested)


def void(held: Payment) -> Payment:
    """Requests a void."""
    return stored(follow_ups.void(held, id="op_void", origin=origin("void"), now=NOW))


def succeed(requested: Payment) -> Payment:
    """Applies a success to the last operation."""
    operation = requested.operations[-1]
    money = Money(operation.amount, requested.submission.amount.currency)
    refs = {"capture": operation.id} if operation.kind is Kind.CAPTURE else {}
    moved = None if operation.kind is Kind.VOID else money
    answer = Answer(Verdict.SUCCEEDED, moved, refs)
    return stored(settle(sending(requested), answer, now=NOW, jitter=0))


def succeed_next(requested: Payment) -> Payment:
    """Applies a success to the next due operation."""
    assert requested.next_operation is not None
    money = Money(requested.next_operation.amount, requested.submission.amount.currency)
    refs = (
        {"capture": requested.next_operation.id}
        if requested.next_operation.kind is Kind.CAPTURE
        else {}
    )
    answer = Answer(Verdict.SUCCEEDED, money, refs)
    return stored(settle(sending(requested), answer, now=NOW, jitter=0))


def decline(requested: Payment, verdict: Verdict = Verdict.DECLINED) -> Payment:
    """Applies a failure to the last operation."""
    return stored(settle(sending(requested), Answer(verdict), now=NOW, jitter=0))


def apply_lookup(
    given: Payment, outcome: Answer | ProviderError, *, now: datetime = LATER
) -> Payment:
    """Applies a lookup of the first operation, at ``now``."""
    requested = stored(start_lookup(given, given.first_operation, now=now))
    return settle(requested, outcome, now=now, jitter=1.0)
