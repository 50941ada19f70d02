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
    provider: ProviderName
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
        if self.provider is ProviderName.STRIPE:
            to_stripe(self.amount)
            if self.payment_method is None:
                raise InvalidPayment("Stripe needs one", field="payment_method")
        else:
            to_paypal(self.amount)
        if self.execute_at is not None and self.execute_at > now + MAX_SCHEDULE:
            raise InvalidPayment(
                f"more than {MAX_SCHEDULE.days} days ahead", field="execute_at"
            )
