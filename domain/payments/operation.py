"""An operation: one requested movement of money, and its progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.money import Fee
from domain.payments.idempotency import derive_provider_key
from domain.payments.states import STATES_WITH_WORK, TERMINAL, State

#: The time after a send from which a lookup may prove that the provider never had it:
#: many times a provider's longest time for a call.
ABSENCE_PROOF_DELAY: Final = timedelta(minutes=10)


class Kind(StrEnum):
    """The kind of an operation."""

    CHARGE = "charge"  #: authorize and capture in one step
    AUTHORIZE = "authorize"  #: put the money on hold
    CAPTURE = "capture"  #: take money that is on hold
    VOID = "void"  #: release what is still on hold
    REFUND = "refund"  #: give captured money back


@dataclass(frozen=True, slots=True)
class Origin:
    """The HTTP request that made an operation."""

    idempotency_key: str
    fingerprint: str  #: of the request, keyed
    request_id: str | None = None
    traceparent: str | None = None  #: W3C trace context


@dataclass(frozen=True, slots=True)
class Send:
    """A request to a provider, written down before it happens."""

    key: str  #: the provider's idempotency key
    body: str  #: JSON; every resend repeats it exactly
    first_at: datetime  #: the earliest time at which it may have arrived
    last_at: datetime  #: the time of the latest send
    window_ends_at: datetime  #: a resend with the same key is safe until then

    @property
    def is_resend(self) -> bool:
        """Whether it was sent more than once."""
        return self.last_at != self.first_at  # clocks of two workers may differ


@dataclass(frozen=True, slots=True)
class Operation:
    """One requested movement of money."""

    id: str
    kind: Kind
    amount: int  #: minor units of the payment's currency
    origin: Origin | None  #: None: made by others at the provider, see ``is_external``
    starts_at: datetime  #: the time of the request, or its scheduled time
    state: State = State.QUEUED
    due_at: datetime | None = None  #: work is owed from then on; None: no work is owed
    moved: int = 0  #: minor units that the provider moved
    moved_at: datetime | None = None  #: the time of the answer that it moved
    fee: Fee | None = None  #: the provider's fee; None: not known
    refs: Mapping[str, str] = field(default_factory=dict)  #: provider object ids
    target: str | None = None  #: a refund's charge or capture, by operation id
    final: bool = False  #: a capture after which the rest of the hold is released
    attempts: int = 0  #: sends, except those refused for wrong credentials
    generation: int = 1  #: see ``idempotency.derive_provider_key``
    approved: bool = False  #: the payer agreed; the next send carries it out
    #: Sends without an answer may have made several objects at the provider.
    may_have_duplicate_order: bool = False
    resolved_by_operator: bool = False  #: an operator refused it after a review
    send: Send | None = None
    started_at: datetime | None = None  #: the time of the first attempt
    lookups_since: datetime | None = None  #: set: lookups only, no sends, since then
    lookup_count: int = 0  #: inconclusive lookups in a row
    waiting_for: str | None = None  #: what blocks it, in words
    error: str | None = None  #: the code of the last error

    @property
    def is_external(self) -> bool:
        """Whether others made it at the provider, as in its dashboard."""
        return self.origin is None

    @property
    def provider_key(self) -> str:
        """The provider key of the current generation."""
        return derive_provider_key(self.id, self.generation)

    @property
    def is_terminal(self) -> bool:
        """Whether its state is terminal: only a correction may change it."""
        return self.state in TERMINAL

    @property
    def collects_money(self) -> bool:
        """Whether it takes money from the payer, or puts it on hold."""
        return self.kind in (Kind.CHARGE, Kind.AUTHORIZE, Kind.CAPTURE)

    @property
    def reserved_amount(self) -> int:
        """Minor units that may yet move, so that no other operation may take them."""
        return 0 if self.is_terminal else self.amount

    @property
    def has_work(self) -> bool:
        """Whether a worker has something to do, now or at ``due_at``."""
        return self.state in STATES_WITH_WORK

    def with_lookup_due(self, *, now: datetime) -> Operation:
        """The operation with a status lookup due now."""
        return replace(self, due_at=now, lookups_since=now, lookup_count=0)

    def needs_lookup(self, *, now: datetime) -> bool:
        """Whether the next step must be a lookup: a send is pointless or might charge
        again.

        After its window the provider may have forgotten the key.
        """
        if self.lookups_since is not None or not self.has_work:
            return True
        if self.state is not State.UNKNOWN or self.send is None:
            return False
        return now >= self.send.window_ends_at


class ClaimAction(StrEnum):
    """The call that a worker makes under its claim."""

    SEND = "send"  #: carries the operation out
    LOOKUP = "lookup"  #: asks for its status and changes nothing


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's claim of a payment, for one call."""

    operation: str  #: its id
    action: ClaimAction
    fence: int  #: the payment's version with this claim; a later claim has another
    at: datetime  #: the call is made after this, and soon


class HoldEnd(StrEnum):
    """The end of a hold."""

    CAPTURED = "captured"  #: captured, and the rest released
    VOIDED = "voided"  #: released by the merchant, here or at the provider
    EXPIRED = "expired"  #: released by the provider after its time


#: The time from the warning to the end of a hold: enough for a person to act.
_EXPIRY_WARNING: Final = timedelta(hours=24)
#: The same for the guaranteed time, which is three days.
_HONOR_WARNING: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Hold:
    """Money on hold by an authorization. Times are the provider's, UTC."""

    expires_at: datetime | None  #: the money is released then; None: not known
    honored_until: datetime | None = None  #: guaranteed until then (PayPal: 3 days)
    warnings_sent: int = 0  #: warnings so far
    asked: bool = False  #: its time has ended, and status lookups have begun
    ended: HoldEnd | None = None
    multicapture: bool = False  #: a capture may leave the rest on hold (Stripe)

    @property
    def next_at(self) -> datetime | None:
        """The time of the next warning, else of the lookup at its end."""
        if self.ended is not None or self.asked:
            return None
        warnings = self._warning_times()
        return (
            warnings[self.warnings_sent]
            if self.warnings_sent < len(warnings)
            else self.expires_at
        )

    def _warning_times(self) -> list[datetime]:
        notices = (
            (self.honored_until, _HONOR_WARNING),
            (self.expires_at, _EXPIRY_WARNING),
        )
        return sorted(end - notice for end, notice in notices if end is not None)
