"""Each movement is counted once, in any number of lists."""

from __future__ import annotations

from dataclasses import replace

from application.reconciliation.comparison import (
    MAX_DIFFERENCES,
    SLICE_LENGTH,
    Comparison,
)
from domain.money import Money
from domain.reconciliation import DifferenceKind, UnreadableEntry
from tests.suites.samples import NOW, payment
from tests.support.compared_accounts import theirs

MOVED = theirs(payment())


def test_a_matching_pair_is_counted_once_in_two_slices_and_then_forgotten() -> None:
    comparison = Comparison(NOW, NOW + 9 * SLICE_LENGTH)
    comparison.begin_slice(NOW, NOW + SLICE_LENGTH)
    for _ in range(2):
        comparison.count_match((MOVED, MOVED))
    assert comparison.totals.count == 1
    comparison.begin_slice(NOW + SLICE_LENGTH, NOW + 2 * SLICE_LENGTH)
    assert comparison.has_matched(MOVED) and comparison.is_counted((MOVED, None))
    comparison.begin_slice(NOW + 2 * SLICE_LENGTH, NOW + 3 * SLICE_LENGTH)
    assert not comparison.has_matched(MOVED)


def test_a_differing_pair_is_new_once() -> None:
    comparison = Comparison(NOW, NOW + SLICE_LENGTH)
    pair = (MOVED, replace(MOVED, money=Money(1, "USD")))
    found = comparison.add_pair(pair)
    assert found is not None and found.kind is DifferenceKind.AMOUNT
    assert comparison.add_pair(pair) is None
    assert (comparison.difference_count, comparison.totals.count) == (1, 1)


def test_an_unreadable_line_differs_once_and_is_in_no_total() -> None:
    comparison = Comparison(NOW, NOW + SLICE_LENGTH)
    for _ in range(2):
        comparison.add_unreadable(UnreadableEntry(NOW, "ch_1", payment().id))
    [found] = comparison.differences.values()
    assert (found.kind, found.ref) == (DifferenceKind.UNREADABLE, "ch_1")
    assert (found.payment, found.operation) == (payment().id, None)
    assert (comparison.difference_count, comparison.totals.count) == (1, 0)


def test_the_number_of_listed_differences_is_bounded() -> None:
    comparison = Comparison(NOW, NOW + SLICE_LENGTH)
    for number in range(MAX_DIFFERENCES + 1):
        comparison.add_unreadable(UnreadableEntry(NOW, f"ch_{number}", None))
    assert comparison.difference_count == MAX_DIFFERENCES + 1
    assert len(comparison.differences) == MAX_DIFFERENCES
