"""What a payer objects to at the provider, as the provider says it.

A dispute is laid over its payment: it moves no operation and no total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.account import Account
from domain.money import Money
from domain.payments.event_types import EventType

#: Disputes that a payment keeps. A charge is disputed once, seldom twice.
MAX_DISPUTES: Final = 50
#: The reason of a reversal that the provider made by itself, without a dispute.
REVERSED: Final = "reversed"


class DisputeState(StrEnum):
    """Where a dispute stands, as the merchant sees it."""

    NEEDS_RESPONSE = "needs_response"  #: the merchant may answer, at the provider
    UNDER_REVIEW = "under_review"  #: the provider, a bank or the payer is at it
    WON = "won"  #: decided for the merchant
    LOST = "lost"  #: decided for the payer, or given up; reversals are lost at once
    CLOSED = "closed"  #: ended without a decision


OPEN: Final = frozenset({DisputeState.NEEDS_RESPONSE, DisputeState.UNDER_REVIEW})
ENDED: Final = frozenset({DisputeState.WON, DisputeState.LOST, DisputeState.CLOSED})

#: The event of each end.
_ENDED: Final = {
    DisputeState.WON: EventType.DISPUTE_WON,
    DisputeState.LOST: EventType.DISPUTE_LOST,
    DisputeState.CLOSED: EventType.DISPUTE_CLOSED,
}
#: What is told where a dispute comes from one state to another; None: not heard of
#: before. The provider decides, and may do so again (an appeal), so every way exists.
STATE_EVENTS: Final[Mapping[tuple[DisputeState | None, DisputeState], EventType]] = {
    **{
        (was, now): EventType.DISPUTE_UPDATED
        for was in OPEN
        for now in OPEN
        if was is not now
    },
    **{(was, now): EventType.DISPUTE_REOPENED for was in ENDED for now in OPEN},
    **{
        (was, now): event
        for was in (None, *DisputeState)
        for now, event in _ENDED.items()
        if was is not now
    },
}


@dataclass(frozen=True, slots=True)
class Dispute:
    """One objection of a payer's. Times are UTC."""

    id: str  #: the provider's; without a dispute, its id of the reversal
    ref: str  #: the provider's id of the charge or capture that it is of
    money: Money  #: what is disputed
    reason: str  #: the provider's code of it, in small letters
    state: DisputeState
    opened_at: datetime  #: by the provider's clock
    inquiry: bool = False  #: the payer's bank only asks; nothing is withdrawn for it
    #: Minor units of ``money`` that the provider took, and has not given back.
    withdrawn: int = 0
    respond_by: datetime | None = None  #: until when an answer is taken
    outcome: str | None = None  #: the provider's word for how it ended
    operation: str | None = None  #: ours: the charge or capture that it is of
    updated_at: datetime | None = None  #: when we last heard something new of it

    @property
    def is_at_risk(self) -> bool:
        """The merchant does not have this money for sure: it is open, or lost."""
        return self.state in OPEN or self.state is DisputeState.LOST


@dataclass(frozen=True, slots=True)
class DisputeUpdate:
    """What a webhook says is new: never believed, only read."""

    account: Account  #: whose events told it
    ref: str  #: the provider's id of the dispute, or of the reversal
    is_reversal: bool = False


@dataclass(frozen=True, slots=True)
class DisputeSnapshot:
    """A dispute as the provider shows it now, and whose it is."""

    dispute: Dispute
    payment: str | None  #: ours, as we wrote it on what is disputed
    operations: tuple[str, ...] = ()  #: ours, likewise
