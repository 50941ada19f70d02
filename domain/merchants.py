"""The settings of a merchant in one mode."""

from __future__ import annotations

from dataclasses import dataclass

from domain.payments.routing import Routes
from domain.payments.submission import Guard


@dataclass(frozen=True, slots=True)
class MerchantSettings:
    """The choices that a merchant's new payments are made by."""

    #: When a payment refuses another one of the same reference.
    guard: Guard = Guard.UNFINISHED
    routes: Routes = Routes()
