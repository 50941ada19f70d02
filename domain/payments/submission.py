"""A web app's request for a payment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.errors import InvalidPayment
from domain.money import Money
from domain.provider_rules import RULES, TOKEN_PROVIDER
from domain.provider_rules import ProviderName as ProviderName  # of a submission

#: A schedule farther ahead is probably a mistake.
MAX_SCHEDULE: Final = timedelta(days=90)


class Mode(StrEnum):
    """Whether money is real."""

    TEST = "test"
    LIVE = "live"


class CaptureMethod(StrEnum):
    """The time of the capture."""

    AUTOMATIC = "automatic"  #: at once, with the charge
    MANUAL = "manual"  #: authorized now, captured at the merchant's request


class DuplicatePolicy(StrEnum):
    """How long a payment blocks another payment of the same reference."""

    NONE = "none"  #: never
    UNFINISHED = "unfinished"  #: while it may still move money
    PAID = "paid"  #: also as long as the merchant keeps the money


class FutureUsage(StrEnum):
    """The later payments that a method is saved for."""

    ON_SESSION = "on_session"  #: the payer is present for them
    OFF_SESSION = "off_session"  #: the merchant may also make them alone


@dataclass(frozen=True, slots=True)
class Submission:
    """The requested payment; it never changes."""

    amount: Money
    provider: ProviderName | None  #: None: any of the merchant's accounts
    capture: CaptureMethod = CaptureMethod.AUTOMATIC
    payment_method: str | None = None  #: the provider's token, never a card
    reference: str | None = None  #: the merchant's name of the order
    description: str | None = None
    return_url: str | None = None  #: the payer's next page after acting
    email: str | None = None  #: the payer's
    customer: str | None = None  #: the provider's id of the payer
    off_session: bool = False  #: the payer is not present to confirm the payment
    setup_future_usage: FutureUsage | None = None  #: None: the method is not saved
    multicapture: bool = False  #: the hold should allow several captures
    metadata: Mapping[str, str] = field(default_factory=dict)
    execute_at: datetime | None = None  #: not before then (UTC)
    duplicate_policy: DuplicatePolicy = DuplicatePolicy.NONE  #: of the ``reference``

    def check(self, *, now: datetime) -> None:
        """Raises InvalidPayment where no provider could ever carry this out."""
        if self.amount.minor == 0:
            raise InvalidPayment("must be at least 1", field="amount")
        if self.off_session and self.setup_future_usage is not None:
            raise InvalidPayment(
                "off_session pays with a method that is saved already",
                field="setup_future_usage",
            )
        if self.multicapture and self.capture is not CaptureMethod.MANUAL:
            raise InvalidPayment("needs capture manual", field="multicapture")
        if self.execute_at is not None and self.execute_at > now + MAX_SCHEDULE:
            raise InvalidPayment(
                f"more than {MAX_SCHEDULE.days} days ahead", field="execute_at"
            )

    def check_for(self, provider: ProviderName) -> None:
        """Raises InvalidPayment where ``provider`` could never carry this out."""
        RULES[provider].check_payment(self.amount)
        self._check_method(provider)

    def payment_method_for(self, provider: ProviderName) -> str | None:
        """The payer's token at ``provider``, if any."""
        return self.payment_method if self._token_provider is provider else None

    def customer_for(self, provider: ProviderName) -> str | None:
        """The id that ``provider`` knows the payer by, if any."""
        return self.customer if self._token_provider is provider else None

    @property
    def _token_provider(self) -> ProviderName:
        """The provider that the named token and customer belong to."""
        return self.provider or TOKEN_PROVIDER

    def _check_method(self, provider: ProviderName) -> None:
        """Raises InvalidPayment where ``provider`` cannot pay with the given method, or
        cannot save one."""
        rules, token = RULES[provider], self.payment_method_for(provider)
        saves = self.setup_future_usage is not None
        if rules.needs_payment_method and token is None:
            raise InvalidPayment(f"{rules.name} needs one", field="payment_method")
        if rules.saves_for_customer and self.customer_for(provider) is None:
            if self.off_session or saves:
                raise InvalidPayment(
                    f"{rules.name} saves methods for a customer: name its id",
                    field="customer/id",
                )
        if rules.needs_payer_approval and self.off_session and token is None:
            raise InvalidPayment(
                "off_session needs a saved payment method: without one,"
                f" {rules.name} asks the payer",
                field="payment_method",
            )
        if not saves:
            return
        if rules.methods_are_saved and token is not None:
            raise InvalidPayment(
                "the method is saved already", field="setup_future_usage"
            )
        if rules.needs_payer_approval and self.return_url is None:
            raise InvalidPayment(
                f"{rules.name} needs it to save a method",
                field="return_url",
            )
