"""A payment: what the web app asked for, and how far we have come with it.

Values are frozen. Each step returns a new payment whose ``news`` holds the events
of that step; the store writes both in one go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain import retry
from domain.answer import Answer, Failure, NextAction, Verdict
from domain.errors import (
    Misconfigured,
    NeedsReview,
    NotExecuted,
    ProviderError,
)
from domain.idempotency import WINDOWS, provider_key
from domain.states import OWED, State, Status, Trigger, move, status_of
from domain.submission import Mode, Submission

#: How long the message of a new payment has before recovery looks for it; equally
#: how early a claim may come, so that clocks may differ by as much.
BELL_GRACE: Final = timedelta(seconds=2)

#: A worker renews its leases every third of this; a dead one's work is taken over
#: after it. Shorter than that, a long pause of a live worker would cost a resend.
LEASE: Final = timedelta(seconds=15)

#: Whom an answer waits for where it does not say it better.
_WAITS: Final = {Verdict.PENDING: "the provider", Verdict.ACTION_REQUIRED: "the payer"}


class Kind(StrEnum):
    """What an operation does."""

    CHARGE = "charge"  #: authorize and capture in one step


@dataclass(frozen=True, slots=True)
class Send:
    """A request to a provider, written down before it happens."""

    key: str  #: the provider's idempotency key
    body: str  #: JSON, sent again to the letter by every resend
    first_at: datetime  #: the earliest time it may have reached the provider
    window_ends_at: datetime  #: the same key protects until then


@dataclass(frozen=True, slots=True)
class Operation:
    """One movement of money that was asked for."""

    id: str
    kind: Kind
    amount: int  #: minor units of the payment's currency
    state: State = State.QUEUED
    attempts: int = 0  #: sends so far; those that credentials refused do not count
    generation: int = 1  #: see ``idempotency.provider_key``
    send: Send | None = None
    started_at: datetime | None = None  #: the first attempt
    waiting_for: str | None = None  #: whom or what it waits for, in words

    @property
    def key(self) -> str:
        """The provider key of the current generation."""
        return provider_key(self.id, self.generation)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline; ``seq`` counts from 1 without a gap."""

    seq: int
    type: str
    at: datetime
    data: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Payment:
    """The aggregate: one document, one version, one timeline."""

    id: str
    merchant: str
    mode: Mode
    idempotency_key: str
    fingerprint: str  #: of the request that made it
    submission: Submission
    operations: tuple[Operation, ...]
    created_at: datetime
    updated_at: datetime
    due_at: datetime | None  #: work is owed from then on; None: none is
    request_id: str | None = None  #: of the HTTP request that made it
    traceparent: str | None = None  #: W3C trace context of that request
    authorized: int = 0  #: minor units, as ``captured`` and ``refunded``
    captured: int = 0
    refunded: int = 0
    refs: Mapping[str, str] = field(default_factory=dict)  #: provider object ids
    next_action: NextAction | None = None
    last_error: Failure | None = None
    version: int = 1  #: raised by every write that moves the payment: the fence
    told: int = 0  #: events on the stored timeline
    news: tuple[Event, ...] = ()  #: events not stored yet

    @property
    def operation(self) -> Operation:
        """The one that was asked for last."""
        return self.operations[-1]

    @property
    def status(self) -> Status:
        """What the merchant sees."""
        return status_of(self.operation.state, captured=self.captured)

    @property
    def settled(self) -> bool:
        """Nothing more will happen unless somebody outside acts."""
        return self.operation.state not in OWED

    def lease_expired(self, *, now: datetime) -> Payment:
        """Its worker went silent after the send was written down."""
        return self._step(self.operation, Trigger.LEASE_EXPIRED, "lease.expired", now)

    def sent(self, body: str, *, now: datetime) -> Payment:
        """The next send of ``body`` (JSON), written down before it happens.

        A resend keeps the first body and, while the outcome is unknown, the first
        time: the provider's window runs from there.
        """
        operation = self.operation
        send, attempt = operation.send, operation.attempts + 1
        if send is None or operation.state is not State.UNKNOWN:
            send = Send(
                key=operation.key,
                body=send.body if send else body,
                first_at=now,
                window_ends_at=now + WINDOWS[self.submission.provider],
            )
        operation = replace(
            operation,
            send=send,
            attempts=attempt,
            started_at=operation.started_at or now,
            waiting_for=None,
        )
        data: dict[str, str | int] = {"attempt": attempt, "provider_key": send.key}
        return self._step(operation, Trigger.SENT, "attempt.sent", now, data)

    def window_closed(self, *, now: datetime) -> bool:
        """Sending again would be a new charge: the provider may have forgotten."""
        send = self.operation.send
        unknown = self.operation.state is State.UNKNOWN
        return unknown and send is not None and now >= send.window_ends_at

    def escalate(
        self, why: str, *, now: datetime, request_id: str | None = None
    ) -> Payment:
        """Only a person can go on; ``why`` is a short code.

        ``request_id`` is the provider's name of the call that led there.
        """
        operation = replace(self.operation, waiting_for=f"an operator: {why}")
        data: dict[str, str | int] = {"why": why}
        if request_id is not None:
            data["provider_request_id"] = request_id
        event = "operation.escalated"
        stepped = self._step(operation, Trigger.ESCALATED, event, now, data)
        return replace(stepped, due_at=None)

    def settle(
        self, outcome: Answer | ProviderError, *, now: datetime, jitter: float
    ) -> Payment:
        """What the attempt came to; ``jitter`` in [0, 1] spreads the next one."""
        if isinstance(outcome, NeedsReview):
            return self.escalate(outcome.detail, now=now, request_id=outcome.request_id)
        if isinstance(outcome, ProviderError):
            return self._unsettled(outcome, now, jitter)
        odd = self._odd(outcome)
        if odd is not None:
            known = replace(self, refs={**self.refs, **outcome.refs})
            return known.escalate(odd, now=now, request_id=outcome.request_id)
        return self._answered(outcome, now)

    def _odd(self, answer: Answer) -> str | None:
        """Why no step of ours may follow from ``answer``, or None."""
        succeeded = answer.verdict is Verdict.SUCCEEDED
        if answer.moved != (self.submission.amount if succeeded else None):
            return "amount_differs"
        if self.operation.state is State.UNKNOWN and not _tells_of_earlier(answer):
            return f"{answer.verdict}_while_unknown"
        return None

    def _answered(self, answer: Answer, now: datetime) -> Payment:
        data = _data(answer=answer.verdict, request_id=answer.request_id)
        if answer.failure is not None:
            data["code"] = answer.failure.decline_code or answer.failure.code
        waiting_for = answer.waiting_for or _WAITS.get(answer.verdict)
        operation = replace(self.operation, waiting_for=waiting_for)
        moved = answer.moved.minor if answer.moved is not None else 0
        return replace(
            self._step(
                operation, answer.verdict.trigger, "attempt.answered", now, data
            ),
            due_at=None,
            authorized=self.authorized + moved,
            captured=self.captured + moved,
            refs={**self.refs, **answer.refs},
            next_action=answer.next_action,
            last_error=answer.failure,
        )

    def _unsettled(self, error: ProviderError, now: datetime, jitter: float) -> Payment:
        operation, provider = self.operation, self.submission.provider
        trigger = (
            Trigger.NOT_EXECUTED
            if isinstance(error, NotExecuted)
            else Trigger.OUTCOME_UNKNOWN
        )
        if move(operation.state, trigger) is State.UNKNOWN:
            policy = retry.UNKNOWN
            waiting_for = f"{provider} to answer the same request"
        elif isinstance(error, Misconfigured):
            policy = retry.MISCONFIGURED
            waiting_for = f"credentials that {provider} accepts"
        else:
            policy = retry.TRANSIENT
            waiting_for = f"{provider} to take the request"
        due_at = policy.next_at(
            tries=operation.attempts,
            since=operation.started_at or now,
            now=now,
            jitter=jitter,
            retry_after=error.retry_after,
        )
        if due_at is None:
            trigger, waiting_for = Trigger.GAVE_UP, "an operator's replay"
        spent = 0 if isinstance(error, Misconfigured) else 1
        operation = replace(
            operation,
            attempts=operation.attempts - 1 + spent,
            waiting_for=waiting_for,
        )
        data = _data(answer=error.code, request_id=error.request_id, code=error.detail)
        stepped = self._step(operation, trigger, "attempt.answered", now, data)
        return replace(stepped, due_at=due_at)

    def _step(
        self,
        operation: Operation,
        trigger: Trigger,
        event: str,
        now: datetime,
        data: Mapping[str, str | int] | None = None,
    ) -> Payment:
        """Moves the open ``operation`` by the table, and tells it."""
        after = replace(operation, state=move(operation.state, trigger))
        told: dict[str, str | int] = {
            "operation": after.id,
            "from": operation.state.value,
            "to": after.state.value,
            **(data or {}),
        }
        seq = self.told + len(self.news) + 1
        return replace(
            self,
            operations=(*self.operations[:-1], after),
            updated_at=now,
            news=(*self.news, Event(seq, event, now, told)),
        )


def _tells_of_earlier(answer: Answer) -> bool:
    """Whether the answer to a resend says what became of the send before it.

    An object of the provider's under our key does. A bare no speaks of this call: it
    may have been refused just because the earlier one took the money.
    """
    return bool(answer.refs) and answer.verdict is not Verdict.REJECTED


def _data(
    *, answer: str, request_id: str | None, code: str | None = None
) -> dict[str, str | int]:
    """What an ``attempt.answered`` event says, without what was not given."""
    said = {"answer": str(answer), "code": code, "provider_request_id": request_id}
    return {name: value for name, value in said.items() if value is not None}
