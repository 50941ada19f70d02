"""A call to the simulated provider, and the entry that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.payments.operation import Kind


@dataclass(frozen=True, slots=True)
class Call:
    """A request that changes something, as it arrives."""

    key: str
    body: str
    kind: Kind
    operation: str
    amount: int
    currency: str
    final: bool
    approved: bool  #: the payer agreed to what an earlier call made
    several: bool  #: captures are wanted one after the other
    token: bool  #: of the payer's; without one PayPal has the payer approve
    refs: Mapping[str, str]  #: of the object that it is about


class Stage(StrEnum):
    """Where an object of the provider's is."""

    DECLINED = "declined"
    ACTING = "acting"  #: the payer has yet to agree
    APPROVED = "approved"  #: the payer agreed, and whoever asked has to go on
    PENDING = "pending"
    HELD = "held"
    DONE = "done"
    LET_GO = "let_go"
    FORGOTTEN = "forgotten"  #: an order whose time ran out; nobody can tell of it


@dataclass(slots=True)
class Entry:
    """A payment, a capture or a refund as the provider keeps it."""

    id: str
    kind: Kind
    operation: str
    amount: int
    currency: str
    stage: Stage
    decided_at: datetime | None = None  #: when what pends is done
    agreed_at: datetime | None = None  #: when the payer who must act does
    refuses: bool = False  #: what they do then is to refuse
    asked_at: datetime | None = None  #: an order's time runs from here
    expires_at: datetime | None = None
    honored_until: datetime | None = None
    expired: bool = False
    several: bool = False  #: a capture may leave the rest on hold
    captured: int = 0
    refunded: int = 0
    parts: list[Entry] = field(default_factory=list)  #: captures and refunds
    of: str | None = None  #: of a refund: the charge or capture
    by_others: bool = False  #: somebody made it in the dashboard
    fails_at: datetime | None = None  #: a refund that was made comes back then
