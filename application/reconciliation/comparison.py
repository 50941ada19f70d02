"""The state of a comparison under way, in which each movement counts once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from domain.reconciliation import (
    Difference,
    DifferenceKind,
    Movement,
    Pair,
    MovementStatus,
    Totals,
    UnreadableEntry,
    compare_pair,
)

#: The part of the time that is read at once: some 90,000 movements at Stripe's limit,
#: whose ids are in memory meanwhile.
SLICE_LENGTH: Final = timedelta(hours=1)
#: The most differences that a report lists. More of them have one cause.
MAX_DIFFERENCES: Final = 2_000


@dataclass(slots=True)
class Comparison:
    """The findings from ``since`` until before ``until`` (UTC), slice by slice.

    Pairs that agree are remembered for two slices at most.
    """

    since: datetime
    until: datetime
    totals: Totals = field(default_factory=Totals)
    counts: Counter[DifferenceKind] = field(default_factory=Counter)
    differences: dict[tuple[str | None, str | None], Difference] = field(
        default_factory=dict
    )
    matched: set[str] = field(default_factory=set)  #: operation ids of this slice
    matched_before: set[str] = field(default_factory=set)  #: and of the one before
    remembered: tuple[datetime, datetime] = field(init=False)  #: the time of both
    #: Payments that were read in this slice, with the provider's ids of the read. None:
    #: no id was known for a read, or the payment changes.
    compared_payments: dict[str, frozenset[str | None] | None] = field(
        default_factory=dict
    )
    #: Our payments' ids by the provider's id of a charge, for refunds without our ids.
    #: None: the charge is not of a payment of ours.
    payment_ids: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.remembered = (self.since, self.since)

    @property
    def difference_count(self) -> int:
        """The number of all differences, listed or not."""
        return sum(self.counts.values())

    def begin_slice(self, begin: datetime, end: datetime) -> None:
        """Begins a slice, and forgets all but the last one."""
        self.matched_before, self.matched = self.matched, set()
        self.remembered = (max(self.since, begin - SLICE_LENGTH), end)
        self.compared_payments.clear()

    def has_matched(self, ours: Movement) -> bool:
        """Whether a movement of ours agreed in this slice or the last one."""
        return ours.operation in self.matched or ours.operation in self.matched_before

    def is_counted(self, pair: Pair) -> bool:
        """Whether a pair counts in another slice, or is of another time."""
        ours, theirs = pair
        if ours is not None and self.has_matched(ours):
            return True
        times = [one.at for one in pair if one is not None and one.at is not None]
        if not any(self.since <= at < self.until for at in times):
            return True
        if compare_pair(pair) is not None or theirs is None or theirs.at is None:
            return False
        # A pair that agrees counts in the slice that lists it.
        first, last = self.remembered
        return self.since <= theirs.at < first or last <= theirs.at < self.until

    def count_match(self, pair: Pair) -> None:
        """Counts a pair that agrees once; an open one does not count yet."""
        ours = pair[0]
        if ours is None or ours.operation is None or ours.status is MovementStatus.OPEN:
            return
        if self.has_matched(ours):
            return
        self.matched.add(ours.operation)
        self.totals.add(pair)

    def add_pair(self, pair: Pair) -> Difference | None:
        """Counts a pair; returns its difference, if it has a new one."""
        found = compare_pair(pair)
        if found is None:
            self.count_match(pair)
            return None
        if not self._count_if_new(found):
            return None
        self.totals.add(pair)
        return found

    def add_unreadable(self, unreadable: UnreadableEntry) -> None:
        """Counts an unreadable entry as a difference; it has no part in the sums."""
        self._count_if_new(
            Difference(DifferenceKind.UNREADABLE, None, None, unreadable)
        )

    def _count_if_new(self, found: Difference) -> bool:
        """Counts a difference once; returns whether it is new."""
        key = (found.operation, found.ref)
        if key in self.differences:
            return False
        self.counts[found.kind] += 1
        if len(self.differences) < MAX_DIFFERENCES:
            self.differences[key] = found
        return True
