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
    """The page that the payer must open."""

    type: NextActionType = Field(
        description="`redirect`: the payer acts on the page and returns to the"
        " return_url. `instructions`: the page explains how to pay elsewhere, for"
        " example by a voucher or a QR code, and the payer does not return from it."
    )
    url: str


class LastError(Answer):
    """The reason why the last attempt failed."""

    code: str = Field(
        description="The provider's code, or `declined_by_operator` or"
        " `canceled_by_operator` if an operator resolved the operation"
    )
    decline_code: str | None
    advice_code: str | None
    message: str
    retryable: bool = Field(description="Whether a similar later payment may succeed")
    provider_request_id: str | None


class SavedMethod(Answer):
    """The payer's saved method, for use as the payment_method of a later payment."""

    id: str = Field(description="The provider's token. Keep it secret")
    customer: str | None = Field(
        description="The customer.id to send with it. Only Stripe needs one"
    )


class Operation(Answer):
    """One requested movement of money, or one that was made at the provider."""

    id: str
    kind: Kind
    amount: int = Field(
        description="The requested amount; after an operator resolved the operation,"
        " the amount that moved"
    )
    state: State
    attempts: int
    due_at: Timestamp | None = Field(
        description="The time of the next attempt or status lookup"
    )
    safe_retry_until: Timestamp | None = Field(
        description="Until then the service resolves an unknown outcome by itself"
    )
    waiting_for: str | None = Field(
        description="What the operation is blocked on, as text: the payer, the"
        " provider, an operator or a circuit breaker. null if the operation only waits"
        " for due_at"
    )
    source: Literal["api", "provider"] = Field(
        description="`provider`: the operation was made at the provider, for example in"
        " its dashboard. It counts in all totals and is never sent"
    )
    target: str | None = Field(description="The operation that a refund gives back")
    final: bool = Field(description="Whether the rest is released after this capture")
    fee: int | None = Field(
        description="The provider's fee in minor units of fee_currency; negative if a"
        " fee was returned, null until the provider reports it"
    )
    fee_currency: str | None
    provider_refs: dict[str, str]


class Authorization(Answer):
    """Money on hold."""

    expires_at: Timestamp | None = Field(
        description="The time when the provider releases the hold"
    )
    honored_until: Timestamp | None = Field(
        description="Until then the provider guarantees the whole amount"
    )
    ended: HoldEnd | None
    multicapture: bool = Field(
        description="Whether a capture may leave the rest on hold"
    )


class Dispute(Answer):
    """A dispute of the payer, which is answered at the provider.

    A dispute changes neither the payment's status nor the captured and refunded
    amounts.
    """

    id: str = Field(description="The provider's id")
    operation: str | None = Field(description="The disputed charge or capture")
    state: DisputeState
    inquiry: bool = Field(description="The bank only inquires and withdraws no money")
    reason: str = Field(
        description="The provider's code; `reversed` if the provider took the money"
        " without a dispute"
    )
    amount: int
    amount_withdrawn: int = Field(
        description="The amount that the provider has withdrawn and not returned"
    )
    currency: str
    respond_by: Timestamp | None = Field(description="The deadline for evidence")
    opened_at: Timestamp
    updated_at: Timestamp
    outcome: str | None = Field(description="The provider's code for the outcome")


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
        description="The amount of all open and lost disputes. It is part of"
        " amount_captured, and the merchant may have to return it"
    )
    amount_fee: int | None = Field(
        description="The sum of the provider's known fees in fee_currency; null if no"
        " fee is known or fees have several currencies"
    )
    fee_currency: str | None
    authorization: Authorization | None
    provider: Provider = Field(description="The provider that carries it out")
    account: str = Field(
        description="The id of the account that carries it out; the provider's name for"
        " the deployment's own account"
    )
    provider_refs: dict[str, str]
    next_action: NextAction | None
    last_error: LastError | None
    saved_method: SavedMethod | None = Field(
        description="The method that setup_future_usage saved"
    )
    operations: list[Operation]
    disputes: list[Dispute]
    reference: str | None
    metadata: dict[str, str]
    created_at: Timestamp
    updated_at: Timestamp


class Event(Answer):
    """One event of a payment's timeline."""

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
    """One change of a breaker's state."""

    state: BreakerState
    trip_reason: TripReason | None
    reason: str
    by: str
    at: Timestamp


class CircuitBreaker(Answer):
    """The circuit breaker of a provider account. Unless it is closed, calls wait."""

    object: Literal["circuit_breaker"]
    account: str
    calls: CallKind | None = Field(
        description="The kind of calls that the breaker stops; null for all calls"
    )
    provider: Provider
    merchant: str | None = Field(description="null for the deployment's own account")
    state: BreakerState = Field(
        description="`open` until a probe is due, `half_open` while one is under way"
    )
    trip_reason: TripReason | None = Field(description="The cause of its opening")
    reason: str | None
    by: str | None = Field(description="The worker, or the operator's merchant and key")
    since: Timestamp | None = Field(
        description="The time of the last change; null if its state never changed"
    )
    next_probe_at: Timestamp | None = Field(
        description="The time when one operation is let through as a probe; null if"
        " only an operator can close the breaker"
    )
    changes: list[BreakerChange] = Field(description="The last 20, oldest first")


class CircuitBreakerList(Answer):
    """All breakers."""

    object: Literal["list"]
    data: list[CircuitBreaker]
    has_more: Literal[False]
    next_cursor: None


class Health(Answer):
    """The state of the process and of each server that it needs."""

    status: Literal["ok", "ready", "degraded"]
    checks: dict[str, str]


class Received(Answer):
    """The confirmation of a stored provider event."""

    received: Literal[True]


class FieldError(Answer):
    """One error in a request."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    pointer: str | None = Field(default=None, description="JSON pointer into the body")
    parameter: str | None = Field(
        default=None, description="Name of a query parameter or header"
    )
    detail: str
    code: str


class Problem(Answer):
    """A problem by RFC 9457; ``type`` is the address of a page that explains it."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] = Field(default_factory=list)
    checks: dict[str, str] = Field(default_factory=dict)
    reason: str | None = Field(
        default=None, description="The code of the rule that forbids the request"
    )
    payment: str | None = Field(
        default=None, description="The payment that blocks the request"
    )
    quota: str | None = Field(default=None, description="The exceeded quota")
