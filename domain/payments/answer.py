"""A provider's answer to an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.money import Fee, Money
from domain.payments.operation import Kind
from domain.payments.states import Trigger


class Verdict(StrEnum):
    """The answers of a provider; any other end of a call is a ProviderError."""

    SUCCEEDED = "succeeded"  #: money moved, see ``Answer.moved``
    DECLINED = "declined"  #: this payment is refused
    REJECTED = "rejected"  #: this request is refused from any payer
    ACTION_REQUIRED = "action_required"  #: the payer must act first
    APPROVED = "approved"  #: the payer agreed; the provider waits for our next request
    PENDING = "pending"  #: in progress at the provider
    CANCELED = "canceled"  #: canceled at the provider
    EXPIRED = "expired"  #: its time at the provider ended
    ABSENT = "absent"  #: the provider never had it, by a lookup that cannot lag

    @property
    def trigger(self) -> Trigger:
        """The trigger that changes the operation's state."""
        return Trigger.PENDED if self is Verdict.PENDING else Trigger(self.value)


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason of a refusal, as the merchant may read it."""

    code: str  #: the provider's error code, or a FailureCode
    message: str  #: a sentence for people, the provider's or ours
    decline_code: str | None = None  #: the bank's reason
    advice_code: str | None = None  #: the network's advice for the next step
    retryable: bool = False  #: a later payment of the same kind may succeed
    provider_request_id: str | None = None  #: to quote to the provider's support


class NextActionType(StrEnum):
    """The purpose of the page for the payer."""

    REDIRECT = "redirect"  #: the payer acts there and returns to the return_url
    INSTRUCTIONS = "instructions"  #: it shows how to pay elsewhere, as by a QR code


@dataclass(frozen=True, slots=True)
class NextAction:
    """The page that the payer must open."""

    url: str
    type: NextActionType = NextActionType.REDIRECT


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """A payment method that was saved for later payments: the provider's secret ids."""

    id: str = field(repr=False)
    customer: str | None = field(default=None, repr=False)  #: its owner's id


@dataclass(frozen=True, slots=True)
class ExternalMovement:
    """A capture or a refund of the payment that no operation of ours has made.

    Stripe has no ids of single captures, so captures with the same ``refs`` are one
    movement with their sum.
    """

    kind: Kind  #: CAPTURE or REFUND
    verdict: Verdict
    money: Money
    refs: Mapping[str, str]  #: provider object ids
    parent_ref: str | None = None  #: the provider's id of a refund's charge or capture
    final: bool = False  #: a capture after which nothing is on hold any more
    fee: Fee | None = None

    @property
    def ref(self) -> str:
        """The provider's id of it, for people."""
        return list(self.refs.values())[-1]


@dataclass(frozen=True, slots=True)
class Answer:
    """One provider answer, in our terms."""

    verdict: Verdict
    moved: Money | None = None  #: the money that moved, if any
    refs: Mapping[str, str] = field(default_factory=dict)  #: provider object ids
    next_action: NextAction | None = None
    failure: Failure | None = None
    #: ``Operation.waiting_for`` of a pending operation, or one that needs action.
    waiting_for: str | None = None
    request_id: str | None = None  #: the provider's id of the call
    expires_at: datetime | None = None  #: an authorization's money is released then
    honored_until: datetime | None = None  #: an authorization is guaranteed until then
    multicapture: bool = False  #: a capture may leave the rest on hold
    fee: Fee | None = None  #: None where the provider has not given it
    saved_method: SavedMethod | None = None  #: the method that this payment saved
    is_saving_method: bool = False  #: the method is still being saved
    #: Movements made by others, from a lookup that reads the whole payment.
    external_movements: tuple[ExternalMovement, ...] = ()
