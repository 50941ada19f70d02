"""Disputes, as the provider shows them.

A dispute belongs to its payment, but changes no operation and no total.
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

#: The most disputes that a payment keeps. A charge is disputed once, rarely twice.
MAX_DISPUTES: Final = 50
#: The reason of a reversal that the provider made by itself, without a dispute.
REVERSED: Final = "reversed"


class DisputeState(StrEnum):
    """The state of a dispute, as the merchant sees it."""

    NEEDS_RESPONSE = "needs_response"  #: the merchant may answer, at the provider
    UNDER_REVIEW = "under_review"  #: the provider, a bank or the payer must act
    WON = "won"  #: decided for the merchant
    LOST = "lost"  #: decided for the payer, or accepted; a reversal is lost at once
    CLOSED = "closed"  #: ended without a decision


OPEN: Final = frozenset({DisputeState.NEEDS_RESPONSE, DisputeState.UNDER_REVIEW})
ENDED: Final = frozenset({DisputeState.WON, DisputeState.LOST, DisputeState.CLOSED})

#: The event of each end.
_ENDED: Final = {
    DisputeState.WON: EventType.DISPUTE_WON,
    DisputeState.LOST: EventType.DISPUTE_LOST,
    DisputeState.CLOSED: EventType.DISPUTE_CLOSED,
}
#: The event of each change of state; None: a new dispute. The provider may decide
#: again, as after an appeal, so every change is possible.
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
    """One dispute, or a reversal without a dispute. Times are UTC."""

    id: str  #: the provider's id of the dispute, else of the reversal
    ref: str  #: the provider's id of the charge or capture
    money: Money  #: the disputed amount
    reason: str  #: the provider's code, in small letters
    state: DisputeState
    opened_at: datetime  #: by the provider's clock
    inquiry: bool = False  #: the payer's bank only asks; no money is withdrawn
    #: Minor units that the provider took and has not given back.
    withdrawn: int = 0
    respond_by: datetime | None = None  #: the end of the time for a response
    outcome: str | None = None  #: the provider's code of the decision
    operation: str | None = None  #: the id of our charge or capture
    updated_at: datetime | None = None  #: the last time that something was new

    @property
    def is_at_risk(self) -> bool:
        """Whether the merchant may not keep the money: the dispute is open or lost."""
        return self.state in OPEN or self.state is DisputeState.LOST


@dataclass(frozen=True, slots=True)
class DisputeUpdate:
    """The content of a webhook about a dispute: it only causes a read."""

    account: Account  #: the account of the webhook
    ref: str  #: the provider's id of the dispute, or of the reversal
    is_reversal: bool = False


@dataclass(frozen=True, slots=True)
class DisputeSnapshot:
    """A dispute as the provider shows it now, with its payment."""

    dispute: Dispute
    payment: str | None  #: our payment's id, as written on the disputed object
    operations: tuple[str, ...] = ()  #: our operations' ids, likewise
