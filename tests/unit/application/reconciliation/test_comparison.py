"""Each movement is counted once, however often it is met."""

from __future__ import annotations

from dataclasses import replace

from application.reconciliation.comparison import MAX_DIFFERENCES, SLICE, Comparison
from domain.money import Money
from domain.reconciliation import Differs, Unread
from tests.suites.samples import NOW, payment
from tests.support.compared_accounts import theirs

MOVED = theirs(payment())


def test_a_pair_that_agrees_is_counted_once_in_two_slices_and_forgotten_after() -> None:
    comparison = Comparison(NOW, NOW + 9 * SLICE)
    comparison.go_on(NOW, NOW + SLICE)
    for _ in range(2):
        comparison.agree((MOVED, MOVED))
    assert comparison.tally.count == 1
    comparison.go_on(NOW + SLICE, NOW + 2 * SLICE)
    assert comparison.has_agreed(MOVED) and comparison.is_counted((MOVED, None))
    comparison.go_on(NOW + 2 * SLICE, NOW + 3 * SLICE)
    assert not comparison.has_agreed(MOVED)


def test_a_pair_that_differs_is_new_once() -> None:
    comparison = Comparison(NOW, NOW + SLICE)
    pair = (MOVED, replace(MOVED, money=Money(1, "USD")))
    found = comparison.take(pair)
    assert found is not None and found.differs is Differs.AMOUNT
    assert comparison.take(pair) is None
    assert (comparison.differing, comparison.tally.count) == (1, 1)


def test_a_line_that_cannot_be_read_differs_once_and_is_in_no_sum() -> None:
    comparison = Comparison(NOW, NOW + SLICE)
    for _ in range(2):
        comparison.take_unread(Unread(NOW, "ch_1", payment().id))
    [found] = comparison.found.values()
    assert (found.differs, found.ref) == (Differs.UNREADABLE, "ch_1")
    assert (found.payment, found.operation) == (payment().id, None)
    assert (comparison.differing, comparison.tally.count) == (1, 0)


def test_no_more_differences_are_listed_than_a_report_has_room_for() -> None:
    comparison = Comparison(NOW, NOW + SLICE)
    for number in range(MAX_DIFFERENCES + 1):
        comparison.take_unread(Unread(NOW, f"ch_{number}", None))
    assert comparison.differing == MAX_DIFFERENCES + 1
    assert len(comparison.found) == MAX_DIFFERENCES
