"""Request models of payments: one strict pydantic model per request."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from domain.money import Money
from domain.payments.states import Status
from domain.payments.submission import (
    CaptureMethod,
    FutureUsage,
    DuplicatePolicy,
    ProviderName,
    Submission,
)
from web.models import patterns
from web.models.types import (
    MAX_AMOUNT,
    Amount,
    Calls,
    Flag,
    Metadata,
    Provider,
    Query,
    Reason,
    StrictModel,
    Text,
    Time,
    Whole,
    list_currencies,
)

#: Seconds that a long poll may take; proxies cut silent connections at 60.
MAX_WAIT: Final = 30


class CustomerRequest(StrictModel):
    """The payer."""

    email: Annotated[str, Field(pattern=patterns.EMAIL, max_length=254)] | None = None
    id: Annotated[str, Field(pattern=patterns.TOKEN, max_length=255)] | None = Field(
        default=None,
        description="The provider's id of the customer for saved methods: Stripe's"
        " `cus_…`, or the id in PayPal's vault",
    )


class PaymentRequest(StrictModel):
    """A payment to make. A null field counts as absent."""

    model_config = ConfigDict(title="PaymentRequest")

    amount: int = Field(
        ge=1, le=MAX_AMOUNT, description="In minor units: 1999 is $19.99"
    )
    currency: str = Field(
        pattern=patterns.CURRENCY,
        description="ISO 4217, in capital letters",
        json_schema_extra=list_currencies,
    )
    provider: Provider | None = Field(
        default=None,
        description="The provider that carries it out. Optional for a merchant with"
        " its own accounts: one is then chosen by currency and weight",
    )
    capture: Literal["automatic", "manual"] = Field(
        default="automatic",
        description="`automatic` charges at once; `manual` only authorizes, for later"
        " captures",
    )
    payment_method: (
        Annotated[str, Field(pattern=patterns.TOKEN, max_length=255)] | None
    ) = Field(
        default=None,
        description="The provider's token. Stripe requires one. A PayPal payment"
        " without one needs its payer's approval; see next_action",
    )
    off_session: bool = Field(
        default=False,
        description="The payer is absent and pays by a saved method. If the bank"
        " requires the payer, next_action has the page, provided there is a return_url",
    )
    setup_future_usage: Literal["on_session", "off_session"] | None = Field(
        default=None,
        description="Saves the method for later payments; see saved_method",
    )
    multicapture: bool = Field(
        default=False,
        description="With `manual` capture, requests a Stripe hold that allows several"
        " captures, if the card supports it. PayPal's holds always do",
    )
    reference: Annotated[Text, Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="Your name of the order. By default a second payment with the same"
        " reference is refused while the first is unfinished or unknown",
    )
    allow_duplicate_reference: bool = Field(
        default=False,
        description="Accepts the payment even if another payment with its reference"
        " would block it",
    )
    description: Annotated[Text, Field(min_length=1, max_length=500)] | None = None
    return_url: Annotated[str, Field(pattern=patterns.URL, max_length=2000)] | None = (
        Field(default=None, description="The page to which the payer returns")
    )
    customer: CustomerRequest | None = None
    metadata: Metadata | None = None
    execute_at: Time | None = Field(
        default=None,
        description="The earliest time to carry it out; at most 90 days ahead",
    )

    def to_submission(self, duplicate_policy: DuplicatePolicy) -> Submission:
        """Converts the request. Raises InvalidPayment if the currency is unknown.

        ``duplicate_policy`` says when another payment with the reference is refused.
        """
        usage = self.setup_future_usage
        return Submission(
            amount=Money(self.amount, self.currency),
            provider=ProviderName(self.provider) if self.provider else None,
            capture=CaptureMethod(self.capture),
            payment_method=self.payment_method,
            reference=self.reference,
            description=self.description,
            return_url=self.return_url,
            email=self.customer.email if self.customer else None,
            customer=self.customer.id if self.customer else None,
            off_session=self.off_session,
            setup_future_usage=FutureUsage(usage) if usage else None,
            multicapture=self.multicapture,
            metadata=self.metadata or {},
            execute_at=self.execute_at,
            duplicate_policy=duplicate_policy,
        )


class CaptureRequest(StrictModel):
    """A capture of money on hold."""

    amount: Amount | None = Field(
        default=None, description="In minor units; absent for the whole rest"
    )
    final: bool | None = Field(
        default=None,
        description="Whether the rest is released. By default Stripe releases it and"
        " PayPal keeps it. Stripe accepts false only if authorization.multicapture is"
        " true",
    )


class RefundRequest(StrictModel):
    """A refund of captured money."""

    amount: Amount | None = Field(
        default=None,
        description="In minor units; absent for the whole rest of one charge or"
        " capture. If several captures have money left, operation must name one",
    )
    operation: Annotated[str, Field(pattern=patterns.OPERATION_ID)] | None = Field(
        default=None,
        description="The charge or capture to refund. Absent: the only one with money"
        " left, or the first with at least amount left",
    )


class VoidRequest(StrictModel):
    """A release of money on hold. It has no fields, and the body is optional."""


class SubmitHeaders(BaseModel):
    """The headers of a submission."""

    idempotency_key: str = Field(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!#-~]+$",
        description="A unique value for each operation, with or without double quotes",
    )


class PaymentPath(BaseModel):
    """The payment in an address."""

    payment_id: str = Field(pattern=patterns.PAYMENT_ID)


class ReadHeaders(BaseModel):
    """The headers of a read."""

    if_none_match: str | SkipJsonSchema[None] = Field(
        default=None,
        alias="If-None-Match",
        description="The ETag of an earlier answer: the answer is 304 if the payment"
        " has not changed",
    )


class AccountPath(BaseModel):
    """The account in an address."""

    account: str = Field(
        pattern=patterns.ACCOUNT_ID,
        description="The account's id; the provider's name for the deployment's own"
        " account",
    )


class AccountPauseRequest(StrictModel):
    """A pause or resumption of an account's calls."""

    reason: Reason = Field(description="The reason, shown to other operators")
    calls: Calls | None = Field(
        default=None, description="The kind of calls; absent for all calls"
    )


class ReadQuery(Query):
    """The query of a read of one payment."""

    wait: Whole = Field(
        default=0,
        ge=0,
        le=MAX_WAIT,
        description="Seconds to wait, at most, until the payment is settled",
    )


class ListQuery(Query):
    """The filters of a list of payments, newest first."""

    status: Status | SkipJsonSchema[None] = None
    provider: Provider | SkipJsonSchema[None] = None
    reference: Annotated[Text, Field(min_length=1, max_length=100)] | (
        SkipJsonSchema[None]
    ) = None
    disputed: Flag | SkipJsonSchema[None] = Field(
        default=None, description="Whether the payment has a dispute, open or ended"
    )
    created_from: Time | SkipJsonSchema[None] = Field(
        default=None, alias="created[gte]", description="Created at this time or later"
    )
    created_before: Time | SkipJsonSchema[None] = Field(
        default=None, alias="created[lt]", description="Created before this time"
    )
    limit: Whole = Field(default=20, ge=1, le=100)
    cursor: Annotated[str, Field(pattern=patterns.CURSOR)] | SkipJsonSchema[None] = (
        Field(default=None, description="The next_cursor of the previous page")
    )


class NoQuery(Query):
    """The query of a call without parameters."""
