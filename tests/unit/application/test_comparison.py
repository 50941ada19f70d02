"""Each movement is counted once, however often it is met."""

from __future__ import annotations

from dataclasses import replace

from application.comparison import SLICE, Comparison
from domain.money import Money
from domain.reconciling import Differs
from tests.suites.samples import NOW, payment
from tests.unit.application.books import theirs

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
