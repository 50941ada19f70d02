"""What a comparison has counted so far, each movement once."""

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

#: Both sides are read so far at once: of Stripe's limit some 90,000 movements, whose
#: ids are remembered meanwhile.
SLICE_LENGTH: Final = timedelta(hours=1)
#: Differences that a report lists: more is one cause, and some hundred show it.
MAX_DIFFERENCES: Final = 2_000


@dataclass(slots=True)
class Comparison:
    """What was found from ``since`` until before ``until`` (UTC), slice by slice.

    What it remembers of pairs that agree is of two slices at most.
    """

    since: datetime
    until: datetime
    totals: Totals = field(default_factory=Totals)
    counts: Counter[DifferenceKind] = field(default_factory=Counter)
    differences: dict[tuple[str | None, str | None], Difference] = field(
        default_factory=dict
    )
    matched: set[str] = field(default_factory=set)  #: ours, by operation; this slice
    matched_before: set[str] = field(default_factory=set)  #: and in the one before
    remembered: tuple[datetime, datetime] = field(init=False)  #: the time of both
    #: Payments in this slice, with the provider's ids that a read of each has shown.
    #: None: there was nothing to read it by, or it moves.
    compared_payments: dict[str, frozenset[str | None] | None] = field(
        default_factory=dict
    )
    #: Payments of ours, by the provider's id of a charge whose refund names none. None:
    #: it is nobody's of ours.
    payment_ids: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.remembered = (self.since, self.since)

    @property
    def difference_count(self) -> int:
        """How many pairs differ, those that are not listed included."""
        return sum(self.counts.values())

    def begin_slice(self, begin: datetime, end: datetime) -> None:
        """Forgets all but the last slice, and begins this one."""
        self.matched_before, self.matched = self.matched, set()
        self.remembered = (max(self.since, begin - SLICE_LENGTH), end)
        self.compared_payments.clear()

    def has_matched(self, ours: Movement) -> bool:
        """Whether a movement of ours was counted lately as one that agrees."""
        return ours.operation in self.matched or ours.operation in self.matched_before

    def is_counted(self, pair: Pair) -> bool:
        """Whether a pair is counted in another slice, or is of another time."""
        ours, theirs = pair
        if ours is not None and self.has_matched(ours):
            return True
        times = [one.at for one in pair if one is not None and one.at is not None]
        if not any(self.since <= at < self.until for at in times):
            return True
        if compare_pair(pair) is not None or theirs is None or theirs.at is None:
            return False
        # It agrees, so it has when it was listed, or will.
        first, last = self.remembered
        return self.since <= theirs.at < first or last <= theirs.at < self.until

    def count_match(self, pair: Pair) -> None:
        """Counts a pair once; of one that we are at, only theirs could be counted."""
        ours = pair[0]
        if ours is None or ours.operation is None or ours.status is MovementStatus.OPEN:
            return
        if self.has_matched(ours):
            return
        self.matched.add(ours.operation)
        self.totals.add(pair)

    def add_pair(self, pair: Pair) -> Difference | None:
        """Takes a pair in; how its sides differ, where they do and it is new."""
        found = compare_pair(pair)
        if found is None:
            self.count_match(pair)
            return None
        if not self._count_if_new(found):
            return None
        self.totals.add(pair)
        return found

    def add_unreadable(self, unreadable: UnreadableEntry) -> None:
        """Takes in what cannot be read; no sum has it."""
        self._count_if_new(
            Difference(DifferenceKind.UNREADABLE, None, None, unreadable)
        )

    def _count_if_new(self, found: Difference) -> bool:
        """Counts a difference, unless that is done."""
        key = (found.operation, found.ref)
        if key in self.differences:
            return False
        self.counts[found.kind] += 1
        if len(self.differences) < MAX_DIFFERENCES:
            self.differences[key] = found
        return True
