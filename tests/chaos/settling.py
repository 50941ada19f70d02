"""Measures how soon everything ends after the healing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pymongo.database import Database
from pymongo.errors import PyMongoError

from runtime.processes import wait_until

#: States of an operation with work left for the service.
OPEN: Final = ("queued", "running", "retrying", "unknown")
#: Seconds that count as soon.
SOON: Final = 30.0
#: Seconds between two reads.
POLL: Final = 1.0


@dataclass(frozen=True, slots=True)
class Settling:
    """Counts of operations; times are in seconds from the healing."""

    open: int  #: open operations at the healing
    soon: int  #: of these, settled within SOON
    last: float  #: time until the last one settled
    left: int  #: open at the bound, including later ones
    late: dict[str, int]  #: those not settled soon, by ``waiting_for``

    @property
    def share(self) -> float:
        """The part that settled soon; 1 if nothing was open."""
        return self.soon / self.open if self.open else 1.0


def watch_settling(
    database: Database[dict[str, Any]],
    *,
    bound: float,
    supervise: Callable[[], None],
    is_quiet: Callable[[], bool],
    report: Callable[[int, float], None],
) -> Settling:
    """Waits until nothing is open and ``quiet`` holds, or until the bound.

    Calls ``tend`` often, and ``say`` with the number of open operations and the time.
    """

    def supervise_once() -> bool:
        supervise()
        return False  # until the next read

    started = time.monotonic()
    at_healing: set[str] | None = None
    ended: dict[str, float] = {}
    unsettled: dict[str, str] = {}
    late: Counter[str] | None = None
    while (passed := time.monotonic() - started) < bound:
        try:
            unsettled = _load_open(database)
        except PyMongoError:
            supervise()
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
        report(len(unsettled), passed)
        if not unsettled and is_quiet():
            break
        wait_until(supervise_once, seconds=POLL)
    return Settling(
        open=len(at_healing or ()),
        soon=sum(after <= SOON for after in ended.values()),
        last=max(ended.values(), default=0.0),
        left=len(unsettled),
        late=dict(late or {}),
    )


def states(database: Database[dict[str, Any]]) -> Counter[str]:
    """The number of operations in each state."""
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


def _load_open(database: Database[dict[str, Any]]) -> dict[str, str]:
    """The open operations, each with its ``waiting_for``."""
    names = ("id", "state", "attempts", "waiting_for")
    found = database.payments.find(
        {"operations.state": {"$in": OPEN}}, {f"operations.{name}": 1 for name in names}
    )
    return {
        operation["id"]: f"{operation['state']} after {operation.get('attempts', 0)}"
        f" sends, for {operation.get('waiting_for', 'a worker')}"
        for document in found
        for operation in document["operations"]
        if operation["state"] in OPEN
    }
