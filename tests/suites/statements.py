"""The promises of every Statement."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from application.ports.reconciliation import Statement
from domain.payments.payment import Payment
from domain.reconciliation import Movement, MovementStatus, Direction
from tests.suites.samples import PRICE

SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
#: Payments that are made at once.
_AT_ONCE: Final = 8


class Account(Protocol):
    """A shop's account at a provider. A payment of it is PRICE."""

    @property
    def page(self) -> int:
        """Movements on one page."""

    def charged(self) -> Payment:
        """A payment that was charged just now."""

    def declined(self) -> Payment:
        """A payment that was declined."""

    def refunded(self, payment: Payment) -> Payment:
        """The payment, just refunded in full."""

    def forgotten(self, payment: Payment) -> Payment:
        """The payment with ids that the provider does not know."""


@dataclass(frozen=True, slots=True)
class Books:
    """A statement under test, and its account."""

    statement: Statement
    account: Account

    def list_all(self, since: datetime, until: datetime) -> list[Movement]:
        """The movements of all pages of a span."""
        found, cursor = list[Movement](), None
        while True:
            page = self.statement.list_page(since, until, cursor)
            assert len(page.movements) <= self.account.page
            found += page.movements
            cursor = page.next_cursor
            if cursor is None:
                return found

    def list_around(self, at: datetime) -> list[Movement]:
        """The movements around ``at``."""
        return self.list_all(at - MINUTE, at + MINUTE)


class StatementSuite:
    """Its subclass's module has a fixture ``books``, of an empty account."""

    def test_a_statement_lists_movements_of_both_directions_with_our_ids(
        self, books: Books
    ) -> None:
        paid = books.account.refunded(books.account.charged())
        books.account.declined()
        charge, refund = by_direction(books.list_around(paid.updated_at))
        for one, operation in zip((charge, refund), paid.operations, strict=True):
            assert (one.payment, one.operation) == (paid.id, operation.id)
            assert (one.status, one.money) == (MovementStatus.MOVED, PRICE)
            assert one.ref in operation.refs.values()
            assert one.at is not None
            assert abs(one.at - paid.updated_at) < MINUTE
        if charge.fee is not None:
            assert 0 < charge.fee.minor < PRICE.minor

    def test_a_span_includes_its_start_and_excludes_its_end(self, books: Books) -> None:
        paid = books.account.charged()
        [charge] = books.list_around(paid.updated_at)
        assert charge.at is not None
        assert books.list_all(charge.at, charge.at + SECOND) == [charge]
        assert books.list_all(charge.at - MINUTE, charge.at) == []
        assert books.list_all(charge.at + SECOND, charge.at + MINUTE) == []

    def test_the_pages_have_every_movement_once(self, books: Books) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            count = books.account.page + 1
            paid = list(pool.map(lambda _: books.account.charged(), range(count)))
        found = books.list_all(
            min(one.created_at for one in paid) - MINUTE,
            max(one.updated_at for one in paid) + MINUTE,
        )
        assert sorted(one.payment or "" for one in found) == sorted(
            one.id for one in paid
        )

    def test_the_movements_of_one_payment_equal_the_listed_ones(
        self, books: Books
    ) -> None:
        paid = books.account.refunded(books.account.charged())
        books.account.charged()
        read = books.statement.for_payment(paid)
        assert read is not None
        listed = [
            one for one in books.list_around(paid.updated_at) if one.payment == paid.id
        ]
        assert [(one.ref, one.money, one.status) for one in by_direction(read)] == [
            (one.ref, one.money, one.status) for one in by_direction(listed)
        ]

    def test_a_payment_unknown_to_the_provider_has_no_movements(
        self, books: Books
    ) -> None:
        assert (
            books.statement.for_payment(
                books.account.forgotten(books.account.charged())
            )
            == []
        )


def by_direction(found: Sequence[Movement]) -> list[Movement]:
    """Sorts charges before refunds."""
    return sorted(found, key=lambda one: one.direction is Direction.REFUNDED)
