"""Each account's books are compared only with the payments of that account."""

from __future__ import annotations

import pytest

from domain.account import Account
from domain.circuit_breaker import TripReason
from domain.errors import NotReconciled
from domain.reconciliation import DifferenceKind
from tests.support.account_admission import STRIPE
from tests.support.compared_accounts import Books, kinds

STORED = Account("acct_1", STRIPE)


def test_payments_of_another_account_are_not_missed_in_its_books() -> None:
    books = Books()
    books.paid(known=False)
    report = books.report(of=STORED)
    assert (report.account, kinds(report)) == (STORED, [])
    assert kinds(books.report()) == [DifferenceKind.OURS_ALONE]


def test_a_movement_at_another_account_is_theirs_alone() -> None:
    books = Books()
    paid = books.paid()
    [found] = books.report(of=STORED).differences
    assert (found.kind, found.payment) == (DifferenceKind.THEIRS_ALONE, paid.id)
    assert books.stored(paid) == paid, "a lookup could not find it"


def test_an_accounts_open_breaker_stops_all_calls() -> None:
    books = Books()
    books.account.breakers.open(
        "acct_1", trip_reason=TripReason.OPERATOR, reason="audit", by="ann"
    )
    with pytest.raises(NotReconciled, match="of acct_1 is open"):
        books.report(of=STORED)
    assert kinds(books.report()) == []
