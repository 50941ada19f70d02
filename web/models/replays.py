"""What the operators' calls take and answer: replays, and what a person decides."""

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

#: Payments that a request may name: they fit into a body.
_MAX_IDS: Final = 1_000

#: Kept in small letters, whatever the provider's are.
Code = Annotated[str, StringConstraints(pattern=patterns.CODE, to_lower=True)]
Merchant = Annotated[str, Field(pattern=patterns.MERCHANT)]
#: States come as texts.
AnyState = Annotated[State, Field(strict=False)]


class FoundQuery(Query):
    """Which operations to find, newest payment first; all that is given must match."""

    state: State | SkipJsonSchema[None] = Field(
        default=None,
        description="Absent: those in review and dead. Others need a merchant",
    )
    provider: Provider | SkipJsonSchema[None] = None
    error: Code | SkipJsonSchema[None] = Field(
        default=None, description="The code of what went wrong last"
    )
    merchant: Merchant | SkipJsonSchema[None] = None
    created_from: Time | SkipJsonSchema[None] = Field(
        default=None, alias="created[gte]", description="Made at this time or later"
    )
    created_before: Time | SkipJsonSchema[None] = Field(
        default=None, alias="created[lt]", description="Made before this time"
    )
    amount_from: Whole | SkipJsonSchema[None] = Field(
        default=None, alias="amount[gte]", le=MAX_AMOUNT, description="In minor units"
    )
    amount_to: Whole | SkipJsonSchema[None] = Field(
        default=None, alias="amount[lte]", le=MAX_AMOUNT, description="In minor units"
    )
    limit: Whole = Field(default=20, ge=1, le=100, description="Payments on a page")
    cursor: Annotated[str, Field(pattern=patterns.CURSOR)] | SkipJsonSchema[None] = (
        Field(default=None, description="The next_cursor of the page before")
    )

    def search(self) -> Search:
        """What to search for."""
        return _search(self)


class PreviewRequest(StrictModel):
    """Which operations to freeze for a replay; all that is given must match."""

    state: AnyState | None = Field(
        default=None,
        description="Absent: those in review and dead. Others need a merchant or ids",
    )
    provider: Provider | None = None
    error: Code | None = Field(
        default=None, description="The code of what went wrong last"
    )
    merchant: Merchant | None = None
    created_from: Time | None = Field(
        default=None, description="Payments made at this time or later"
    )
    created_before: Time | None = Field(
        default=None, description="Payments made before this time"
    )
    amount_from: Amount | None = Field(default=None, description="In minor units")
    amount_to: Amount | None = Field(default=None, description="In minor units")
    ids: list[Annotated[str, Field(pattern=patterns.PAYMENT_ID)]] = Field(
        default=[], max_length=_MAX_IDS, description="Payments; none: any"
    )

    def search(self) -> Search:
        """What to search for."""
        return replace(_search(self), ids=tuple(self.ids))


class RunRequest(StrictModel):
    """Have a frozen set carried out."""

    reason: Reason = Field(description="It stands on each payment's timeline")
    rate: int = Field(
        default=DEFAULT_RATE, ge=1, le=MAX_RATE, description="Items a second, at most"
    )


class CancelRequest(StrictModel):
    """Stop a run. It has no fields; a body may be left out."""


class ResolveRequest(StrictModel):
    """What a person found out about an operation, or gave up on."""

    operation: Annotated[str, Field(pattern=patterns.OPERATION_ID)]
    verdict: Literal["succeeded", "declined", "canceled"] = Field(
        alias="as",
        description="Of a review: what the provider shows. Of a dead letter: canceled",
    )
    reason: Reason = Field(description="It stands on the payment's timeline")
    provider_reference: Annotated[str, Field(max_length=100)] | None = Field(
        default=None,
        description="Of what succeeded: the provider's id of it. At Stripe a payment"
        " intent (`pi_`), or a refund (`re_`); at PayPal the capture, authorization or"
        " refund, 17 capital letters and digits",
    )
    amount: Amount | None = Field(
        default=None,
        description="Of what succeeded: the minor units that moved. Absent: all that"
        " was asked for; more never is",
    )

    @property
    def found(self) -> Evidence:
        """What was found out, in our terms."""
        return Evidence(Verdict(self.verdict), self.provider_reference, self.amount)


class ReplayPath(StrictModel):
    """Which replay."""

    replay_id: str = Field(pattern=patterns.REPLAY_ID)


class ReplayQuery(Query):
    """Which of a set's items to show."""

    limit: Whole = Field(default=20, ge=1, le=100)
    cursor: Annotated[str, Field(pattern=patterns.CURSOR)] | SkipJsonSchema[None] = (
        Field(default=None, description="The next_cursor of the page before")
    )


class FoundOperation(Operation):
    """An operation that was found, and whose it is."""

    object: Literal["operation"]
    payment: str
    merchant: str
    provider: Provider
    currency: str
    reference: str | None
    error: str | None = Field(description="The code of what went wrong last")
    replay: ReplayAction = Field(description="What a replay would do now")
    created_at: Timestamp
    version: int


class FoundList(Answer):
    """A page: the matching operations of as many payments as the limit says."""

    object: Literal["list"]
    data: list[FoundOperation]
    has_more: bool
    next_cursor: str | None


class ReplayTotal(Answer):
    """Items of which the same would happen, in one currency."""

    action: ReplayAction
    currency: str
    count: int
    amount: int


class ReplayItem(Answer):
    """One operation of a set, as it was when the set was frozen."""

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
        description="What came of it; null: not reached yet"
    )


class ReplayItems(Answer):
    """A page of a set's items, in their order."""

    object: Literal["list"]
    data: list[ReplayItem]
    has_more: bool
    next_cursor: str | None


class ReplaySet(Answer):
    """A frozen set, what would happen to it, and how far its run has come."""

    id: str = Field(json_schema_extra={"pattern": patterns.REPLAY_ID})
    object: Literal["replay"]
    livemode: bool
    stage: ReplayStage
    search: dict[str, str]
    count: int
    totals: list[ReplayTotal]
    outcomes: dict[str, int] = Field(description="How many items have which verdict")
    items: ReplayItems
    by: str = Field(description="The API key that froze it")
    created_at: Timestamp
    run_by: str | None
    reason: str | None
    rate: int | None
    run_at: Timestamp | None
    canceled_by: str | None
    ended_at: Timestamp | None


def _search(asked: FoundQuery | PreviewRequest) -> Search:
    return Search(
        state=asked.state,
        provider=ProviderName(asked.provider) if asked.provider else None,
        error=asked.error,
        merchant=asked.merchant,
        created_from=asked.created_from,
        created_before=asked.created_before,
        amount_from=asked.amount_from,
        amount_to=asked.amount_to,
    )
