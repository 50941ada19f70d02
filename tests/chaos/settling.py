"""How soon everything ends once nothing is broken any more."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pymongo.database import Database
from pymongo.errors import PyMongoError

from runtime.processes import wait_until

#: Work of the service's own is owed on it.
OWED: Final = ("queued", "running", "retrying", "unknown")
#: Seconds that count as soon.
SOON: Final = 30.0
#: Seconds between two looks.
POLL: Final = 1.0


@dataclass(frozen=True, slots=True)
class Settling:
    """Times are in seconds from the healing."""

    open: int  #: operations on which work was owed then
    soon: int  #: of them, settled within SOON
    last: float  #: until the last of those that settled
    left: int  #: unsettled at the bound, later ones included
    late: dict[str, int]  #: what those that did not settle soon waited for then

    @property
    def share(self) -> float:
        """The part that settled soon; 1 where nothing was open."""
        return self.soon / self.open if self.open else 1.0


def watch_settling(
    database: Database[dict[str, Any]],
    *,
    bound: float,
    tend: Callable[[], None],
    quiet: Callable[[], bool],
    say: Callable[[int, float], None],
) -> Settling:
    """Looks until nothing is open and no more is to come (``quiet``), or the bound.

    ``tend`` is called all along; ``say`` is told how many are open, and since when.
    """

    def tended() -> bool:
        tend()
        return False  # all along, until it is time to look again

    started = time.monotonic()
    at_healing: set[str] | None = None
    ended: dict[str, float] = {}
    unsettled: dict[str, str] = {}
    late: Counter[str] | None = None
    while (passed := time.monotonic() - started) < bound:
        try:
            unsettled = _handle_error(database)
        except PyMongoError:
            tend()
            continue
        if at_healing is None:
            at_healing = set(unsettled)
        for operation in at_healing:
            if operation in unsettled:
                ended.pop(operation, None)
            else:
                ended.setdefault(operation, passed)
        if late is None and passed > SOON:
            late = Counter(unsettled[one] for one in at_healing & set(unsettled))
        say(len(unsettled), passed)
        if not unsettled and quiet():
            break
        wait_until(tended, seconds=POLL)
    return Settling(
        open=len(at_healing or ()),
        soon=sum(after <= SOON for after in ended.values()),
        last=max(ended.values(), default=0.0),
        left=len(unsettled),
        late=dict(late or {}),
    )


def states(database: Database[dict[str, Any]]) -> Counter[str]:
    """How many operations are in each state."""
    rows = database.payments.aggregate(
        [
            {"$unwind": "$operations"},
            {
                "$group": {
                    "_id": {"kind": "$operations.kind", "state": "$operations.state"},
                    "count": {"$sum": 1},
                }
            },
        ]
    )
    return Counter(
        {f"{row['_id']['kind']} {row['_id']['state']}": row["count"] for row in rows}
    )


def _handle_error(database: Database[dict[str, Any]]) -> dict[str, str]:
    """The operations on which work is owed, and what each waits for; shops may ask for
    more of a payment."""
    names = ("id", "state", "attempts", "waiting_for")
    found = database.payments.find(
        {"operations.state": {"$in": OWED}}, {f"operations.{name}": 1 for name in names}
    )
    return {
        operation["id"]: f"{operation['state']} after {operation.get('attempts', 0)}"
        f" sends, for {operation.get('waiting_for', 'a worker')}"
        for document in found
        for operation in document["operations"]
        if operation["state"] in OWED
    }
