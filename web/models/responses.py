"""Response models: the API's answers and their documentation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from domain.circuit_breaker import CallKind, BreakerState, TripReason
from domain.payments.answer import NextActionType
from domain.payments.dispute import DisputeState
from domain.payments.operation import HoldEnd, Kind
from domain.payments.states import State, Status
from domain.timestamps import format_rfc3339
from web.models.patterns import PAYMENT_ID
from web.models.types import Provider

Timestamp = Annotated[
    datetime,
    PlainSerializer(format_rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Answer(BaseModel):
    """An answer, or a part of one.

    Every field is always present. Later releases of /v1 may add fields.
    """

    model_config = ConfigDict(
        json_schema_serialization_defaults_required=True, hide_input_in_errors=True
    )


class NextAction(Answer):
    """Where the payer must go."""

    type: NextActionType = Field(
        description="redirect: the payer acts there and comes back to the return_url."
        " instructions: the page says how to pay elsewhere, as a voucher or a QR code"
        " does; nobody comes back from it."
    )
    url: str


class LastError(Answer):
    """Why the last attempt came to nothing."""

    code: str = Field(
        description="The provider's; declined_by_operator or canceled_by_operator where"
        " a person said so"
    )
    decline_code: str | None
    advice_code: str | None
    message: str
    retryable: bool = Field(description="A later payment of the kind may succeed")
    provider_request_id: str | None


class SavedMethod(Answer):
    """What the payer can pay with again: the payment_method of a later payment."""

    id: str = Field(description="The provider's token. Keep it as a secret")
    customer: str | None = Field(description="Give it as customer.id, at Stripe")


class Operation(Answer):
    """One movement of money: one that was asked for, or that others made at the
    provider."""

    id: str
    kind: Kind
    amount: int = Field(
        description="What was asked for; of an operation that an operator resolved,"
        " what moved"
    )
    state: State
    attempts: int
    due_at: Timestamp | None = Field(description="When we try next, or look again")
    safe_retry_until: Timestamp | None = Field(
        description="Until then we find an unknown outcome out by ourselves"
    )
    waiting_for: str | None = Field(
        description="Whom or what it waits for, in words: the payer, the provider, an"
        " operator, an open gate before the account"
    )
    source: Literal["api", "provider"] = Field(
        description="`provider`: others made it there, in its dashboard say; it counts"
        " in all totals, and is never sent"
    )
    target: str | None = Field(description="The operation that a refund is of")
    final: bool = Field(description="A capture after which the rest is released")
    fee: int | None = Field(
        description="What the provider kept, in minor units of fee_currency; below 0"
        " where it gave a fee back, null while it has not said"
    )
    fee_currency: str | None
    provider_refs: dict[str, str]


class Authorization(Answer):
    """Money on hold."""

    expires_at: Timestamp | None = Field(description="The provider lets go of it then")
    honored_until: Timestamp | None = Field(
        description="Until then the provider vouches for the whole amount"
    )
    ended: HoldEnd | None
    multicapture: bool = Field(description="A capture may leave the rest on hold")


class Dispute(Answer):
    """What the payer objects to at the provider. It is answered there, and changes
    neither the payment's status nor what was captured or refunded."""

    id: str = Field(description="The provider's")
    operation: str | None = Field(description="The charge or capture that it is of")
    state: DisputeState
    inquiry: bool = Field(description="The bank only asks; no money is taken for it")
    reason: str = Field(
        description="The provider's code; `reversed`: it took the money by itself"
    )
    amount: int
    amount_withdrawn: int = Field(
        description="What the provider took of it and has not given back"
    )
    currency: str
    respond_by: Timestamp | None = Field(description="Until when an answer is taken")
    opened_at: Timestamp
    updated_at: Timestamp
    outcome: str | None = Field(description="The provider's word for how it ended")


class Payment(Answer):
    """A payment as its merchant sees it."""

    id: str = Field(json_schema_extra={"pattern": PAYMENT_ID})
    object: Literal["payment"]
    livemode: bool
    status: Status
    amount: int
    currency: str
    amount_authorized: int
    amount_captured: int
    amount_refunded: int
    amount_capturable: int
    amount_disputed: int = Field(
        description="What disputes are about that are open or lost. It is a part of"
        " amount_captured, and the merchant does not have it for sure"
    )
    amount_fee: int | None = Field(
        description="The sum of what is known of the provider's fees, in fee_currency;"
        " null where none is, or several currencies are"
    )
    fee_currency: str | None
    authorization: Authorization | None
    provider: Provider = Field(description="Whose account carries it out")
    account: str = Field(
        description="Its id; the deployment's own account has its provider's name"
    )
    provider_refs: dict[str, str]
    next_action: NextAction | None
    last_error: LastError | None
    saved_method: SavedMethod | None = Field(
        description="Where setup_future_usage saved one"
    )
    operations: list[Operation]
    disputes: list[Dispute]
    reference: str | None
    metadata: dict[str, str]
    created_at: Timestamp
    updated_at: Timestamp


class Event(Answer):
    """One line of a payment's timeline."""

    object: Literal["event"]
    seq: int = Field(description="Counts from 1 without a gap")
    type: str
    at: Timestamp
    data: dict[str, str | int]


class PaymentList(Answer):
    """A page, newest first."""

    object: Literal["list"]
    data: list[Payment]
    has_more: bool
    next_cursor: str | None


class EventList(Answer):
    """A whole timeline, oldest first."""

    object: Literal["list"]
    data: list[Event]
    has_more: Literal[False]
    next_cursor: None


class BreakerChange(Answer):
    """One opening or closing of a breaker."""

    state: BreakerState
    trip_reason: TripReason | None
    reason: str
    by: str
    at: Timestamp


class CircuitBreaker(Answer):
    """What stands before a provider's account. Open, it lets nothing through."""

    object: Literal["circuit_breaker"]
    account: str
    calls: CallKind | None = Field(
        description="The kind of calls that it stops; null: all"
    )
    provider: Provider
    merchant: str | None = Field(description="null: the deployment's own account")
    state: BreakerState
    trip_reason: TripReason | None = Field(description="What opened it")
    reason: str | None
    by: str | None = Field(description="The worker, or the operator's merchant and key")
    since: Timestamp | None = Field(description="null where it never moved")
    next_probe_at: Timestamp | None = Field(
        description="When one payment goes through to try; null: an operator decides"
    )
    changes: list[BreakerChange] = Field(description="The last 20, oldest first")


class CircuitBreakerList(Answer):
    """All breakers."""

    object: Literal["list"]
    data: list[CircuitBreaker]
    has_more: Literal[False]
    next_cursor: None


class Health(Answer):
    """The state of the process, and of each server that it needs."""

    status: Literal["ok", "ready", "degraded"]
    checks: dict[str, str]


class Received(Answer):
    """A provider's event that is durable."""

    received: Literal[True]


class FieldError(Answer):
    """One thing that is wrong."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    pointer: str | None = Field(default=None, description="JSON pointer into the body")
    parameter: str | None = Field(
        default=None, description="Name of a query parameter or header"
    )
    detail: str
    code: str


class Problem(Answer):
    """RFC 9457; ``type`` names a page that explains ``code``."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] = Field(default_factory=list)
    checks: dict[str, str] = Field(default_factory=dict)
    reason: str | None = Field(default=None, description="Which rule forbids it")
    payment: str | None = Field(
        default=None, description="The payment that stands in the way"
    )
    quota: str | None = Field(default=None, description="The quota that is used up")
