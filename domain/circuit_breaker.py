"""The circuit breakers of a provider's account: when they open, and for how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.error_details import ErrorDetail
from domain.errors import (
    LookupRequired,
    MalformedObject,
    Misconfigured,
    NotAuthorized,
    NotExecuted,
    NotPermitted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.answer import Answer
from domain.payments.operation import ClaimAction, Kind, Operation
from domain.payments.payment import Payment

#: Seconds of the window in which a process counts outcomes. It is longer than the
#: slowest call (13 s, and as much for a token), so that calls which begin together and
#: hang count together.
WINDOW_SECONDS: Final = 30
#: Failures in the window that open a breaker. A restart at the provider costs a few.
MIN_FAILURES: Final = 10
#: The share of failures in the window that opens a breaker. Below it, an open breaker
#: would delay more calls than it saves.
FAILURE_RATIO: Final = 0.5

#: The time from the opening of a breaker, or a failed probe, to the next probe. It
#: doubles each time: most outages are over in seconds, the others last for minutes.
FIRST_PROBE_DELAY: Final = timedelta(seconds=2)
MAX_PROBE_DELAY: Final = timedelta(seconds=10)
#: The same where the provider refuses our credentials. A person has to change them, and
#: more frequent calls would look like an attack.
MAX_MISCONFIGURED_PROBE_DELAY: Final = timedelta(minutes=1)
#: Operations that were refused before, or whose own probe failed, come last as a probe:
#: this long after the probe was due. It is longer for one kind of calls, since the
#: operation itself may be the cause there.
KIND_REPROBE_DELAY: Final = timedelta(minutes=4)
ACCOUNT_REPROBE_DELAY: Final = timedelta(seconds=5)
#: A probe without an outcome is given up after this. It is longer than the slowest call
#: (connect 3 s, read 10 s) with the token before it and the retries of unsent requests.
PROBE_TIMEOUT: Final = timedelta(seconds=30)

#: Changes, and refused operations, that a breaker remembers.
MAX_CHANGES: Final = 20

#: ``waiting_for`` of an operation that an open breaker stops, with the breaker's
#: subject.
WAITS_FOR_BREAKER: Final = "the circuit breaker of {} to close"


class CallKind(StrEnum):
    """The kinds of calls to a provider; an account may have the right to some only."""

    CHARGES = "charges"  #: authorizations too
    CAPTURES = "captures"
    VOIDS = "voids"
    REFUNDS = "refunds"
    READS = "reads"  #: status lookups of any of these
    DISPUTES = "disputes"  #: reads of disputes


_CALL_KINDS: Final = {
    Kind.CHARGE: CallKind.CHARGES,
    Kind.AUTHORIZE: CallKind.CHARGES,
    Kind.CAPTURE: CallKind.CAPTURES,
    Kind.VOID: CallKind.VOIDS,
    Kind.REFUND: CallKind.REFUNDS,
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a provider, as the breakers see it."""

    kind: CallKind
    operation: str  #: the id of the operation, or the dispute, that it is for
    #: The last try of the operation failed, so it is a poor probe. It is not a part of
    #: the call's identity.
    has_failed: bool = field(default=False, compare=False)

    @classmethod
    def for_due_work(cls, payment: Payment, *, now: datetime) -> Call:
        """The next call for ``payment``, which has no claim."""
        operation = payment.next_operation or payment.first_operation
        reads = payment.next_operation is None or operation.needs_lookup(now=now)
        kind = CallKind.READS if reads else _CALL_KINDS[operation.kind]
        return cls(kind, operation.id, has_failed=operation.error is not None)

    @classmethod
    def for_claim(cls, payment: Payment) -> Call:
        """The call of the payment's claim. Raises PaymentNotFound without a claim."""
        operation, claim = payment.claimed_operation, payment.claim
        reads = claim is not None and claim.action is ClaimAction.LOOKUP
        return cls(
            CallKind.READS if reads else _CALL_KINDS[operation.kind], operation.id
        )


class ProviderHealth(StrEnum):
    """The provider's health as one outcome shows it, whatever the payment's result."""

    HEALTHY = "healthy"  #: it answered; a decline is an answer
    FAILED = "failed"  #: unreachable or broken
    REFUSED = "refused"  #: it refuses our credentials
    KIND_REFUSED = "kind_refused"  #: it refuses our credentials for this kind of call
    BUSY = "busy"  #: it wants fewer calls
    UNRELATED = "unrelated"  #: the outcome shows nothing about the provider's health


#: The error details that show each health, where the error's class does not decide.
DETAILS_BY_HEALTH: Final[Mapping[ProviderHealth, frozenset[ErrorDetail]]] = {
    ProviderHealth.HEALTHY: frozenset(
        {
            ErrorDetail.NOT_PERMITTED,
            # A lookup found nothing to read: an answer, though it settles nothing.
            ErrorDetail.LOOKUP_REFUSED,
            ErrorDetail.UNRECOGNIZED_STATUS,
        }
    ),
    ProviderHealth.FAILED: frozenset(
        {
            ErrorDetail.NOT_SENT,
            ErrorDetail.OUTCOME_UNKNOWN,
            ErrorDetail.MALFORMED_ANSWER,
            ErrorDetail.NO_ANSWER,
            ErrorDetail.ADAPTER_FAILED,
            ErrorDetail.IN_FLIGHT,
            ErrorDetail.IDEMPOTENCY_KEY_IN_USE,
            ErrorDetail.READ_REFUSED,
            # The call could not be made without a token.
            ErrorDetail.TOKEN_UNAVAILABLE,
            ErrorDetail.TOKEN_MALFORMED,
        }
    ),
    ProviderHealth.REFUSED: frozenset(
        {
            ErrorDetail.MISCONFIGURED,
            ErrorDetail.ACCOUNT_MISSING,
            ErrorDetail.TOKEN_REFUSED,
        }
    ),
    ProviderHealth.KIND_REFUSED: frozenset({ErrorDetail.NOT_AUTHORIZED}),
    ProviderHealth.BUSY: frozenset(
        {ErrorDetail.RATE_LIMITED, ErrorDetail.RATE_LIMIT, ErrorDetail.LOCK_TIMEOUT}
    ),
    ProviderHealth.UNRELATED: frozenset(
        {
            ErrorDetail.PROVIDER_ERROR,
            ErrorDetail.NOT_EXECUTED,
            ErrorDetail.MALFORMED_OBJECT,
            ErrorDetail.LOOKUP_REQUIRED,
            ErrorDetail.LIST_TOO_LONG,
            ErrorDetail.NEEDS_REVIEW,
            ErrorDetail.REPEATED_500,
            ErrorDetail.RESEND_REFUSED,
            # Ours, not the provider's.
            ErrorDetail.WORKER_STOPPING,
            ErrorDetail.CLAIM_TOO_OLD,
            ErrorDetail.NOT_ADMITTED,
            ErrorDetail.PAYMENT_MOVES_ON,
            ErrorDetail.ACCOUNT_OF_ANOTHER_MERCHANT,
            ErrorDetail.CREDENTIALS_UNAVAILABLE,
        }
    ),
}
_HEALTH_BY_DETAIL: Final[Mapping[str, ProviderHealth]] = {
    detail: health
    for health, details in DETAILS_BY_HEALTH.items()
    for detail in details
}


def assess_health(outcome: Answer | ProviderError) -> ProviderHealth:
    """The health that ``outcome`` shows.

    The class of an error decides first, then its detail. A provider's own code has no
    say: its class decides.
    """
    match outcome:
        case Answer() | NotPermitted():
            return ProviderHealth.HEALTHY
        case NotAuthorized():
            return ProviderHealth.KIND_REFUSED
        case Misconfigured():
            return ProviderHealth.REFUSED
        case LookupRequired() | MalformedObject():
            return ProviderHealth.UNRELATED
        case NotExecuted() if outcome.retry_after is not None:
            return ProviderHealth.BUSY
        case NotSent() | OutcomeUnknown():
            return _HEALTH_BY_DETAIL.get(outcome.detail, ProviderHealth.FAILED)
        case NotExecuted():
            return _HEALTH_BY_DETAIL.get(outcome.detail, ProviderHealth.UNRELATED)
        case _:
            return ProviderHealth.UNRELATED


@dataclass(frozen=True, slots=True)
class FailureWindow:
    """Recent outcomes of an account's calls in one process, by the second."""

    #: Second, healthy outcomes, failed outcomes; oldest first.
    counts: tuple[tuple[int, int, int], ...] = ()

    def add(self, *, healthy: int, failed: int, now: float) -> FailureWindow:
        """The window with more outcomes; ``now`` is in seconds and monotonic."""
        second = int(now)
        kept = [row for row in self.counts if second - WINDOW_SECONDS < row[0]]
        if kept and kept[-1][0] >= second:
            second, more_healthy, more_failed = kept.pop()
            healthy, failed = healthy + more_healthy, failed + more_failed
        return FailureWindow((*kept, (second, healthy, failed)))

    @property
    def failed(self) -> int:
        """Failed outcomes in the window."""
        return sum(failed for _, _, failed in self.counts)

    @property
    def total(self) -> int:
        """All outcomes in the window."""
        return self.failed + sum(healthy for _, healthy, _ in self.counts)

    @property
    def is_failing(self) -> bool:
        """Whether the breaker should open."""
        return self.failed >= MIN_FAILURES and self.failed >= FAILURE_RATIO * self.total


class BreakerState(StrEnum):
    """Whether calls pass, as with an electric breaker."""

    CLOSED = "closed"  #: calls go to the provider
    OPEN = "open"  #: no call passes until a probe is due
    HALF_OPEN = "half_open"  #: one probe is under way, and no other call passes


class TripReason(StrEnum):
    """The reason for opening a breaker."""

    FAILING = "failing"  #: the provider is unreachable or broken; a probe closes it
    MISCONFIGURED = "misconfigured"  #: our credentials are refused; a probe closes it
    OPERATOR = "operator"  #: an operator opened it; only an operator closes it


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """One opening or closing."""

    state: BreakerState
    trip_reason: TripReason | None  #: None for a closing
    reason: str  #: a sentence for operators
    by: str  #: the operator's key, or the worker
    at: datetime


def breaker_name(account: str, calls: CallKind | None = None) -> str:
    """The name of the breaker of an account's calls, or of one kind of its calls."""
    return account if calls is None else f"{account}:{calls}"


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """The breaker of one account, or of one kind of its calls, as it was when read."""

    name: str  #: see ``breaker_name``
    state: BreakerState = BreakerState.CLOSED
    trip_reason: TripReason | None = None
    reason: str = ""
    by: str = ""
    since: datetime | None = None  #: UTC; None where it never changed
    probe_at: datetime | None = None  #: when the next probe is due; None: never
    probe_in: timedelta | None = None  #: the time until then, by the database's clock
    #: Counts the probes, so that a late outcome is not taken for the latest one.
    probe_number: int = 0
    failed_probes: int = 0  #: failed probes since it opened
    #: Operations that were refused when it opened, or whose probes failed, oldest
    #: first. Where a probe of another operation succeeded, the refusal concerns these
    #: operations alone.
    refused_operations: tuple[str, ...] = ()
    changes: tuple[BreakerChange, ...] = ()  #: the last MAX_CHANGES, oldest first

    @property
    def account(self) -> str:
        """The account's id."""
        return self.name.partition(":")[0]

    @property
    def call_kind(self) -> CallKind | None:
        """The kind of calls that it controls; None: all calls."""
        kind = self.name.partition(":")[2]
        return CallKind(kind) if kind else None

    @property
    def subject(self) -> str:
        """The calls that it controls, in words."""
        return f"{self.call_kind} at {self.account}" if self.call_kind else self.account

    @property
    def is_open(self) -> bool:
        """Whether calls are stopped, a probe under way or not."""
        return self.state is not BreakerState.CLOSED

    @property
    def is_probe_due(self) -> bool:
        """Whether one call may pass now as a probe of the provider."""
        return self.probe_in is not None and self.probe_in <= timedelta()

    def may_probe(self, operation: str) -> bool:
        """Whether this operation may be the probe now; refused ones come last."""
        if self.probe_in is None or operation not in self.refused_operations:
            return self.is_probe_due
        return self.probe_in <= -(
            KIND_REPROBE_DELAY if self.call_kind else ACCOUNT_REPROBE_DELAY
        )


def with_breaker_wait(
    payment: Payment, breakers: Mapping[str, CircuitBreaker], *, now: datetime
) -> Payment:
    """Shows due operations as waiting for the open breaker.

    ``breakers`` are by name. The result is shown and not stored: a stopped call causes
    no write to its payment.
    """
    if payment.claim is not None:
        return payment

    def with_wait(operation: Operation) -> Operation:
        if operation.due_at is None or operation.due_at > now:
            return operation
        reads = operation.needs_lookup(now=now)
        kind = CallKind.READS if reads else _CALL_KINDS[operation.kind]
        breaker = _find_open_breaker(payment.account.id, [None, kind], breakers)
        if breaker is None:
            return operation
        words = WAITS_FOR_BREAKER.format(breaker.subject)
        return replace(operation, waiting_for=operation.waiting_for or words)

    return replace(payment, operations=tuple(map(with_wait, payment.operations)))


def _find_open_breaker(
    account: str,
    calls: Iterable[CallKind | None],
    breakers: Mapping[str, CircuitBreaker],
) -> CircuitBreaker | None:
    found = (breakers.get(breaker_name(account, one)) for one in calls)
    return next((one for one in found if one is not None and one.is_open), None)


def probe_delay(reason: TripReason, failed_probes: int) -> timedelta | None:
    """The time until the next probe after so many failed ones; None: no more probes."""
    if reason is TripReason.OPERATOR:
        return None
    longest = (
        MAX_MISCONFIGURED_PROBE_DELAY
        if reason is TripReason.MISCONFIGURED
        else MAX_PROBE_DELAY
    )
    doublings = min(failed_probes, 10)  # more would exceed the longest anyway
    return min(FIRST_PROBE_DELAY * (1 << doublings), longest)
