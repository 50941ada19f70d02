"""The steps of a payment before a worker calls the provider."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from domain.errors import IllegalTransition
from domain.payments.event_types import EventType
from domain.payments.operation import ClaimAction, Claim, Operation, Send
from domain.payments.payment import Payment
from domain.payments.states import State, Trigger
from domain.payments.apply_answer import needs_payer_approval, creates_order
from domain.provider_rules import RULES
from domain.timestamps import format_rfc3339


def expire_claim(payment: Payment, *, now: datetime) -> Payment:
    """The payment without the claim of a dead worker.

    The outcome of its send is unknown. A lookup changed nothing.
    """
    claim = payment.claim
    if claim is None:
        return payment
    operation, free = payment.claimed_operation, replace(payment, claim=None)
    if claim.action is ClaimAction.LOOKUP:
        return free
    return free.transition(
        operation, Trigger.LEASE_EXPIRED, EventType.LEASE_EXPIRED, now=now
    )


def record_send(
    payment: Payment, operation: Operation, body: str, *, now: datetime
) -> Payment:
    """The payment with the next send of ``operation`` recorded, before it happens.

    A resend keeps the first ``body`` (JSON) of its key. While the outcome is unknown it
    also keeps the first time, from which the provider's window runs. Raises
    IllegalTransition where only a lookup may be next.
    """
    if operation.needs_lookup(now=now):
        raise IllegalTransition("only a status lookup may be next")
    send, attempt = operation.send, operation.attempts + 1
    if send is not None and operation.state is State.UNKNOWN:
        send = replace(send, last_at=now)
        operation = replace(
            operation, may_have_duplicate_order=_may_duplicate_order(payment, operation)
        )
    else:
        window = RULES[payment.provider].key_windows[operation.kind]
        send = Send(
            key=operation.provider_key,
            body=send.body if send else body,
            first_at=now,
            last_at=now,
            window_ends_at=now + window,
        )
    after = replace(
        operation,
        send=send,
        attempts=attempt,
        started_at=operation.started_at or now,
        waiting_for=None,
        # The error of an earlier key does not concern a new one.
        error=operation.error if operation.send else None,
    )
    return replace(
        payment.transition(
            after,
            Trigger.SENT,
            EventType.ATTEMPT_SENT,
            now=now,
            data={"attempt": attempt, "provider_key": send.key},
        ),
        claim=Claim(operation.id, ClaimAction.SEND, payment.version + 1, now),
    )


def _may_duplicate_order(payment: Payment, operation: Operation) -> bool:
    """Whether a resend may make a second order that takes money besides an earlier one.

    Where the payer approves first, no order takes money by itself.
    """
    if not creates_order(payment, operation):
        return operation.may_have_duplicate_order
    return not needs_payer_approval(payment, operation)


def start_lookup(payment: Payment, operation: Operation, *, now: datetime) -> Payment:
    """The payment with a status lookup of ``operation`` recorded, before it happens."""
    looked_up = replace(
        operation,
        lookups_since=operation.lookups_since or now,
        lookup_count=operation.lookup_count + 1,
    )
    return replace(
        payment.with_event(
            looked_up,
            EventType.LOOKUP_SENT,
            now=now,
            data={"lookup": looked_up.lookup_count},
        ),
        claim=Claim(operation.id, ClaimAction.LOOKUP, payment.version + 1, now),
    )


def advance_hold(payment: Payment, *, now: datetime) -> Payment:
    """The payment with the next warning of its hold, or with a lookup at its end.

    Only the provider decides when a hold has ended.
    """
    hold, first = payment.hold, payment.first_operation
    if hold is None or hold.next_at is None:
        raise IllegalTransition("the hold needs no step")
    if hold.expires_at is not None and now >= hold.expires_at:
        after = replace(first, due_at=now, lookups_since=now)
        ending = payment.with_event(after, EventType.AUTHORIZATION_ENDING, now=now)
        return replace(ending, hold=replace(hold, asked=True))
    data: dict[str, str | int] = {}
    for name, at in (
        ("expires_at", hold.expires_at),
        ("honored_until", hold.honored_until),
    ):
        if at is not None:
            data[name] = format_rfc3339(at)
    warned = payment.with_event(
        first, EventType.AUTHORIZATION_EXPIRING, now=now, data=data
    )
    return replace(warned, hold=replace(hold, warnings_sent=hold.warnings_sent + 1))
