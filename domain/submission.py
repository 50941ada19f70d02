"""What a web app asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.errors import InvalidPayment
from domain.money import Money, to_paypal, to_stripe

#: Farther ahead a schedule is more likely a mistake than a plan.
MAX_SCHEDULE: Final = timedelta(days=90)


class Mode(StrEnum):
    """Whether money is real."""

    TEST = "test"
    LIVE = "live"


class ProviderName(StrEnum):
    """Who carries the payment out."""

    STRIPE = "stripe"
    PAYPAL = "paypal"


class CaptureMethod(StrEnum):
    """When the money becomes the merchant's."""

    AUTOMATIC = "automatic"  #: at once, with the charge
    MANUAL = "manual"  #: authorized now, captured when the merchant says so


class Guard(StrEnum):
    """While which payment of a reference stands in the way of another one."""

    NONE = "none"  #: never
    UNFINISHED = "unfinished"  #: while it may still move money
    PAID = "paid"  #: and as long as the merchant keeps the money


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
    metadata: Mapping[str, str] = field(default_factory=dict)
    execute_at: datetime | None = None  #: not before then (UTC)
    guard: Guard = Guard.NONE  #: of the ``reference``

    def check(self, *, now: datetime) -> None:
        """Raises InvalidPayment where no provider could ever carry this out."""
        if self.amount.minor == 0:
            raise InvalidPayment("must be at least 1", field="amount")
        if self.execute_at is not None and self.execute_at > now + MAX_SCHEDULE:
            raise InvalidPayment(
                f"more than {MAX_SCHEDULE.days} days ahead", field="execute_at"
            )

    def check_for(self, provider: ProviderName) -> None:
        """Raises InvalidPayment where ``provider`` could never carry this out."""
        if provider is ProviderName.PAYPAL:
            to_paypal(self.amount)
            return
        to_stripe(self.amount)
        if self.payment_method is None:
            raise InvalidPayment("Stripe needs one", field="payment_method")

    def method_at(self, provider: ProviderName) -> str | None:
        """The payer's token at ``provider``, if any.

        Where none was named it is Stripe's: PayPal goes without one.
        """
        its = self.provider or ProviderName.STRIPE
        return self.payment_method if its is provider else None
