"""The port of a provider's statement, for reconciliations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.payments.payment import Payment
from domain.reconciliation import Movement, UnreadableEntry


@dataclass(frozen=True, slots=True)
class StatementPage:
    """One page of a provider's list of movements."""

    movements: Sequence[Movement]  #: some hundred at most
    next_cursor: str | None  #: the cursor of the next page; None: this is the last one
    unreadable: Sequence[UnreadableEntry] = ()  #: other entries of the page


class Statement(Protocol):
    """The movements of an account at its provider, by reads only.

    All methods raise ProviderError where the provider cannot be read, and
    MalformedAnswer where the shape of its answer is unknown.
    """

    def list_page(
        self, since: datetime, until: datetime, cursor: str | None
    ) -> StatementPage:
        """The movements from ``since`` until before ``until`` (UTC), by one call.

        The list may lag, so a missing movement proves nothing. Raises ListTooLong, on
        the first page, where the time has too many movements.
        """

    def for_payment(self, payment: Payment) -> Sequence[Movement] | None:
        """All movements of ``payment`` at the provider now, by two calls at most.

        A read by id does not lag. None where no id for the read is known.
        """

    def find_payment_id(self, ref: str) -> str | None:
        """Our payment's id on the charge or capture ``ref``, by one call.

        None where it has none of our ids. Raises ProviderError.
        """
