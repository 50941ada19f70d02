"""What a web app asks for."""

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

#: Farther ahead a schedule is more likely a mistake than a plan.
MAX_SCHEDULE: Final = timedelta(days=90)


class Mode(StrEnum):
    """Whether money is real."""

    TEST = "test"
    LIVE = "live"


class CaptureMethod(StrEnum):
    """When the money becomes the merchant's."""

    AUTOMATIC = "automatic"  #: at once, with the charge
    MANUAL = "manual"  #: authorized now, captured when the merchant says so


class DuplicatePolicy(StrEnum):
    """While which payment of a reference stands in the way of another one."""

    NONE = "none"  #: never
    UNFINISHED = "unfinished"  #: while it may still move money
    PAID = "paid"  #: and as long as the merchant keeps the money


class FutureUsage(StrEnum):
    """The later payments that a method is saved for."""

    ON_SESSION = "on_session"  #: those that the payer is there for
    OFF_SESSION = "off_session"  #: also those that the merchant makes alone


@dataclass(frozen=True, slots=True)
class Submission:
    """What the web app asked for; never changed afterwards."""

    amount: Money
    provider: ProviderName | None  #: None: any of the merchant's accounts
    capture: CaptureMethod = CaptureMethod.AUTOMATIC
    payment_method: str | None = None  #: the provider's token, never a card
    reference: str | None = None  #: the merchant's name of the order
    description: str | None = None
    return_url: str | None = None  #: where the payer goes after acting
    email: str | None = None  #: the payer's
    customer: str | None = None  #: the provider's id of the payer
    off_session: bool = False  #: the payer is not there to confirm anything
    setup_future_usage: FutureUsage | None = None  #: saves the method; None: does not
    multicapture: bool = False  #: a hold of which several captures are wanted
    metadata: Mapping[str, str] = field(default_factory=dict)
    execute_at: datetime | None = None  #: not before then (UTC)
    duplicate_policy: DuplicatePolicy = DuplicatePolicy.NONE  #: of the ``reference``

    def check(self, *, now: datetime) -> None:
        """Raises InvalidPayment where no provider could ever carry this out."""
        if self.amount.minor == 0:
            raise InvalidPayment("must be at least 1", field="amount")
        if self.off_session and self.setup_future_usage is not None:
            raise InvalidPayment(
                "off_session pays by what is saved already", field="setup_future_usage"
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
        """Raises InvalidPayment where ``provider`` cannot pay by the method that is
        named, or save one, as it is asked to."""
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
                "off_session needs a saved one: without it"
                f" {rules.name} asks the payer",
                field="payment_method",
            )
        if not saves:
            return
        if rules.methods_are_saved and token is not None:
            raise InvalidPayment("it is saved already", field="setup_future_usage")
        if rules.needs_payer_approval and self.return_url is None:
            raise InvalidPayment(
                f"{rules.name} saves nothing unless the payer can come back",
                field="return_url",
            )
