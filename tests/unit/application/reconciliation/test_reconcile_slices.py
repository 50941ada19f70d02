"""A comparison in parts: pages, full lists, and slices of its span."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from application.reconciliation.comparison import SLICE_LENGTH
from domain.errors import NotReconciled
from domain.money import Money
from domain.reconciliation import DifferenceKind, Direction
from tests.suites.samples import NOW, PRICE, payment
from tests.support.compared_accounts import SPAN, Books, kinds, sums, theirs


def test_each_further_charge_is_found_on_whatever_page_it_is() -> None:
    books = Books(size=1)
    paid = books.paid()
    books.statement.held[paid.id] = [theirs(paid)]
    seconds = timedelta(seconds=1)
    books.statement.listed += [
        theirs(paid, at=NOW + number * seconds, ref=f"ch_more_{number}")
        for number in (1, 2)
    ]
    report = books.report()
    assert [one.ref for one in report.differences] == ["ch_more_1", "ch_more_2"]
    assert set(kinds(report)) == {DifferenceKind.THEIRS_ALONE}
    assert sums(report) == [(PRICE.minor, 3 * PRICE.minor)]
    assert books.statement.reads == [paid.id], "once in a slice"


def test_a_movement_listed_on_two_pages_is_counted_once() -> None:
    books = Books(size=1)
    books.statement.listed.append(theirs(books.paid()))
    report = books.report()
    assert (report.compared, sums(report)) == (1, [(PRICE.minor, PRICE.minor)])


def test_a_difference_found_twice_is_reported_once() -> None:
    """Our record of the movement is much later than the movement."""
    books = Books()
    paid = books.paid(after=SPAN / 2, known=False)
    cheap = replace(theirs(paid), money=Money(1, "USD"))
    books.statement.listed = [cheap]
    report = books.report()
    assert kinds(report) == [DifferenceKind.AMOUNT]
    assert report.counts == {DifferenceKind.AMOUNT: 1}
    assert sums(report) == [(PRICE.minor, 1)]


def test_a_movement_that_agreed_in_its_list_is_counted_once() -> None:
    """Our record is much later than the movement, so a later slice meets it again."""
    books = Books()
    paid = books.paid(after=SPAN / 2, known=False)
    books.statement.listed = [theirs(paid)]
    report = books.report()
    assert books.statement.reads == [paid.id], "its slice is forgotten"
    assert (report.compared, sums(report)) == (1, [(PRICE.minor, PRICE.minor)])


def test_a_busy_span_is_read_in_parts_without_a_gap() -> None:
    books = Books(size=500)
    count = 1_200
    for number in range(1, count + 1):
        books.paid(number, after=timedelta(milliseconds=number), known=False)
    books.statement.listed = [
        theirs(payment(number), at=NOW + timedelta(milliseconds=number))
        for number in range(1, count)
    ]
    report = books.report()
    assert kinds(report) == [DifferenceKind.OURS_ALONE]
    assert report.compared == count


def test_a_span_too_large_for_one_list_is_split() -> None:
    books = Books(most=3)
    for number in range(1, 9):
        books.paid(number, after=timedelta(minutes=6 * number))
    report = books.report()
    assert (kinds(report), report.compared) == ([], 8)
    assert books.statement.reads == [], "every movement was listed"


def test_a_list_that_cannot_be_split_ends_the_reconciliation() -> None:
    books = Books(most=1)
    for number in (1, 2):
        books.paid(number)
    with pytest.raises(NotReconciled, match="list_too_long"):
        books.report()


def test_a_movement_of_ours_in_the_next_slice_matches_the_earlier_line() -> None:
    books = Books()
    paid = books.paid(after=SLICE_LENGTH, known=False)
    books.statement.listed = [
        theirs(paid, at=NOW + SLICE_LENGTH - timedelta(seconds=1))
    ]
    report = books.report()
    assert (kinds(report), report.compared, books.statement.reads) == ([], 1, [])


def test_a_refund_in_a_later_slice_does_not_read_its_charge_again() -> None:
    books = Books()
    books.refunded(books.paid(), after=4 * SLICE_LENGTH)
    report = books.report()
    assert (kinds(report), report.compared, books.statement.reads) == ([], 2, [])


def test_a_movement_before_the_compared_span_is_left_out() -> None:
    books = Books()
    old = books.paid(after=-SPAN, known=False)
    done = books.refunded(old, after=SLICE_LENGTH)
    books.statement.listed.clear()
    report = books.report()
    [found] = report.differences
    assert (found.kind, found.operation) == (DifferenceKind.OURS_ALONE, "op_back")
    assert books.statement.reads == [done.id]
    assert sums(report) == [(PRICE.minor, 0)]


def test_a_movement_that_agrees_in_a_later_slice_is_counted_once() -> None:
    books = Books()
    books.refunded(books.paid(known=False), after=4 * SLICE_LENGTH)
    report = books.report()
    assert kinds(report) == [DifferenceKind.OURS_ALONE]
    assert [(one.direction, one.ours, one.theirs) for one in report.totals] == [
        (Direction.COLLECTED, PRICE.minor, 0),
        (Direction.REFUNDED, PRICE.minor, PRICE.minor),
    ]
    assert report.compared == 2
