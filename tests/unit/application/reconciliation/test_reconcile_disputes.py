"""A comparison meets what a provider took back by itself: disputes and reversals."""

from __future__ import annotations

from dataclasses import replace

from domain.payments.apply_dispute import laid_over
from domain.payments.dispute import DisputeState
from domain.reconciliation import Differs, Movement, Standing, Way
from tests.suites.samples import NOW, PRICE, disputed
from tests.support.compared_accounts import Books, kinds, theirs


def _taken(books: Books, ref: str, way: Way = Way.WITHDRAWN) -> None:
    """The provider takes a payment back by itself, or gives it back."""
    one = Movement(
        way=way,
        standing=Standing.MOVED,
        money=PRICE,
        at=NOW,
        ref="dp_1",
        payment=None,
        operation=None,
        of=ref,
    )
    books.statement.listed.append(one)


def test_what_was_taken_for_a_dispute_that_we_know_is_ours_too() -> None:
    books = Books()
    paid = books.paid()
    step = laid_over(paid, disputed(paid, state=DisputeState.LOST), now=NOW)
    assert books.store.amend(step) is not None
    _taken(books, "ch_1")
    _taken(books, "ch_1", Way.REINSTATED)
    report = books.report()
    assert (kinds(report), report.compared) == ([], 3)
    assert {(one.way, one.ours, one.theirs) for one in report.sums} == {
        (way, PRICE.minor, PRICE.minor)
        for way in (Way.COLLECTED, Way.WITHDRAWN, Way.REINSTATED)
    }


def test_what_was_taken_for_a_dispute_that_we_do_not_know_is_named() -> None:
    books = Books()
    books.paid()
    _taken(books, "ch_1")
    [found] = books.report().differences
    assert (found.differs, found.ref) == (Differs.THEIRS_ALONE, "dp_1")
    assert found.theirs is not None and found.theirs.way is Way.WITHDRAWN


def test_what_was_taken_of_nothing_that_is_named_is_a_difference() -> None:
    books = Books()
    _taken(books, "")
    books.statement.listed = [replace(books.statement.listed[0], of=None)]
    assert kinds(books.report()) == [Differs.THEIRS_ALONE]


def test_a_reversal_among_a_payments_refunds_is_a_known_disputes() -> None:
    books = Books()
    paid = books.paid(known=False)
    reversal = replace(theirs(paid, ref="re_1"), way=Way.REFUNDED, of="ch_1")
    books.statement.held[paid.id] = [theirs(paid), reversal]
    assert kinds(books.report()) == [Differs.THEIRS_ALONE]
    [paid] = books.auditor.view.known([paid.id])
    step = laid_over(paid, disputed(paid, state=DisputeState.LOST), now=NOW)
    assert books.store.amend(step) is not None
    assert kinds(books.report()) == []
