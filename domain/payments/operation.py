"""One movement of money that was asked for, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.money import Fee
from domain.payments.idempotency import derive_provider_key
from domain.payments.states import FINAL, STATES_WITH_WORK, State

#: Seconds of silence after a send before a look may prove that the provider never had
#: it: many times the longest that a provider works on a call.
ABSENCE_PROOF_DELAY: Final = timedelta(minutes=10)


class Kind(StrEnum):
    """What an operation does."""

    CHARGE = "charge"  #: authorize and capture in one step
    AUTHORIZE = "authorize"  #: put the money on hold
    CAPTURE = "capture"  #: take money that is on hold
    VOID = "void"  #: release what is still on hold
    REFUND = "refund"  #: give captured money back


@dataclass(frozen=True, slots=True)
class Origin:
    """The HTTP request that an operation comes from."""

    idempotency_key: str
    fingerprint: str  #: of the request, keyed
    request_id: str | None = None
    traceparent: str | None = None  #: W3C trace context


@dataclass(frozen=True, slots=True)
class Send:
    """A request to a provider, written down before it happens."""

    key: str  #: the provider's idempotency key
    body: str  #: JSON, sent again to the letter by every resend
    first_at: datetime  #: the earliest time it may have reached the provider
    last_at: datetime  #: the latest send of it
    window_ends_at: datetime  #: the same key protects until then

    @property
    def is_resend(self) -> bool:
        """It was sent more than once."""
        return self.last_at != self.first_at  # clocks of two workers may differ


@dataclass(frozen=True, slots=True)
class Operation:
    """One movement of money that was asked for."""

    id: str
    kind: Kind
    amount: int  #: minor units of the payment's currency
    origin: Origin | None  #: None: others made it at the provider, see ``external``
    starts_at: datetime  #: when it was asked for, or was to begin
    state: State = State.QUEUED
    due_at: datetime | None = None  #: work is owed from then on; None: none is
    moved: int = 0  #: minor units that the provider moved
    moved_at: datetime | None = None  #: when we heard that it did
    fee: Fee | None = None  #: what the provider kept; None: it has not said
    refs: Mapping[str, str] = field(default_factory=dict)  #: provider object ids
    target: str | None = None  #: a refund's charge or capture, by operation id
    final: bool = False  #: a capture after which the rest of the hold is released
    attempts: int = 0  #: sends so far; those that credentials refused do not count
    generation: int = 1  #: see ``idempotency.derive_provider_key``
    approved: bool = False  #: what is sent now is the word that the provider waits for
    may_have_duplicate_order: bool = (
        False  #: sends that nobody heard of may have made several objects
    )
    resolved_by_operator: bool = False  #: a person said how it ended, of a review
    send: Send | None = None
    started_at: datetime | None = None  #: the first attempt
    lookups_since: datetime | None = None  #: sends are over; looks began then
    lookup_count: int = 0  #: looks in a row that ended nothing
    waiting_for: str | None = None  #: whom or what it waits for, in words
    error: str | None = None  #: the code of what went wrong last

    @property
    def is_external(self) -> bool:
        """Others made it at the provider, in its dashboard say; we never send it."""
        return self.origin is None

    @property
    def provider_key(self) -> str:
        """The provider key of the current generation."""
        return derive_provider_key(self.id, self.generation)

    @property
    def has_ended(self) -> bool:
        """Nothing of ours moves it any more; a correction may."""
        return self.state in FINAL

    @property
    def collects_money(self) -> bool:
        """It takes money from the payer, or puts it on hold."""
        return self.kind in (Kind.CHARGE, Kind.AUTHORIZE, Kind.CAPTURE)

    @property
    def reserved_amount(self) -> int:
        """Minor units that nobody else may have: those that may yet move."""
        return 0 if self.has_ended else self.amount

    @property
    def has_work(self) -> bool:
        """A worker has something to do, now or at ``due_at``."""
        return self.state in STATES_WITH_WORK

    def with_lookup_due(self, *, now: datetime) -> Operation:
        """With a look due, which changes nothing at the provider."""
        return replace(self, due_at=now, lookups_since=now, lookup_count=0)

    def needs_lookup(self, *, now: datetime) -> bool:
        """Whether only a look may be next: a send would tell nothing, or charge anew.

        Past its window the provider may have forgotten the key.
        """
        if self.lookups_since is not None or not self.has_work:
            return True
        if self.state is not State.UNKNOWN or self.send is None:
            return False
        return now >= self.send.window_ends_at


class ClaimAction(StrEnum):
    """What a worker is about to do at the provider."""

    SEND = "send"  #: have it done
    LOOKUP = "lookup"  #: ask what became of it, changing nothing


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker holds a payment for."""

    operation: str  #: its id
    action: ClaimAction
    fence: int  #: the version that this claim made: whoever comes later has another
    at: datetime  #: its call is made no earlier, and soon after


class HoldEnd(StrEnum):
    """How money stopped being on hold."""

    CAPTURED = "captured"  #: taken, and the rest released
    VOIDED = "voided"  #: released by the merchant, here or at the provider
    EXPIRED = "expired"  #: let go by the provider


#: How long before the end a merchant is warned: time for a person to act on it.
_EXPIRY_WARNING: Final = timedelta(hours=24)
#: A shorter one where the whole time is three days.
_HONOR_WARNING: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Hold:
    """Money that an authorization keeps aside. Times are the provider's, UTC."""

    expires_at: datetime | None  #: let go then; None where it was not said
    honored_until: datetime | None = None  #: vouched for until then (PayPal: 3 days)
    warnings_sent: int = 0  #: warnings told so far
    asked: bool = False  #: its end has come, and the provider is being asked
    ended: HoldEnd | None = None
    multicapture: bool = False  #: a capture may leave the rest on hold (Stripe)

    @property
    def next_at(self) -> datetime | None:
        """When it needs us next: to warn, or to see how it ended."""
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
