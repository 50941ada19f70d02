"""Applies the outcome of a call to its payment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from domain import retry
from domain.errors import (
    LookupRequired,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotPermitted,
    ProviderError,
)
from domain.payments.answer import Answer, Verdict
from domain.payments.apply_lookup import apply_lookup
from domain.payments.event_types import EventType
from domain.payments.external_changes import (
    record_external_movements,
    with_partly_captured_hold,
)
from domain.payments.operation import ClaimAction, Operation
from domain.payments.payment import Payment
from domain.payments.review_reasons import LookupReason, ReviewReason, out_of_turn
from domain.payments.routing import reroute_after_failure
from domain.payments.states import State, Trigger, move
from domain.payments.apply_answer import (
    apply_answer,
    needs_payer_approval,
    escalate,
    is_approved_again,
    amount_differs,
    may_have_duplicate,
    is_refund_too_large,
    schedule_refund_lookups,
    event_data,
)
from domain.provider_rules import RULES


def settle(
    payment: Payment, outcome: Answer | ProviderError, *, now: datetime, jitter: float
) -> Payment:
    """The payment with the outcome of its claimed call, and without the claim.

    ``jitter`` in [0, 1] spreads the next tries. Raises PaymentNotFound without a claim.
    """
    if isinstance(outcome, ProviderError):
        return _apply_outcome(payment, outcome, now, jitter)
    outcome = with_partly_captured_hold(payment, outcome)
    after = _apply_outcome(payment, outcome, now, jitter)
    return record_external_movements(payment, after, outcome, now=now)


def _apply_outcome(
    payment: Payment, outcome: Answer | ProviderError, now: datetime, jitter: float
) -> Payment:
    operation, claim = payment.claimed_operation, payment.claim
    free = replace(payment, claim=None)
    if claim is not None and claim.action is ClaimAction.LOOKUP:
        return apply_lookup(
            free, operation, outcome, asked_at=claim.at, now=now, jitter=jitter
        )
    rerouted = reroute_after_failure(
        free, operation, outcome, event_data(outcome), now=now
    )
    if rerouted is not None:
        return rerouted
    if isinstance(outcome, NeedsReview):
        return escalate(
            free, operation, outcome.detail, now=now, request_id=outcome.request_id
        )
    if isinstance(outcome, LookupRequired):
        return _schedule_lookup(free, operation, outcome.code, event_data(outcome), now)
    if isinstance(outcome, ProviderError):
        return _handle_error(free, operation, outcome, now, jitter)
    if amount_differs(free, operation, outcome):
        known = replace(operation, refs={**operation.refs, **outcome.refs})
        return escalate(
            free,
            known,
            ReviewReason.AMOUNT_DIFFERS,
            now=now,
            request_id=outcome.request_id,
        )
    if outcome.verdict is Verdict.ABSENT or is_approved_again(operation, outcome):
        # Only a lookup can prove absence; a send cannot.
        return escalate(free, operation, ReviewReason.ABSENT_IN_ANSWER, now=now)
    if operation.state is State.UNKNOWN and not _is_about_earlier_send(
        free, operation, outcome
    ):
        reason = out_of_turn(outcome.verdict, State.UNKNOWN)
        return _schedule_lookup(free, operation, reason, event_data(outcome), now)
    if may_have_duplicate(operation, outcome):
        return escalate(
            free,
            operation,
            ReviewReason.ANOTHER_ORDER,
            now=now,
            request_id=outcome.request_id,
        )
    if is_refund_too_large(free, operation, outcome):
        target = free.get_operation(operation.target or "")
        known = replace(operation, refs={**operation.refs, **outcome.refs})
        free = schedule_refund_lookups(free, target, now=now)
        return _schedule_lookup(
            free, known, LookupReason.EXCEEDS_CAPTURED, event_data(outcome), now
        )
    return apply_answer(free, operation, outcome, EventType.ATTEMPT_ANSWERED, now=now)


def _is_about_earlier_send(
    payment: Payment, operation: Operation, answer: Answer
) -> bool:
    """Whether the answer to a resend is conclusive about the send before it.

    An unattributed refusal is of this call only: it may have been refused just because
    the earlier one took the money. A provider that keeps failed keys answers with the
    object that the key made. At a provider that forgets them, the resend may be a new
    request with an object of its own. Only moved money, which moves once for an
    invoice, or a known object is then conclusive. A demand for the payer's action is
    conclusive where the payer must approve first: no send can have moved money.
    """
    if answer.verdict is Verdict.ACTION_REQUIRED and needs_payer_approval(
        payment, operation
    ):
        return True
    if not answer.refs or answer.verdict is Verdict.REJECTED:
        return False
    if not RULES[payment.provider].forgets_failed_keys:
        return True
    moved = answer.verdict in (Verdict.SUCCEEDED, Verdict.PENDING)
    return moved or not operation.refs.items().isdisjoint(answer.refs.items())


def _schedule_lookup(
    payment: Payment,
    operation: Operation,
    reason: str,
    data: Mapping[str, str | int],
    now: datetime,
) -> Payment:
    """The outcome is unknown, and another send would prove nothing."""
    after = replace(
        operation,
        lookups_since=now,
        lookup_count=0,
        due_at=now,
        waiting_for=f"a status lookup at {payment.provider}: {reason}",
        error=reason,
    )
    return payment.transition(
        after, Trigger.OUTCOME_UNKNOWN, EventType.ATTEMPT_ANSWERED, now=now, data=data
    )


def _handle_error(
    payment: Payment,
    operation: Operation,
    error: ProviderError,
    now: datetime,
    jitter: float,
) -> Payment:
    trigger = (
        Trigger.NOT_EXECUTED
        if isinstance(error, NotExecuted)
        else Trigger.OUTCOME_UNKNOWN
    )
    policy, words = _retry_policy(move(operation.state, trigger), error)
    due_at = policy.next_at(
        tries=operation.attempts,
        since=operation.started_at or now,
        now=now,
        jitter=jitter,
        retry_after=error.retry_after,
    )
    if due_at is None and operation.may_have_duplicate_order:
        return escalate(
            payment,
            operation,
            ReviewReason.ANOTHER_ORDER,
            now=now,
            request_id=error.request_id,
        )
    if due_at is None:
        trigger, words = Trigger.GAVE_UP, "an operator's replay"
    spent = 0 if isinstance(error, Misconfigured) else 1
    after = replace(
        operation,
        attempts=operation.attempts - 1 + spent,
        due_at=due_at,
        waiting_for=words.format(payment.provider),
        error=error.detail,
    )
    return payment.transition(
        after, trigger, EventType.ATTEMPT_ANSWERED, now=now, data=event_data(error)
    )


#: ``waiting_for`` of each retry policy.
_WAITS: Final = {
    retry.UNKNOWN: "{} to answer the same request",
    retry.MISCONFIGURED: "credentials that {} accepts",
    retry.TRANSIENT: "{} to take the request",
}
#: ``waiting_for`` where the credentials are right but lack a right.
_WAITS_FOR_RIGHT: Final = "a right that {} has to grant"


def _retry_policy(state: State, error: ProviderError) -> tuple[retry.RetryPolicy, str]:
    if state is State.UNKNOWN:
        policy = retry.UNKNOWN
    elif isinstance(error, Misconfigured):
        policy = retry.MISCONFIGURED
    else:
        policy = retry.TRANSIENT
    lacks_right = isinstance(error, NotPermitted) and policy is retry.MISCONFIGURED
    return policy, _WAITS_FOR_RIGHT if lacks_right else _WAITS[policy]
