"""The types of the events on a payment's timeline."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """The type of one event. Stored and shown by its value."""

    PAYMENT_ACCEPTED = "payment.accepted"  #: the first event of every payment
    PAYMENT_ROUTED = "payment.routed"  #: rerouted to another account
    OPERATION_ACCEPTED = "operation.accepted"  #: a capture, void or refund
    OPERATION_CANCELED = "operation.canceled"  #: canceled before money moved
    OPERATION_ESCALATED = "operation.escalated"  #: it needs manual review
    OPERATION_CORRECTED = (
        "operation.corrected"  #: a later fact changed a terminal state
    )
    OPERATION_DISCOVERED = "operation.discovered"  #: others made it at the provider
    OPERATION_NAMED = "operation.named"  #: the provider's id of a resolved refund
    OPERATION_OVERTAKEN = "operation.overtaken"  #: others left no money for it
    OPERATION_REPLAYED = "operation.replayed"  #: replayed by an operator
    OPERATION_RESOLVED = "operation.resolved"  #: resolved by an operator
    ATTEMPT_SENT = "attempt.sent"  #: written before the call
    ATTEMPT_ANSWERED = "attempt.answered"  #: the answer, or the error in its place
    LOOKUP_SENT = "lookup.sent"  #: written before the status lookup
    LOOKUP_ANSWERED = "lookup.answered"
    LEASE_EXPIRED = "lease.expired"  #: the worker stopped during the call
    AUTHORIZATION_EXPIRING = "authorization.expiring"  #: a warning
    AUTHORIZATION_ENDING = "authorization.ending"  #: it has ended by our clock
    AUTHORIZATION_ENDED = "authorization.ended"  #: the provider released the money
    WEBHOOK_RECEIVED = "webhook.received"  #: a webhook made a status lookup due
    DISPUTE_OPENED = "dispute.opened"
    DISPUTE_UPDATED = "dispute.updated"
    DISPUTE_REOPENED = "dispute.reopened"
    DISPUTE_FUNDS_WITHDRAWN = "dispute.funds_withdrawn"
    DISPUTE_FUNDS_REINSTATED = "dispute.funds_reinstated"
    DISPUTE_WON = "dispute.won"
    DISPUTE_LOST = "dispute.lost"
    DISPUTE_CLOSED = "dispute.closed"
