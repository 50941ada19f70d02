"""Applies a dispute to its payment, with one event for each new fact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from domain.payments.dispute import (
    MAX_DISPUTES,
    STATE_EVENTS,
    REVERSED,
    Dispute,
    DisputeSnapshot,
)
from domain.payments.event_types import EventType
from domain.payments.external_changes import without_disputed_refunds
from domain.payments.operation import Kind
from domain.payments.payment import Event, Payment
from domain.timestamps import format_rfc3339

#: An event's type, and its amount in minor units.
Fact = tuple[EventType, int]


def apply_dispute(
    payment: Payment, snapshot: DisputeSnapshot, *, now: datetime
) -> Payment:
    """The payment with the dispute as the provider shows it.

    The same payment where nothing is new, or the payment has MAX_DISPUTES already.
    ``snapshot`` must have been read after the payment, so that it is no older than the
    dispute in the payment.
    """
    read = snapshot.dispute
    if _is_covered(payment, read):
        return payment
    known = next((one for one in payment.disputes if one.id == read.id), None)
    kept = tuple(one for one in payment.disputes if not _is_replaced(one, read))
    if known is None and len(kept) >= MAX_DISPUTES:
        return payment
    before = sum(one.withdrawn for one in payment.disputes if one not in kept)
    operation, updated_at = None, now
    if known is not None:
        operation, before = known.operation, before + known.withdrawn
        updated_at = known.updated_at or now
    operation = operation or _find_operation(payment, snapshot)
    found = replace(read, operation=operation, updated_at=updated_at)
    if found == known:
        return payment
    found = replace(found, updated_at=now)
    disputes = tuple(found if one is known else one for one in kept)
    disputed = replace(
        payment,
        disputes=disputes if known is not None else (*disputes, found),
        updated_at=now,
        pending_events=(
            *payment.pending_events,
            *_build_events(payment, found, _new_facts(known, found, before), now),
        ),
    )
    return without_disputed_refunds(disputed, now=now)


def _new_facts(known: Dispute | None, found: Dispute, before: int) -> Iterator[Fact]:
    """The new facts of ``found``; ``before`` is the amount withdrawn until now."""
    if known is None:
        yield EventType.DISPUTE_OPENED, found.money.minor
    if found.withdrawn > before:
        yield EventType.DISPUTE_FUNDS_WITHDRAWN, found.withdrawn - before
    elif found.withdrawn < before:
        yield EventType.DISPUTE_FUNDS_REINSTATED, before - found.withdrawn
    moved = STATE_EVENTS.get((known.state if known is not None else None, found.state))
    if moved is not None:
        yield moved, found.money.minor
    elif known is not None and known != replace(
        found, withdrawn=known.withdrawn, updated_at=known.updated_at
    ):
        yield EventType.DISPUTE_UPDATED, found.money.minor


def _build_events(
    payment: Payment, found: Dispute, facts: Iterator[Fact], now: datetime
) -> Iterator[Event]:
    data: dict[str, str | int] = {
        "dispute": found.id,
        "state": found.state.value,
        "currency": found.money.currency,
        "reason": found.reason,
    }
    if found.operation is not None:
        data["operation"] = found.operation
    if found.respond_by is not None:
        data["respond_by"] = format_rfc3339(found.respond_by)
    if found.outcome is not None:
        data["outcome"] = found.outcome
    first = payment.event_count + len(payment.pending_events) + 1
    for seq, (type, amount) in enumerate(facts, first):
        yield Event(seq, type, now, {**data, "amount": amount})


def _find_operation(payment: Payment, snapshot: DisputeSnapshot) -> str | None:
    """The disputed charge or capture: by the provider's id, or by our id on it."""
    charges = [
        one for one in payment.operations if one.kind in (Kind.CHARGE, Kind.CAPTURE)
    ]
    for one in charges:
        if snapshot.dispute.ref in one.refs.values():
            return one.id
    return next((one.id for one in charges if one.id in snapshot.operations), None)


def _is_covered(payment: Payment, read: Dispute) -> bool:
    """Whether it is a reversal by which a known dispute took the money."""
    return read.reason == REVERSED and any(
        one.reason != REVERSED and one.ref == read.ref and one.is_at_risk
        for one in payment.disputes
    )


def _is_replaced(one: Dispute, read: Dispute) -> bool:
    """Whether ``one`` is a reversal that belongs to the dispute ``read``."""
    same = one.reason == REVERSED and one.ref == read.ref and one.id != read.id
    return same and read.reason != REVERSED and read.is_at_risk
