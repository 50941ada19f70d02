"""The gate before a provider's account: when it opens, and how long it stays so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.error_details import ErrorDetail
from domain.errors import (
    LookNeeded,
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
from domain.payments.operation import Act, Kind, Operation
from domain.payments.payment import Payment

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
#: The same where we are refused. Credentials change by a person's hand; asking more
#: often for long would look like an attack.
MISCONFIGURED_REST: Final = timedelta(minutes=1)
#: How long after a probe was due an operation may be it that was refused before, or
#: whose own probe failed: so long, others come first. Of one kind of calls, because the
#: cause may be that operation; of an account, where any call would do, not so long.
KIND_AGAIN: Final = timedelta(minutes=4)
ACCOUNT_AGAIN: Final = timedelta(seconds=5)
#: A probe that was not heard of for so long is dead: longer than the slowest call
#: (connect 3 s, read 10 s), the token before it, and the repeats of what was not sent.
PROBE: Final = timedelta(seconds=30)

#: Changes that a gate remembers, and operations that it was opened by.
CHANGES: Final = 20

#: What an operation waits for that does not pass a gate; its subject comes in between.
WAITS_FOR_GATE: Final = "the gate before {} to close"


class CallKind(StrEnum):
    """What a call to a provider is about; an account may have the right to some."""

    CHARGES = "charges"  #: authorizations too
    CAPTURES = "captures"
    VOIDS = "voids"
    REFUNDS = "refunds"
    READS = "reads"  #: looks at what became of any of these
    DISPUTES = "disputes"  #: reads of these


_KIND: Final = {
    Kind.CHARGE: CallKind.CHARGES,
    Kind.AUTHORIZE: CallKind.CHARGES,
    Kind.CAPTURE: CallKind.CAPTURES,
    Kind.VOID: CallKind.VOIDS,
    Kind.REFUND: CallKind.REFUNDS,
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as a gate knows it."""

    kind: CallKind
    operation: str  #: the id of what it is for
    #: The last try of the operation failed, so it is a poor probe. Not its identity.
    has_failed: bool = field(default=False, compare=False)

    @classmethod
    def due(cls, payment: Payment, *, now: datetime) -> Call:
        """The call that work on ``payment`` begins with, its claim being released."""
        operation = payment.next or payment.first
        reads = payment.next is None or operation.must_look(now=now)
        kind = CallKind.READS if reads else _KIND[operation.kind]
        return cls(kind, operation.id, has_failed=operation.error is not None)

    @classmethod
    def made(cls, payment: Payment) -> Call:
        """The call that ``payment`` is held for. Raises PaymentNotFound without one."""
        operation = payment.working
        looks = payment.claim is not None and payment.claim.act is Act.LOOK
        return cls(CallKind.READS if looks else _KIND[operation.kind], operation.id)


class Sign(StrEnum):
    """What one outcome says of the provider, whatever it says of the payment."""

    WELL = "well"  #: it answered; a no is an answer
    FAILED = "failed"  #: away or broken
    REFUSED = "refused"  #: it does not take our credentials
    KIND_REFUSED = "kind_refused"  #: it takes them, and not for this kind of call
    BUSY = "busy"  #: it wants fewer calls
    NONE = "none"  #: it says nothing of the provider as a whole


#: The health that each detail shows, unless the class of its error says it already.
SIGNS: Final[Mapping[Sign, frozenset[ErrorDetail]]] = {
    Sign.WELL: frozenset(
        {
            ErrorDetail.NOT_PERMITTED,
            # A lookup found nothing to read: an answer, though it settles nothing.
            ErrorDetail.LOOKUP_REFUSED,
            ErrorDetail.UNRECOGNIZED_STATUS,
        }
    ),
    Sign.FAILED: frozenset(
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
    Sign.REFUSED: frozenset(
        {
            ErrorDetail.MISCONFIGURED,
            ErrorDetail.ACCOUNT_MISSING,
            ErrorDetail.TOKEN_REFUSED,
        }
    ),
    Sign.KIND_REFUSED: frozenset({ErrorDetail.NOT_AUTHORIZED}),
    Sign.BUSY: frozenset(
        {ErrorDetail.RATE_LIMITED, ErrorDetail.RATE_LIMIT, ErrorDetail.LOCK_TIMEOUT}
    ),
    Sign.NONE: frozenset(
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
_SIGN: Final[Mapping[str, Sign]] = {
    detail: sign for sign, details in SIGNS.items() for detail in details
}


def sign_of(outcome: Answer | ProviderError) -> Sign:
    """The health that ``outcome`` shows.

    The class of an error comes first, where it says enough; then the table of details.
    A provider's own code counts as its class does.
    """
    match outcome:
        case Answer() | NotPermitted():
            return Sign.WELL
        case NotAuthorized():
            return Sign.KIND_REFUSED
        case Misconfigured():
            return Sign.REFUSED
        case LookNeeded() | MalformedObject():
            return Sign.NONE
        case NotExecuted() if outcome.retry_after is not None:
            return Sign.BUSY
        case NotSent() | OutcomeUnknown():
            return _SIGN.get(outcome.detail, Sign.FAILED)
        case NotExecuted():
            return _SIGN.get(outcome.detail, Sign.NONE)
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
    MISCONFIGURED = "misconfigured"  #: it refuses us; probes find new rights
    OPERATOR = "operator"  #: a person decided, and only a person closes it


@dataclass(frozen=True, slots=True)
class Change:
    """One opening or closing."""

    position: Position
    why: Why | None  #: None where it was closed
    reason: str  #: a sentence for people
    by: str  #: the operator's key, or the worker
    at: datetime


def gate_name(account: str, calls: CallKind | None = None) -> str:
    """The name of the gate before all calls of an account, or before one kind."""
    return account if calls is None else f"{account}:{calls}"


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate before one account, or one kind of its calls, as it was when read."""

    name: str  #: see ``gate_name``
    position: Position = Position.CLOSED
    why: Why | None = None
    reason: str = ""
    by: str = ""
    since: datetime | None = None  #: UTC; None where it never moved
    probe_at: datetime | None = None  #: when the next probe is due; None: never
    probe_in: timedelta | None = None  #: and how long that was, by the database's clock
    probe: int = 0  #: counts the probes, so that a late one is told from the latest
    failed: int = 0  #: probes that failed since it opened
    #: Operations that opened it by being refused, or whose probes failed, oldest first.
    #: Where another one's probe then succeeded, what refused them concerns them alone.
    tried: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()  #: the last CHANGES, oldest first

    @property
    def account(self) -> str:
        """The account's id."""
        return self.name.partition(":")[0]

    @property
    def calls(self) -> CallKind | None:
        """The calls that it stands before; None: all."""
        kind = self.name.partition(":")[2]
        return CallKind(kind) if kind else None

    @property
    def subject(self) -> str:
        """What it stands before, in words."""
        return f"{self.calls} at {self.account}" if self.calls else self.account

    @property
    def is_open(self) -> bool:
        """Whether nothing passes."""
        return self.position is Position.OPEN

    @property
    def probe_due(self) -> bool:
        """Whether one payment may pass now, to see how the provider is."""
        return self.probe_in is not None and self.probe_in <= timedelta()

    def may_probe(self, operation: str) -> bool:
        """Whether this one may pass now; others come before those that failed."""
        if self.probe_in is None or operation not in self.tried:
            return self.probe_due
        return self.probe_in <= -(KIND_AGAIN if self.calls else ACCOUNT_AGAIN)


def behind(payment: Payment, gates: Mapping[str, Gate], *, now: datetime) -> Payment:
    """As it stands before the ``gates`` (by name): what is due, nobody holds, and does
    not pass says so.

    To be shown, not stored: whoever is put off has no write of its own.
    """
    if payment.claim is not None:
        return payment

    def told(one: Operation) -> Operation:
        if one.due_at is None or one.due_at > now:
            return one
        kind = CallKind.READS if one.must_look(now=now) else _KIND[one.kind]
        gate = _open_gate(payment.account.id, [None, kind], gates)
        if gate is None:
            return one
        words = WAITS_FOR_GATE.format(gate.subject)
        return replace(one, waiting_for=one.waiting_for or words)

    return replace(payment, operations=tuple(map(told, payment.operations)))


def _open_gate(
    account: str, calls: Iterable[CallKind | None], gates: Mapping[str, Gate]
) -> Gate | None:
    found = (gates.get(gate_name(account, one)) for one in calls)
    return next((one for one in found if one is not None and one.is_open), None)


def rest(why: Why, failed: int) -> timedelta | None:
    """How long to leave an account alone after ``failed`` probes; None: for good."""
    if why is Why.OPERATOR:
        return None
    longest = MISCONFIGURED_REST if why is Why.MISCONFIGURED else LONGEST_REST
    doublings = min(failed, 10)  # past the longest long before
    return min(FIRST_REST * (1 << doublings), longest)
