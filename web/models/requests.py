"""What the API takes: one pydantic model a request, strict, each field bounded."""

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

#: Seconds a reader may wait for news; proxies cut silent connections at 60.
MAX_WAIT: Final = 30


class CustomerRequest(StrictModel):
    """The payer."""

    email: Annotated[str, Field(pattern=patterns.EMAIL, max_length=254)] | None = None
    id: Annotated[str, Field(pattern=patterns.TOKEN, max_length=255)] | None = Field(
        default=None,
        description="The provider's id of the customer, whom methods are saved for:"
        " Stripe's cus_…, or the one of PayPal's vault",
    )


class PaymentRequest(StrictModel):
    """One payment to make. A field that is null counts as absent."""

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
        description="Who carries it out. A merchant with accounts of its own may leave"
        " it out: they are chosen between, by currency and weight",
    )
    capture: Literal["automatic", "manual"] = Field(
        default="automatic",
        description="automatic charges at once; manual authorizes now, to be captured",
    )
    payment_method: (
        Annotated[str, Field(pattern=patterns.TOKEN, max_length=255)] | None
    ) = Field(
        default=None,
        description="The provider's token. Stripe needs one; PayPal answers"
        " without one by an approval link.",
    )
    off_session: bool = Field(
        default=False,
        description="The payer is not there: pay by a saved method. Should the bank"
        " insist on the payer, a return_url lets us ask for that by next_action.",
    )
    setup_future_usage: Literal["on_session", "off_session"] | None = Field(
        default=None,
        description="Save the method for later payments; see saved_method",
    )
    multicapture: bool = Field(
        default=False,
        description="With capture manual: ask Stripe for a hold that several captures"
        " can take parts of, where the card allows it. PayPal's always are.",
    )
    reference: Annotated[Text, Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="Your name of the order; a second payment of it is refused while"
        " the first is unfinished or unknown",
    )
    allow_duplicate_reference: bool = Field(
        default=False, description="Take it though another one is unfinished"
    )
    description: Annotated[Text, Field(min_length=1, max_length=500)] | None = None
    return_url: Annotated[str, Field(pattern=patterns.URL, max_length=2000)] | None = (
        Field(default=None, description="Where the payer goes after acting")
    )
    customer: CustomerRequest | None = None
    metadata: Metadata | None = None
    execute_at: Time | None = Field(
        default=None, description="Not before then; at most 90 days ahead"
    )

    def to_submission(self, duplicate_policy: DuplicatePolicy) -> Submission:
        """What was asked for. Raises InvalidPayment where the currency is unknown.

        ``duplicate_policy`` is the merchant's: it says when another payment of a
        reference is refused.
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
    """Take money that is on hold."""

    amount: Amount | None = Field(
        default=None, description="In minor units; absent: all that is left"
    )
    final: bool | None = Field(
        default=None,
        description="Release the rest. Stripe does unless you say false, which it"
        " takes where authorization.multicapture is true; PayPal where you say so",
    )


class RefundRequest(StrictModel):
    """Give captured money back."""

    amount: Amount | None = Field(
        default=None,
        description="In minor units; absent: all that is left of one charge or capture."
        " Where several captures have some left, operation has to say of which",
    )
    operation: Annotated[str, Field(pattern=patterns.OPERATION_ID)] | None = Field(
        default=None,
        description="The charge or capture that it is of; absent: the only one with"
        " money left, or the first that has amount left",
    )


class VoidRequest(StrictModel):
    """Release what is on hold. It has no fields; a body may be left out."""


class SubmitHeaders(BaseModel):
    """The headers of a submission."""

    idempotency_key: str = Field(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!#-~]+$",
        description="Unique for what you want to happen once; bare or in quotes",
    )


class PaymentPath(BaseModel):
    """Which payment."""

    payment_id: str = Field(pattern=patterns.PAYMENT_ID)


class ReadHeaders(BaseModel):
    """The headers of a read."""

    if_none_match: str | SkipJsonSchema[None] = Field(
        default=None,
        alias="If-None-Match",
        description="The ETag you have: 304 where the payment is still the same",
    )


class AccountPath(BaseModel):
    """Which breaker."""

    account: str = Field(
        pattern=patterns.ACCOUNT_ID,
        description="The account's id; the deployment's own have their provider's name",
    )


class AccountPauseRequest(StrictModel):
    """Open or close a breaker."""

    reason: Reason = Field(description="For whoever looks at it next")
    calls: Calls | None = Field(
        default=None, description="The kind of calls; absent: all of the account's"
    )


class ReadQuery(Query):
    """How to read one payment."""

    wait: Whole = Field(
        default=0,
        ge=0,
        le=MAX_WAIT,
        description="Seconds to hold the answer until the payment is settled",
    )


class ListQuery(Query):
    """Which payments to list, newest first."""

    status: Status | SkipJsonSchema[None] = None
    provider: Provider | SkipJsonSchema[None] = None
    reference: Annotated[Text, Field(min_length=1, max_length=100)] | (
        SkipJsonSchema[None]
    ) = None
    disputed: Flag | SkipJsonSchema[None] = Field(
        default=None, description="Whether it has a dispute, open or ended"
    )
    created_from: Time | SkipJsonSchema[None] = Field(
        default=None, alias="created[gte]", description="Made at this time or later"
    )
    created_before: Time | SkipJsonSchema[None] = Field(
        default=None, alias="created[lt]", description="Made before this time"
    )
    limit: Whole = Field(default=20, ge=1, le=100)
    cursor: Annotated[str, Field(pattern=patterns.CURSOR)] | SkipJsonSchema[None] = (
        Field(default=None, description="The next_cursor of the page before")
    )


class NoQuery(Query):
    """The query of a call that takes none."""
