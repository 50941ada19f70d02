"""The states of an operation and of a payment, and the table that moves them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from domain.errors import IllegalTransition


class State(StrEnum):
    """The state of an operation."""

    QUEUED = "queued"  #: stored durably; a send is due
    RUNNING = "running"  #: claimed by a worker; its send is recorded before it happens
    RETRYING = "retrying"  #: proven not executed; tried again at ``due_at``
    UNKNOWN = "unknown"  #: sent, without a conclusive answer; only evidence changes it
    PENDING = "pending"  #: in progress at the provider
    REQUIRES_ACTION = "requires_action"  #: the payer must act
    REVIEW = "review"  #: needs manual review
    DEAD = "dead"  #: given up, proven not executed; a replay queues it again
    SUCCEEDED = "succeeded"  #: the provider carried it out
    DECLINED = "declined"  #: the provider or the payer's bank refused the payment
    REJECTED = "rejected"  #: the provider refuses this request from any payer
    CANCELED = "canceled"  #: canceled before it was carried out
    EXPIRED = "expired"  #: its time ended before it was carried out


class Trigger(StrEnum):
    """An event that changes an operation's state."""

    SENT = "sent"  #: a worker took the lease and recorded the send
    LEASE_EXPIRED = "lease_expired"  #: its lease ended in the middle of the call
    SUCCEEDED = "succeeded"  #: the provider answered: carried out
    DECLINED = "declined"  #: the provider answered: declined
    REJECTED = "rejected"  #: the provider refuses the request, or certainly would
    ACTION_REQUIRED = "action_required"  #: the provider answered: the payer must act
    APPROVED = "approved"  #: the payer agreed at the provider; the next send is due
    PENDED = "pended"  #: the provider answered: still in progress
    NOT_EXECUTED = "not_executed"  #: this send did nothing, and another try is due
    OUTCOME_UNKNOWN = "outcome_unknown"  #: no answer, or one that proves nothing
    ABSENT = "absent"  #: a status lookup proved that the provider never had it
    ESCALATED = "escalated"  #: needs manual review from now on
    GAVE_UP = "gave_up"  #: the budget of tries is spent, nothing was executed
    CANCELED = "canceled"  #: canceled by the merchant or the provider
    EXPIRED = "expired"  #: the provider's or the payer's time ended
    REPLAYED = "replayed"  #: an operator queued it again, proven not executed
    ROUTED = "routed"  #: this account did not take it, the next one is tried
    RESUMED = "resumed"  #: an operator requested another lookup; still unknown


#: Only a correction changes it.
TERMINAL: Final = frozenset(
    {State.SUCCEEDED, State.DECLINED, State.REJECTED, State.CANCELED, State.EXPIRED}
)
#: A worker has something to do now or at ``due_at``.
STATES_WITH_WORK: Final = frozenset(
    {State.QUEUED, State.RUNNING, State.RETRYING, State.UNKNOWN}
)
#: A send is owed: the provider should have nothing that could move money.
UNSENT: Final = frozenset({State.QUEUED, State.RETRYING})
#: The next step is the provider's or the payer's.
WAITING: Final = frozenset({State.PENDING, State.REQUIRES_ACTION})
#: It waits for an operator.
STUCK: Final = frozenset({State.REVIEW, State.DEAD})

#: The allowed changes. Any other raises IllegalTransition and changes nothing.
TRANSITIONS: Final[Mapping[tuple[State, Trigger], State]] = {
    (State.QUEUED, Trigger.SENT): State.RUNNING,
    (State.QUEUED, Trigger.CANCELED): State.CANCELED,
    (State.QUEUED, Trigger.ESCALATED): State.REVIEW,
    (State.QUEUED, Trigger.ROUTED): State.QUEUED,
    # A refund or capture made at the provider left no money for it.
    (State.QUEUED, Trigger.REJECTED): State.REJECTED,
    # A lookup found the effect of an earlier key after a late webhook.
    (State.QUEUED, Trigger.SUCCEEDED): State.SUCCEEDED,
    (State.QUEUED, Trigger.PENDED): State.PENDING,
    (State.QUEUED, Trigger.ACTION_REQUIRED): State.REQUIRES_ACTION,
    (State.RUNNING, Trigger.LEASE_EXPIRED): State.UNKNOWN,
    (State.RUNNING, Trigger.SUCCEEDED): State.SUCCEEDED,
    (State.RUNNING, Trigger.DECLINED): State.DECLINED,
    (State.RUNNING, Trigger.REJECTED): State.REJECTED,
    (State.RUNNING, Trigger.ACTION_REQUIRED): State.REQUIRES_ACTION,
    (State.RUNNING, Trigger.APPROVED): State.QUEUED,
    (State.RUNNING, Trigger.PENDED): State.PENDING,
    (State.RUNNING, Trigger.CANCELED): State.CANCELED,
    (State.RUNNING, Trigger.EXPIRED): State.EXPIRED,
    (State.RUNNING, Trigger.NOT_EXECUTED): State.RETRYING,
    (State.RUNNING, Trigger.OUTCOME_UNKNOWN): State.UNKNOWN,
    (State.RUNNING, Trigger.ESCALATED): State.REVIEW,
    (State.RUNNING, Trigger.GAVE_UP): State.DEAD,
    (State.RUNNING, Trigger.ROUTED): State.QUEUED,
    (State.RETRYING, Trigger.SENT): State.RUNNING,
    (State.RETRYING, Trigger.CANCELED): State.CANCELED,
    (State.RETRYING, Trigger.ESCALATED): State.REVIEW,
    (State.RETRYING, Trigger.ROUTED): State.QUEUED,
    (State.RETRYING, Trigger.REJECTED): State.REJECTED,
    (State.RETRYING, Trigger.SUCCEEDED): State.SUCCEEDED,
    (State.RETRYING, Trigger.PENDED): State.PENDING,
    (State.RETRYING, Trigger.ACTION_REQUIRED): State.REQUIRES_ACTION,
    # A resend leaves it unknown until evidence comes: a refused resend
    # proves nothing about the send before it.
    (State.UNKNOWN, Trigger.SENT): State.UNKNOWN,
    (State.UNKNOWN, Trigger.LEASE_EXPIRED): State.UNKNOWN,
    (State.UNKNOWN, Trigger.NOT_EXECUTED): State.UNKNOWN,
    (State.UNKNOWN, Trigger.OUTCOME_UNKNOWN): State.UNKNOWN,
    (State.UNKNOWN, Trigger.SUCCEEDED): State.SUCCEEDED,
    (State.UNKNOWN, Trigger.DECLINED): State.DECLINED,
    (State.UNKNOWN, Trigger.ACTION_REQUIRED): State.REQUIRES_ACTION,
    (State.UNKNOWN, Trigger.APPROVED): State.QUEUED,
    (State.UNKNOWN, Trigger.PENDED): State.PENDING,
    (State.UNKNOWN, Trigger.CANCELED): State.CANCELED,
    (State.UNKNOWN, Trigger.EXPIRED): State.EXPIRED,
    (State.UNKNOWN, Trigger.ABSENT): State.RETRYING,
    (State.UNKNOWN, Trigger.ESCALATED): State.REVIEW,
    (State.PENDING, Trigger.PENDED): State.PENDING,
    (State.PENDING, Trigger.SUCCEEDED): State.SUCCEEDED,
    (State.PENDING, Trigger.DECLINED): State.DECLINED,
    (State.PENDING, Trigger.CANCELED): State.CANCELED,
    (State.PENDING, Trigger.EXPIRED): State.EXPIRED,
    (State.PENDING, Trigger.ESCALATED): State.REVIEW,
    (State.REQUIRES_ACTION, Trigger.ACTION_REQUIRED): State.REQUIRES_ACTION,
    (State.REQUIRES_ACTION, Trigger.APPROVED): State.QUEUED,
    (State.REQUIRES_ACTION, Trigger.PENDED): State.PENDING,
    (State.REQUIRES_ACTION, Trigger.SUCCEEDED): State.SUCCEEDED,
    (State.REQUIRES_ACTION, Trigger.DECLINED): State.DECLINED,
    (State.REQUIRES_ACTION, Trigger.CANCELED): State.CANCELED,
    (State.REQUIRES_ACTION, Trigger.EXPIRED): State.EXPIRED,
    (State.REQUIRES_ACTION, Trigger.ESCALATED): State.REVIEW,
    (State.REVIEW, Trigger.SUCCEEDED): State.SUCCEEDED,
    (State.REVIEW, Trigger.DECLINED): State.DECLINED,
    (State.REVIEW, Trigger.ACTION_REQUIRED): State.REQUIRES_ACTION,
    (State.REVIEW, Trigger.PENDED): State.PENDING,
    (State.REVIEW, Trigger.CANCELED): State.CANCELED,
    (State.REVIEW, Trigger.EXPIRED): State.EXPIRED,
    (State.REVIEW, Trigger.ABSENT): State.DEAD,
    (State.REVIEW, Trigger.RESUMED): State.UNKNOWN,
    (State.REVIEW, Trigger.REPLAYED): State.QUEUED,
    (State.DEAD, Trigger.SUCCEEDED): State.SUCCEEDED,
    (State.DEAD, Trigger.CANCELED): State.CANCELED,
    (State.DEAD, Trigger.REJECTED): State.REJECTED,
    (State.DEAD, Trigger.REPLAYED): State.QUEUED,
}

#: The changes of terminal states by a later answer of the provider. Each one is an
#: event, is logged as an error and counted.
CORRECTIONS: Final[Mapping[tuple[State, Trigger], State]] = {
    (State.SUCCEEDED, Trigger.DECLINED): State.DECLINED,
    (State.SUCCEEDED, Trigger.CANCELED): State.CANCELED,
    (State.DECLINED, Trigger.SUCCEEDED): State.SUCCEEDED,
    (State.REJECTED, Trigger.SUCCEEDED): State.SUCCEEDED,
    (State.CANCELED, Trigger.SUCCEEDED): State.SUCCEEDED,
    (State.EXPIRED, Trigger.SUCCEEDED): State.SUCCEEDED,
}


def move(state: State, trigger: Trigger) -> State:
    """The state that ``trigger`` leads to. Raises IllegalTransition without one."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise IllegalTransition(f"{trigger} does not move {state}") from None


class Status(StrEnum):
    """A payment's state for its merchant, derived from its operations and its hold."""

    PROCESSING = "processing"  #: not settled yet, or in manual review
    REQUIRES_ACTION = "requires_action"  #: the payer must act, see ``next_action``
    AUTHORIZED = "authorized"  #: the money is on hold and can be captured
    PARTIALLY_CAPTURED = "partially_captured"  #: the rest is still on hold
    CAPTURED = "captured"  #: the money was collected for the merchant
    PARTIALLY_REFUNDED = "partially_refunded"  #: a part of it was refunded
    REFUNDED = "refunded"  #: all of it was refunded
    VOIDED = "voided"  #: the hold was released, nothing was captured
    EXPIRED = "expired"  #: its time ended before money moved
    CANCELED = "canceled"  #: canceled before money moved
    FAILED = "failed"  #: ended without a movement of money, see ``last_error``
