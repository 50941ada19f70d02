"""A Statement in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from application.ports.reconciliation import StatementPage
from domain.errors import ListTooLong, MalformedAnswer, ProviderError
from domain.payments.payment import Payment
from domain.reconciliation import Movement, UnreadableEntry


class MemoryStatement:
    """A Statement of ``listed``, ``size`` on a page and ``most`` in all pages.

    ``held`` has the results of reads by id. For other payments it is the listed
    movements.
    """

    def __init__(
        self, listed: Sequence[Movement] = (), *, size: int = 2, most: int = 10_000
    ) -> None:
        self.listed = list(listed)
        self.unread: list[UnreadableEntry] = []  #: on the first page of their time
        self.held: dict[str, Sequence[Movement] | None] = {}
        self.fails: list[ProviderError] = []  #: raised by the next calls, in turn
        self.owners: dict[str, str] = {}  #: our payments, by charge or capture
        self.unreadable: set[str] = set()  #: charges that raise MalformedAnswer
        self.pages = 0  #: calls for a page
        self.reads: list[str] = []  #: ids of the payments read
        self.reading: Callable[[Payment], None] = lambda payment: None
        self._size = size
        self._most = most

    def list_page(
        self, since: datetime, until: datetime, cursor: str | None
    ) -> StatementPage:
        self._fail()
        self.pages += 1
        found = [
            one for one in self.listed if one.at is not None and since <= one.at < until
        ]
        if len(found) > self._most:
            raise ListTooLong
        start = int(cursor or 0)
        end = start + self._size
        unread = [one for one in self.unread if start == 0 and since <= one.at < until]
        more = str(end) if end < len(found) else None
        return StatementPage(found[start:end], more, unread)

    def for_payment(self, payment: Payment) -> Sequence[Movement] | None:
        self._fail()
        self.reads.append(payment.id)
        self.reading(payment)
        if payment.id in self.held:
            return self.held[payment.id]
        return [one for one in self.listed if one.payment == payment.id]

    def find_payment_id(self, ref: str) -> str | None:
        self._fail()
        if ref in self.unreadable:
            raise MalformedAnswer
        return self.owners.get(ref)

    def _fail(self) -> None:
        if self.fails:
            raise self.fails.pop(0)
