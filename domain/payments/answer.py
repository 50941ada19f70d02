"""What a provider said of an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.money import Fee, Money
from domain.payments.operation import Kind
from domain.payments.states import Trigger


class Verdict(StrEnum):
    """What a provider can answer; what is none of these is a ProviderError."""

    SUCCEEDED = "succeeded"  #: money moved, ``moved`` says how much
    DECLINED = "declined"  #: a definite no to this payment
    REJECTED = "rejected"  #: a definite no to this request, whoever pays
    ACTION_REQUIRED = "action_required"  #: the payer must act first
    APPROVED = "approved"  #: the provider waits for our word, the payer being there
    PENDING = "pending"  #: taken, not done
    CANCELED = "canceled"  #: called off at the provider
    EXPIRED = "expired"  #: too late at the provider
    ABSENT = "absent"  #: never there, says a look that cannot lag

    @property
    def trigger(self) -> Trigger:
        """How this answer moves the operation."""
        return Trigger.PENDED if self is Verdict.PENDING else Trigger(self.value)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why it was a no, as the merchant may read it."""

    code: str  #: the provider's error code, or that a person said so
    message: str  #: the provider's sentence for people, or ours
    decline_code: str | None = None  #: the bank's reason
    advice_code: str | None = None  #: what the network advises to do next
    retryable: bool = False  #: a later payment of the same kind may succeed
    provider_request_id: str | None = None  #: to quote to the provider's support


class NextActionType(StrEnum):
    """What the payer does at the page."""

    REDIRECT = "redirect"  #: they act there, and come back to the return_url
    INSTRUCTIONS = "instructions"  #: it says how to pay elsewhere: a voucher, a QR code


@dataclass(frozen=True, slots=True)
class NextAction:
    """Where the payer must go."""

    url: str
    type: NextActionType = NextActionType.REDIRECT


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """What a payer has let us pay with again: the provider's tokens, kept secret."""

    id: str = field(repr=False)
    customer: str | None = field(default=None, repr=False)  #: whom it is saved for


@dataclass(frozen=True, slots=True)
class ExternalMovement:
    """A capture or a refund of the payment's that no operation of ours has made.

    Stripe names no single capture of a charge, so captures with the same ``refs`` are
    one movement, of their sum.
    """

    kind: Kind  #: CAPTURE or REFUND
    verdict: Verdict
    money: Money
    refs: Mapping[str, str]  #: provider object ids
    parent_ref: str | None = (
        None  #: of a refund: the provider's id of its charge or capture
    )
    final: bool = False  #: of a capture: nothing is on hold any more
    fee: Fee | None = None

    @property
    def ref(self) -> str:
        """The provider's id of it, for people."""
        return list(self.refs.values())[-1]


@dataclass(frozen=True, slots=True)
class Answer:
    """One provider answer, in our terms."""

    verdict: Verdict
    moved: Money | None = None  #: the money that moved, where some did
    refs: Mapping[str, str] = field(default_factory=dict)  #: provider object ids
    next_action: NextAction | None = None
    failure: Failure | None = None
    waiting_for: str | None = None  #: what a pending or acting payment waits for
    request_id: str | None = None  #: the provider's name of the call
    expires_at: datetime | None = None  #: an authorization's money is let go then
    honored_until: datetime | None = None  #: until then the provider vouches for it
    multicapture: bool = False  #: a capture may leave the rest on hold
    fee: Fee | None = None  #: None where it was not said, or not yet
    saved_method: SavedMethod | None = None  #: where this payment saved one
    is_saving_method: bool = False  #: one is still being saved: a later look finds it
    #: What others moved, as far as a look that reads it all has seen it.
    external_movements: tuple[ExternalMovement, ...] = ()
