"""What a reconciliation needs of a provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.payments.payment import Payment
from domain.reconciliation import Movement, UnreadableEntry


@dataclass(frozen=True, slots=True)
class StatementPage:
    """A part of what a provider lists."""

    movements: Sequence[Movement]  #: some hundred at most
    next_cursor: (
        str | None
    )  #: what to ask for the next page with; None: this is the last
    unreadable: Sequence[
        UnreadableEntry
    ] = ()  #: what it has beside them, and cannot be read


class Statement(Protocol):
    """What Stripe, PayPal or a stand-in says that moved. It changes nothing there.

    Both methods raise ProviderError where it cannot be read, MalformedAnswer where an
    answer came that is not shaped as we know it.
    """

    def list_page(
        self, since: datetime, until: datetime, cursor: str | None
    ) -> StatementPage:
        """What moved from ``since`` until before ``until`` (UTC), by one call.

        It may lag, so what it lacks proves nothing; what it has, the provider has.
        Raises ListTooLong, with the first page, where it is too much at once.
        """

    def for_payment(self, payment: Payment) -> Sequence[Movement] | None:
        """All that the provider has of ``payment`` now, by two calls at most.

        A read by id does not lag. None where we know no id to read it by.
        """

    def find_payment_id(self, ref: str) -> str | None:
        """Our payment, as we wrote it on the charge or capture ``ref``, by one call.

        None where nothing of ours is written there. Raises ProviderError.
        """
