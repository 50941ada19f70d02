"""What a comparison has counted so far, each movement once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from domain.reconciliation import (
    Difference,
    Differs,
    Movement,
    Pair,
    Standing,
    Tally,
    Unread,
    difference,
)

#: Both sides are read so far at once: of Stripe's limit some 90,000 movements, whose
#: ids are remembered meanwhile.
SLICE: Final = timedelta(hours=1)
#: Differences that a report lists: more is one cause, and some hundred show it.
MAX_DIFFERENCES: Final = 2_000


@dataclass(slots=True)
class Comparison:
    """What was found from ``since`` until before ``until`` (UTC), slice by slice.

    What it remembers of pairs that agree is of two slices at most.
    """

    since: datetime
    until: datetime
    tally: Tally = field(default_factory=Tally)
    counts: Counter[Differs] = field(default_factory=Counter)
    found: dict[tuple[str | None, str | None], Difference] = field(default_factory=dict)
    agreed: set[str] = field(default_factory=set)  #: ours, by operation; this slice
    agreed_before: set[str] = field(default_factory=set)  #: and in the one before
    remembered: tuple[datetime, datetime] = field(init=False)  #: the time of both
    #: Payments in this slice, with the provider's ids that a read of each has shown.
    #: None: there was nothing to read it by, or it moves.
    judged: dict[str, frozenset[str | None] | None] = field(default_factory=dict)
    #: Payments of ours, by the provider's id of a charge whose refund names none. None:
    #: it is nobody's of ours.
    traced: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.remembered = (self.since, self.since)

    @property
    def differing(self) -> int:
        """How many pairs differ, those that are not listed included."""
        return sum(self.counts.values())

    def go_on(self, begin: datetime, end: datetime) -> None:
        """Forgets all but the last slice, and begins this one."""
        self.agreed_before, self.agreed = self.agreed, set()
        self.remembered = (max(self.since, begin - SLICE), end)
        self.judged.clear()

    def has_agreed(self, ours: Movement) -> bool:
        """Whether a movement of ours was counted lately as one that agrees."""
        return ours.operation in self.agreed or ours.operation in self.agreed_before

    def is_counted(self, pair: Pair) -> bool:
        """Whether a pair is counted in another slice, or is of another time."""
        ours, theirs = pair
        if ours is not None and self.has_agreed(ours):
            return True
        times = [one.at for one in pair if one is not None and one.at is not None]
        if not any(self.since <= at < self.until for at in times):
            return True
        if difference(pair) is not None or theirs is None or theirs.at is None:
            return False
        # It agrees, so it has when it was listed, or will.
        first, last = self.remembered
        return self.since <= theirs.at < first or last <= theirs.at < self.until

    def agree(self, pair: Pair) -> None:
        """Counts a pair once; of one that we are at, only theirs could be counted."""
        ours = pair[0]
        if ours is None or ours.operation is None or ours.standing is Standing.OPEN:
            return
        if self.has_agreed(ours):
            return
        self.agreed.add(ours.operation)
        self.tally.add(pair)

    def take(self, pair: Pair) -> Difference | None:
        """Takes a pair in; how its sides differ, where they do and it is new."""
        found = difference(pair)
        if found is None:
            self.agree(pair)
            return None
        if not self._is_new(found):
            return None
        self.tally.add(pair)
        return found

    def take_unread(self, unread: Unread) -> None:
        """Takes in what cannot be read; no sum has it."""
        self._is_new(Difference(Differs.UNREADABLE, None, None, unread))

    def _is_new(self, found: Difference) -> bool:
        """Counts a difference, unless that is done."""
        key = (found.operation, found.ref)
        if key in self.found:
            return False
        self.counts[found.differs] += 1
        if len(self.found) < MAX_DIFFERENCES:
            self.found[key] = found
        return True
