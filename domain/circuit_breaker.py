"""The breaker of a provider's account: when it opens, and how long it stays so."""

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

#: Seconds that a process looks back. More than the slowest call takes (13 s, and as
#: much for a token), so that calls which begin together and hang count together.
WINDOW_SECONDS: Final = 30
#: Failures in the window: a restart behind the provider's load balancer costs some.
MIN_FAILURES: Final = 10
#: Of all that is told in the window. Where more fails than works, waiting costs less
#: than asking; where less does, stopping would keep more of them waiting than it helps.
FAILURE_RATIO: Final = 0.5

#: How long after a breaker opened, or a probe failed, the next one is due: doubled each
#: time, for most outages are over in seconds and the others last for minutes.
FIRST_PROBE_DELAY: Final = timedelta(seconds=2)
MAX_PROBE_DELAY: Final = timedelta(seconds=10)
#: The same where we are refused. Credentials change by a person's hand; asking more
#: often for long would look like an attack.
MISCONFIGURED_PROBE_DELAY: Final = timedelta(minutes=1)
#: How long after a probe was due an operation may be it that was refused before, or
#: whose own probe failed: so long, others come first. Of one kind of calls, because the
#: cause may be that operation; of an account, where any call would do, not so long.
KIND_REPROBE_DELAY: Final = timedelta(minutes=4)
ACCOUNT_REPROBE_DELAY: Final = timedelta(seconds=5)
#: A probe that was not heard of for so long is dead: longer than the slowest call
#: (connect 3 s, read 10 s), the token before it, and the repeats of what was not sent.
PROBE_TIMEOUT: Final = timedelta(seconds=30)

#: Changes that a breaker remembers, and operations that it was opened by.
MAX_CHANGES: Final = 20

#: What an operation waits for that does not pass a breaker; its subject comes in
#: between.
WAITS_FOR_BREAKER: Final = "the circuit breaker of {} to close"


class CallKind(StrEnum):
    """What a call to a provider is about; an account may have the right to some."""

    CHARGES = "charges"  #: authorizations too
    CAPTURES = "captures"
    VOIDS = "voids"
    REFUNDS = "refunds"
    READS = "reads"  #: looks at what became of any of these
    DISPUTES = "disputes"  #: reads of these


_CALL_KINDS: Final = {
    Kind.CHARGE: CallKind.CHARGES,
    Kind.AUTHORIZE: CallKind.CHARGES,
    Kind.CAPTURE: CallKind.CAPTURES,
    Kind.VOID: CallKind.VOIDS,
    Kind.REFUND: CallKind.REFUNDS,
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as a breaker knows it."""

    kind: CallKind
    operation: str  #: the id of what it is for
    #: The last try of the operation failed, so it is a poor probe. Not its identity.
    has_failed: bool = field(default=False, compare=False)

    @classmethod
    def for_due_work(cls, payment: Payment, *, now: datetime) -> Call:
        """The call that work on ``payment`` begins with, its claim being released."""
        operation = payment.next_operation or payment.first_operation
        reads = payment.next_operation is None or operation.needs_lookup(now=now)
        kind = CallKind.READS if reads else _CALL_KINDS[operation.kind]
        return cls(kind, operation.id, has_failed=operation.error is not None)

    @classmethod
    def for_claim(cls, payment: Payment) -> Call:
        """The call that ``payment`` is held for. Raises PaymentNotFound without one."""
        operation = payment.claimed_operation
        looks = payment.claim is not None and payment.claim.action is ClaimAction.LOOKUP
        return cls(
            CallKind.READS if looks else _CALL_KINDS[operation.kind], operation.id
        )


class ProviderHealth(StrEnum):
    """What one outcome says of the provider, whatever it says of the payment."""

    HEALTHY = "healthy"  #: it answered; a no is an answer
    FAILED = "failed"  #: away or broken
    REFUSED = "refused"  #: it does not take our credentials
    KIND_REFUSED = "kind_refused"  #: it takes them, and not for this kind of call
    BUSY = "busy"  #: it wants fewer calls
    UNRELATED = "unrelated"  #: it says nothing of the provider as a whole


#: The health that each detail shows, unless the class of its error says it already.
SIGNS: Final[Mapping[ProviderHealth, frozenset[ErrorDetail]]] = {
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
            # There was no token to make the call with.
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
            ErrorDetail.REPLAYED_500,
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
_SIGN: Final[Mapping[str, ProviderHealth]] = {
    detail: sign for sign, details in SIGNS.items() for detail in details
}


def assess_health(outcome: Answer | ProviderError) -> ProviderHealth:
    """The health that ``outcome`` shows.

    The class of an error comes first, where it says enough; then the table of details.
    A provider's own code counts as its class does.
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
            return _SIGN.get(outcome.detail, ProviderHealth.FAILED)
        case NotExecuted():
            return _SIGN.get(outcome.detail, ProviderHealth.UNRELATED)
        case _:
            return ProviderHealth.UNRELATED


@dataclass(frozen=True, slots=True)
class FailureWindow:
    """What a process heard from an account lately, by the second."""

    counts: tuple[tuple[int, int, int], ...] = ()  #: second, well, failed; oldest first

    def add(self, *, healthy: int, failed: int, now: float) -> FailureWindow:
        """With as many more signs of each kind; ``now`` is in seconds and monotonic."""
        second = int(now)
        kept = [row for row in self.counts if second - WINDOW_SECONDS < row[0]]
        if kept and kept[-1][0] >= second:
            second, more_healthy, more_failed = kept.pop()
            healthy, failed = healthy + more_healthy, failed + more_failed
        return FailureWindow((*kept, (second, healthy, failed)))

    @property
    def failed(self) -> int:
        """Signs of failure."""
        return sum(failed for _, _, failed in self.counts)

    @property
    def total(self) -> int:
        """Signs of either kind."""
        return self.failed + sum(healthy for _, healthy, _ in self.counts)

    @property
    def is_failing(self) -> bool:
        """Whether the breaker should open."""
        return self.failed >= MIN_FAILURES and self.failed >= FAILURE_RATIO * self.total


class BreakerState(StrEnum):
    """As with an electric breaker: what is open lets nothing through."""

    CLOSED = "closed"  #: payments go to the provider
    OPEN = "open"  #: none do, but a probe now and then


class TripReason(StrEnum):
    """What opened a breaker."""

    FAILING = "failing"  #: the provider is away or broken; probes find its return
    MISCONFIGURED = "misconfigured"  #: it refuses us; probes find new rights
    OPERATOR = "operator"  #: a person decided, and only a person closes it


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """One opening or closing."""

    state: BreakerState
    trip_reason: TripReason | None  #: None where it was closed
    reason: str  #: a sentence for people
    by: str  #: the operator's key, or the worker
    at: datetime


def breaker_name(account: str, calls: CallKind | None = None) -> str:
    """The name of the breaker of all calls of an account, or before one kind."""
    return account if calls is None else f"{account}:{calls}"


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """The breaker of one account, or one kind of its calls, as it was when read."""

    name: str  #: see ``breaker_name``
    state: BreakerState = BreakerState.CLOSED
    trip_reason: TripReason | None = None
    reason: str = ""
    by: str = ""
    since: datetime | None = None  #: UTC; None where it never moved
    probe_at: datetime | None = None  #: when the next probe is due; None: never
    probe_in: timedelta | None = None  #: and how long that was, by the database's clock
    probe_number: int = (
        0  #: counts the probes, so that a late one is told from the latest
    )
    failed_probes: int = 0  #: probes that failed since it opened
    #: Operations that opened it by being refused, or whose probes failed, oldest first.
    #: Where another one's probe then succeeded, what refused them concerns them alone.
    refused_operations: tuple[str, ...] = ()
    changes: tuple[BreakerChange, ...] = ()  #: the last CHANGES, oldest first

    @property
    def account(self) -> str:
        """The account's id."""
        return self.name.partition(":")[0]

    @property
    def call_kind(self) -> CallKind | None:
        """The calls that it stands before; None: all."""
        kind = self.name.partition(":")[2]
        return CallKind(kind) if kind else None

    @property
    def subject(self) -> str:
        """What it stands before, in words."""
        return f"{self.call_kind} at {self.account}" if self.call_kind else self.account

    @property
    def is_open(self) -> bool:
        """Whether nothing passes."""
        return self.state is BreakerState.OPEN

    @property
    def is_probe_due(self) -> bool:
        """Whether one payment may pass now, to see how the provider is."""
        return self.probe_in is not None and self.probe_in <= timedelta()

    def may_probe(self, operation: str) -> bool:
        """Whether this one may pass now; others come before those that failed."""
        if self.probe_in is None or operation not in self.refused_operations:
            return self.is_probe_due
        return self.probe_in <= -(
            KIND_REPROBE_DELAY if self.call_kind else ACCOUNT_REPROBE_DELAY
        )


def with_breaker_wait(
    payment: Payment, breakers: Mapping[str, CircuitBreaker], *, now: datetime
) -> Payment:
    """As it stands before the ``gates`` (by name): what is due, nobody holds, and does
    not pass says so.

    To be shown, not stored: whoever is put off has no write of its own.
    """
    if payment.claim is not None:
        return payment

    def told(one: Operation) -> Operation:
        if one.due_at is None or one.due_at > now:
            return one
        kind = CallKind.READS if one.needs_lookup(now=now) else _CALL_KINDS[one.kind]
        breaker = _find_open_breaker(payment.account.id, [None, kind], breakers)
        if breaker is None:
            return one
        words = WAITS_FOR_BREAKER.format(breaker.subject)
        return replace(one, waiting_for=one.waiting_for or words)

    return replace(payment, operations=tuple(map(told, payment.operations)))


def _find_open_breaker(
    account: str,
    calls: Iterable[CallKind | None],
    breakers: Mapping[str, CircuitBreaker],
) -> CircuitBreaker | None:
    found = (breakers.get(breaker_name(account, one)) for one in calls)
    return next((one for one in found if one is not None and one.is_open), None)


def probe_delay(reason: TripReason, failed_probes: int) -> timedelta | None:
    """How long to leave an account alone after ``failed`` probes; None: for good."""
    if reason is TripReason.OPERATOR:
        return None
    longest = (
        MISCONFIGURED_PROBE_DELAY
        if reason is TripReason.MISCONFIGURED
        else MAX_PROBE_DELAY
    )
    doublings = min(failed_probes, 10)  # past the longest long before
    return min(FIRST_PROBE_DELAY * (1 << doublings), longest)
