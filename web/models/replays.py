"""Models of the operators' calls: searches, replays and resolutions."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from domain.payments.answer import Verdict
from domain.payments.operator_actions import Evidence, ReplayAction
from domain.payments.states import State
from domain.payments.submission import ProviderName
from domain.replays import MAX_RATE, DEFAULT_RATE, ItemOutcome, Search, ReplayStage
from web.models import patterns
from web.models.responses import Answer, Operation, Timestamp
from web.models.types import (
    MAX_AMOUNT,
    Amount,
    Provider,
    Query,
    Reason,
    StrictModel,
    Time,
    Whole,
)

#: Payments that a request may name; so many fit into a body.
_MAX_IDS: Final = 1_000

#: Converted to small letters, as all codes are stored.
Code = Annotated[str, StringConstraints(pattern=patterns.CODE, to_lower=True)]
Merchant = Annotated[str, Field(pattern=patterns.MERCHANT)]
#: Not strict, because JSON has a state as text.
AnyState = Annotated[State, Field(strict=False)]


class FoundQuery(Query):
    """Filters of operations, newest payment first. All given filters must match."""

    state: State | SkipJsonSchema[None] = Field(
        default=None,
        description="Absent: operations in review and dead letters. Other states need a"
        " merchant",
    )
    provider: Provider | SkipJsonSchema[None] = None
    error: Code | SkipJsonSchema[None] = Field(
        default=None, description="The code of the last error"
    )
    merchant: Merchant | SkipJsonSchema[None] = None
    created_from: Time | SkipJsonSchema[None] = Field(
        default=None, alias="created[gte]", description="Created at this time or later"
    )
    created_before: Time | SkipJsonSchema[None] = Field(
        default=None, alias="created[lt]", description="Created before this time"
    )
    amount_from: Whole | SkipJsonSchema[None] = Field(
        default=None, alias="amount[gte]", le=MAX_AMOUNT, description="In minor units"
    )
    amount_to: Whole | SkipJsonSchema[None] = Field(
        default=None, alias="amount[lte]", le=MAX_AMOUNT, description="In minor units"
    )
    limit: Whole = Field(default=20, ge=1, le=100, description="Payments on a page")
    cursor: Annotated[str, Field(pattern=patterns.CURSOR)] | SkipJsonSchema[None] = (
        Field(default=None, description="The next_cursor of the previous page")
    )

    def search(self) -> Search:
        """Converts the filters."""
        return _search(self)


class PreviewRequest(StrictModel):
    """Filters of the operations to freeze for a replay. All given ones must match."""

    state: AnyState | None = Field(
        default=None,
        description="Absent: operations in review and dead letters. Other states need a"
        " merchant or ids",
    )
    provider: Provider | None = None
    error: Code | None = Field(default=None, description="The code of the last error")
    merchant: Merchant | None = None
    created_from: Time | None = Field(
        default=None, description="Payments created at this time or later"
    )
    created_before: Time | None = Field(
        default=None, description="Payments created before this time"
    )
    amount_from: Amount | None = Field(default=None, description="In minor units")
    amount_to: Amount | None = Field(default=None, description="In minor units")
    ids: list[Annotated[str, Field(pattern=patterns.PAYMENT_ID)]] = Field(
        default=[], max_length=_MAX_IDS, description="Payments; empty for any payment"
    )

    def search(self) -> Search:
        """Converts the filters."""
        return replace(_search(self), ids=tuple(self.ids))


class RunRequest(StrictModel):
    """The run of a frozen set."""

    reason: Reason = Field(description="The reason, for each payment's timeline")
    rate: int = Field(
        default=DEFAULT_RATE, ge=1, le=MAX_RATE, description="At most so many items/s"
    )


class CancelRequest(StrictModel):
    """The cancellation of a run. It has no fields, and the body is optional."""


class ResolveRequest(StrictModel):
    """An operator's decision about an operation in review or a dead letter."""

    operation: Annotated[str, Field(pattern=patterns.OPERATION_ID)]
    verdict: Literal["succeeded", "declined", "canceled"] = Field(
        alias="as",
        description="For an operation in review, the outcome at the provider. For a"
        " dead letter only `canceled`",
    )
    reason: Reason = Field(description="The reason, for the payment's timeline")
    provider_reference: Annotated[str, Field(max_length=100)] | None = Field(
        default=None,
        description="The provider's id of a succeeded operation: Stripe's payment"
        " intent (`pi_`) or refund (`re_`); PayPal's capture, authorization or refund,"
        " 17 capital letters and digits",
    )
    amount: Amount | None = Field(
        default=None,
        description="The minor units that a succeeded operation moved, at most the"
        " requested amount. Absent: the requested amount",
    )

    @property
    def found(self) -> Evidence:
        """The decision as evidence about the operation."""
        return Evidence(Verdict(self.verdict), self.provider_reference, self.amount)


class ReplayPath(StrictModel):
    """The replay in an address."""

    replay_id: str = Field(pattern=patterns.REPLAY_ID)


class ReplayQuery(Query):
    """The page of a set's items."""

    limit: Whole = Field(default=20, ge=1, le=100)
    cursor: Annotated[str, Field(pattern=patterns.CURSOR)] | SkipJsonSchema[None] = (
        Field(default=None, description="The next_cursor of the previous page")
    )


class FoundOperation(Operation):
    """An operation with the facts of its payment."""

    object: Literal["operation"]
    payment: str
    merchant: str
    provider: Provider
    currency: str
    reference: str | None
    error: str | None = Field(description="The code of the last error")
    replay: ReplayAction = Field(description="The effect that a replay would have now")
    created_at: Timestamp
    version: int


class FoundList(Answer):
    """A page with the matching operations of up to ``limit`` payments."""

    object: Literal["list"]
    data: list[FoundOperation]
    has_more: bool
    next_cursor: str | None


class ReplayTotal(Answer):
    """The items of a set with one action and one currency."""

    action: ReplayAction
    currency: str
    count: int
    amount: int


class ReplayItem(Answer):
    """One operation, in its state at the time when its set was frozen."""

    object: Literal["replay_item"]
    number: int
    payment: str
    operation: str
    version: int
    state: State
    action: ReplayAction
    amount: int
    currency: str
    merchant: str
    provider: Provider
    outcome: ItemOutcome | None = Field(
        description="The outcome; null until the run reaches the item"
    )


class ReplayItems(Answer):
    """A page of a set's items in order."""

    object: Literal["list"]
    data: list[ReplayItem]
    has_more: bool
    next_cursor: str | None


class ReplaySet(Answer):
    """A frozen set with its expected effects and the progress of its run."""

    id: str = Field(json_schema_extra={"pattern": patterns.REPLAY_ID})
    object: Literal["replay"]
    livemode: bool
    stage: ReplayStage
    search: dict[str, str]
    count: int
    totals: list[ReplayTotal]
    outcomes: dict[str, int] = Field(description="The number of items by outcome")
    items: ReplayItems
    by: str = Field(description="The API key that froze the set")
    created_at: Timestamp
    run_by: str | None
    reason: str | None
    rate: int | None
    run_at: Timestamp | None
    canceled_by: str | None
    ended_at: Timestamp | None


def _search(filters: FoundQuery | PreviewRequest) -> Search:
    return Search(
        state=filters.state,
        provider=ProviderName(filters.provider) if filters.provider else None,
        error=filters.error,
        merchant=filters.merchant,
        created_from=filters.created_from,
        created_before=filters.created_before,
        amount_from=filters.amount_from,
        amount_to=filters.amount_to,
    )
