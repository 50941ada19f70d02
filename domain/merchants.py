"""The settings of a merchant in one mode."""

from __future__ import annotations

from dataclasses import dataclass

from domain.payments.routing import Routes
from domain.payments.submission import DuplicatePolicy


@dataclass(frozen=True, slots=True)
class MerchantSettings:
    """The choices that a merchant's new payments are made by."""

    #: When a payment refuses another one of the same reference.
    duplicate_policy: DuplicatePolicy = DuplicatePolicy.UNFINISHED
    routes: Routes = Routes()
