"""A call to the simulated provider, and the entry that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.payments.operation import Kind


@dataclass(frozen=True, slots=True)
class Call:
    """A request with an effect, as it arrives."""

    key: str
    body: str
    kind: Kind
    operation: str
    amount: int
    currency: str
    final: bool
    approved: bool  #: the payer agreed to the object of an earlier call
    multicapture: bool  #: several captures are requested
    token: bool  #: has the payer's token; without one the payer approves at PayPal
    refs: Mapping[str, str]  #: of the payment's objects


class Stage(StrEnum):
    """The state of an object at the provider."""

    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"  #: the payer has yet to agree
    APPROVED = "approved"  #: the payer agreed; the order can be carried out
    PENDING = "pending"
    HELD = "held"
    DONE = "done"
    RELEASED = "released"
    FORGOTTEN = "forgotten"  #: an order after its deadline, unknown to lookups


@dataclass(slots=True)
class Entry:
    """A payment, a capture or a refund in the provider's books."""

    id: str
    kind: Kind
    operation: str
    amount: int
    currency: str
    stage: Stage
    decided_at: datetime | None = None  #: when a pending object ends
    agreed_at: datetime | None = None  #: when the payer acts
    refuses: bool = False  #: the payer's action is a refusal
    asked_at: datetime | None = None  #: the start of an order's lifetime
    expires_at: datetime | None = None
    honored_until: datetime | None = None
    expired: bool = False
    multicapture: bool = False  #: a capture may leave the rest on hold
    captured: int = 0
    refunded: int = 0
    parts: list[Entry] = field(default_factory=list)  #: captures and refunds
    parent: str | None = None  #: the charge or capture of a refund
    is_external: bool = False  #: made in the dashboard
    fails_at: datetime | None = None  #: when a completed refund fails
