"""Withdrawals by the provider in a comparison: disputes and reversals."""

from __future__ import annotations

from dataclasses import replace

from domain.payments.apply_dispute import apply_dispute
from domain.payments.dispute import DisputeState
from domain.reconciliation import DifferenceKind, Movement, MovementStatus, Direction
from tests.suites.samples import NOW, PRICE, disputed
from tests.support.compared_accounts import Books, kinds, theirs


def _taken(books: Books, ref: str, way: Direction = Direction.WITHDRAWN) -> None:
    """A payment that the provider withdrew or reinstated by itself."""
    one = Movement(
        direction=way,
        status=MovementStatus.MOVED,
        money=PRICE,
        at=NOW,
        ref="dp_1",
        payment=None,
        operation=None,
        charge_ref=ref,
    )
    books.statement.listed.append(one)


def test_a_withdrawal_of_a_known_dispute_is_no_difference() -> None:
    books = Books()
    paid = books.paid()
    step = apply_dispute(paid, disputed(paid, state=DisputeState.LOST), now=NOW)
    assert books.store.amend(step) is not None
    _taken(books, "ch_1")
    _taken(books, "ch_1", Direction.REINSTATED)
    report = books.report()
    assert (kinds(report), report.compared) == ([], 3)
    assert {(one.direction, one.ours, one.theirs) for one in report.totals} == {
        (way, PRICE.minor, PRICE.minor)
        for way in (Direction.COLLECTED, Direction.WITHDRAWN, Direction.REINSTATED)
    }


def test_a_withdrawal_of_an_unknown_dispute_is_a_difference() -> None:
    books = Books()
    books.paid()
    _taken(books, "ch_1")
    [found] = books.report().differences
    assert (found.kind, found.ref) == (DifferenceKind.THEIRS_ALONE, "dp_1")
    assert found.theirs is not None and found.theirs.direction is Direction.WITHDRAWN


def test_a_withdrawal_without_a_charge_is_a_difference() -> None:
    books = Books()
    _taken(books, "")
    books.statement.listed = [replace(books.statement.listed[0], charge_ref=None)]
    assert kinds(books.report()) == [DifferenceKind.THEIRS_ALONE]


def test_a_reversal_listed_as_a_refund_belongs_to_its_known_dispute() -> None:
    books = Books()
    paid = books.paid(known=False)
    reversal = replace(
        theirs(paid, ref="re_1"), direction=Direction.REFUNDED, charge_ref="ch_1"
    )
    books.statement.held[paid.id] = [theirs(paid), reversal]
    assert kinds(books.report()) == [DifferenceKind.THEIRS_ALONE]
    [paid] = books.context.view.load([paid.id])
    step = apply_dispute(paid, disputed(paid, state=DisputeState.LOST), now=NOW)
    assert books.store.amend(step) is not None
    assert kinds(books.report()) == []
