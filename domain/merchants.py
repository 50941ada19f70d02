"""The settings of a merchant in one mode."""

from __future__ import annotations

from dataclasses import dataclass

from domain.payments.routing import Routes
from domain.payments.submission import DuplicatePolicy


@dataclass(frozen=True, slots=True)
class MerchantSettings:
    """The settings that a merchant's new payments are made with."""

    #: Whether a payment blocks another payment of the same reference, and how long.
    duplicate_policy: DuplicatePolicy = DuplicatePolicy.UNFINISHED
    routes: Routes = Routes()
