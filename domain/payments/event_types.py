"""The types of the events on a payment's timeline."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """What one line of a timeline says. Stored and shown by its value."""

    PAYMENT_ACCEPTED = "payment.accepted"  #: the first event of every payment
    PAYMENT_ROUTED = "payment.routed"  #: it went on to another account
    OPERATION_ACCEPTED = "operation.accepted"  #: a capture, void or refund
    OPERATION_CANCELED = "operation.canceled"  #: called off before money moved
    OPERATION_ESCALATED = "operation.escalated"  #: it needs manual review
    OPERATION_CORRECTED = "operation.corrected"  #: a later fact moved a final one
    OPERATION_DISCOVERED = "operation.discovered"  #: others made it at the provider
    OPERATION_NAMED = "operation.named"  #: the provider's id of a resolved refund
    OPERATION_OVERTAKEN = "operation.overtaken"  #: others left no money for it
    OPERATION_REPLAYED = "operation.replayed"  #: an operator had it tried again
    OPERATION_RESOLVED = "operation.resolved"  #: an operator said how it ended
    ATTEMPT_SENT = "attempt.sent"  #: written before the call
    ATTEMPT_ANSWERED = "attempt.answered"  #: the answer, or the error in its place
    LOOKUP_SENT = "lookup.sent"  #: written before the status lookup
    LOOKUP_ANSWERED = "lookup.answered"
    LEASE_EXPIRED = "lease.expired"  #: the worker went silent in mid-call
    AUTHORIZATION_EXPIRING = "authorization.expiring"  #: a warning
    AUTHORIZATION_ENDING = "authorization.ending"  #: its end has come by our clock
    AUTHORIZATION_ENDED = "authorization.ended"  #: the provider let the money go
    WEBHOOK_RECEIVED = "webhook.received"  #: a webhook had news of an operation
    DISPUTE_OPENED = "dispute.opened"
    DISPUTE_UPDATED = "dispute.updated"
    DISPUTE_REOPENED = "dispute.reopened"
    DISPUTE_FUNDS_WITHDRAWN = "dispute.funds_withdrawn"
    DISPUTE_FUNDS_REINSTATED = "dispute.funds_reinstated"
    DISPUTE_WON = "dispute.won"
    DISPUTE_LOST = "dispute.lost"
    DISPUTE_CLOSED = "dispute.closed"
