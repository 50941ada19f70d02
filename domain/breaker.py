"""The gate before a provider's account: when it opens, and how long it stays so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.answer import Answer
from domain.errors import (
    LookNeeded,
    Misconfigured,
    NotExecuted,
    NotPermitted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.operation import Operation
from domain.payment import Payment

#: Seconds that a process looks back. More than the slowest call takes (13 s, and as
#: much for a token), so that calls which begin together and hang count together.
WINDOW: Final = 30
#: Failures in the window: a restart behind the provider's load balancer costs some.
ENOUGH: Final = 10
#: Of all that is told in the window. Where more fails than works, waiting costs less
#: than asking; where less does, stopping would keep more of them waiting than it helps.
SHARE: Final = 0.5

#: How long after a gate opened, or a probe failed, the next one is due: doubled each
#: time, for most outages are over in seconds and the others last for minutes.
FIRST_REST: Final = timedelta(seconds=2)
LONGEST_REST: Final = timedelta(seconds=10)
#: Credentials change by a person's hand; asking more often would look like an attack.
MISCONFIGURED_REST: Final = timedelta(minutes=1)
#: A probe that was not heard of for so long is dead: longer than the slowest call
#: (connect 3 s, read 10 s), the token before it, and the repeats of what was not sent.
PROBE: Final = timedelta(seconds=30)

#: Changes that a gate remembers.
CHANGES: Final = 20

#: The provider is well, and has too much of us.
_BUSY: Final = frozenset({"rate_limited", "lock_timeout", "rate_limit"})
#: No call could be made, for there was no token to make it with.
_NO_TOKEN: Final = frozenset({"token_unavailable", "token_malformed"})
#: A look found nothing to read: an answer, though it tells nothing of the payment.
_ANSWERED: Final = frozenset({"look_refused"})
#: Ours, not the provider's: a worker gives calls back unmade, when it stops or wakes.
_OURS: Final = frozenset({"worker_stopping", "claim_too_old"})


class Sign(StrEnum):
    """What one outcome says of the provider, whatever it says of the payment."""

    WELL = "well"  #: it answered; a no is an answer
    FAILED = "failed"  #: away or broken
    REFUSED = "refused"  #: it does not take our credentials
    BUSY = "busy"  #: it wants fewer calls
    NONE = "none"  #: it says nothing of the provider as a whole


def sign_of(outcome: Answer | ProviderError) -> Sign:
    """How ``outcome`` counts; what we do not recognise counts for nothing."""
    match outcome:
        case Answer():
            return Sign.WELL
        case NotPermitted():
            return Sign.WELL
        case OutcomeUnknown() if outcome.detail in _ANSWERED:
            return Sign.WELL
        case Misconfigured():
            return Sign.REFUSED
        case NotExecuted() if (
            outcome.detail in _BUSY or outcome.retry_after is not None
        ):
            return Sign.BUSY
        case NotSent() if outcome.detail not in _OURS:
            return Sign.FAILED
        case NotExecuted() if outcome.detail in _NO_TOKEN:
            return Sign.FAILED
        case LookNeeded():
            return Sign.NONE
        case OutcomeUnknown():
            return Sign.FAILED
        case _:
            return Sign.NONE


@dataclass(frozen=True, slots=True)
class Window:
    """What a process heard from an account lately, by the second."""

    heard: tuple[tuple[int, int, int], ...] = ()  #: second, well, failed; oldest first

    def add(self, *, well: int, failed: int, now: float) -> Window:
        """With as many more signs of each kind; ``now`` is in seconds and monotonic."""
        second = int(now)
        kept = [row for row in self.heard if second - WINDOW < row[0]]
        if kept and kept[-1][0] >= second:
            second, more_well, more_failed = kept.pop()
            well, failed = well + more_well, failed + more_failed
        return Window((*kept, (second, well, failed)))

    @property
    def failed(self) -> int:
        """Signs of failure."""
        return sum(failed for _, _, failed in self.heard)

    @property
    def told(self) -> int:
        """Signs of either kind."""
        return self.failed + sum(well for _, well, _ in self.heard)

    @property
    def is_failing(self) -> bool:
        """Whether the gate should open."""
        return self.failed >= ENOUGH and self.failed >= SHARE * self.told


class Position(StrEnum):
    """As with an electric breaker: what is open lets nothing through."""

    CLOSED = "closed"  #: payments go to the provider
    OPEN = "open"  #: none do, but a probe now and then


class Why(StrEnum):
    """What opened a gate."""

    FAILING = "failing"  #: the provider is away or broken; probes find its return
    MISCONFIGURED = "misconfigured"  #: it refuses us; probes find new credentials
    OPERATOR = "operator"  #: a person decided, and only a person closes it


@dataclass(frozen=True, slots=True)
class Change:
    """One opening or closing."""

    position: Position
    why: Why | None  #: None where it was closed
    reason: str  #: a sentence for people
    by: str  #: the operator's key, or the worker
    at: datetime


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate before one account, as it was when it was read."""

    account: str  #: its id
    position: Position = Position.CLOSED
    why: Why | None = None
    reason: str = ""
    by: str = ""
    since: datetime | None = None  #: UTC; None where it never moved
    probe_at: datetime | None = None  #: when the next probe is due; None: never
    probe_in: timedelta | None = None  #: and how long that was, by the database's clock
    probe: int = 0  #: counts the probes, so that a late one is told from the latest
    failed: int = 0  #: probes that failed since it opened
    changes: tuple[Change, ...] = ()  #: the last CHANGES, oldest first

    @property
    def is_open(self) -> bool:
        """Whether nothing passes."""
        return self.position is Position.OPEN

    @property
    def probe_due(self) -> bool:
        """Whether one payment may pass now, to see how the provider is."""
        return self.probe_in is not None and self.probe_in <= timedelta()


def behind(payment: Payment, gate: Gate, *, now: datetime) -> Payment:
    """As it stands before its account's ``gate``: while that is open, what is due and
    nobody holds says that it waits for it.

    To be shown, not stored: whoever is put off has no write of its own.
    """
    if not gate.is_open or payment.claim is not None:
        return payment
    words = f"the gate before {gate.account} to close"

    def told(one: Operation) -> Operation:
        due = one.due_at is not None and one.due_at <= now
        return replace(one, waiting_for=one.waiting_for or words) if due else one

    return replace(payment, operations=tuple(map(told, payment.operations)))


def rest(why: Why, failed: int) -> timedelta | None:
    """How long to leave an account alone after ``failed`` probes; None: for good."""
    if why is Why.OPERATOR:
        return None
    if why is Why.MISCONFIGURED:
        return MISCONFIGURED_REST
    doublings = min(failed, 10)  # past the longest long before
    return min(FIRST_REST * (1 << doublings), LONGEST_REST)
