"""``python -m tests.chaos.backlog``: a hundred thousand payments are due at once.

Prints the progress of the backlog during a minute of further payments, the time that a
new payment takes, and the memory of the programs. Exits with 1 if new payments wait for
the backlog, or if beat's memory grows with it.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pymongo.database import Database

from domain.payments.submission import ProviderName
from local_stack import demo_keys
from persistence.payments import MongoPayments
from runtime import container
from runtime.processes import wait_until
from runtime.settings import Settings
from tests.chaos import stack, trial
from tests.chaos.requester import Log, Target
from tests.chaos.client import Client
from tests.chaos.stack import Stack
from tests.chaos.watch import open_database
from tests.chaos.workload import plain
from tests.suites.samples import insert_all, payment, submission
from tests.support.process_usage import memory

#: Payments in one insert.
BATCH: Final = 1000
#: New payments a second beside the backlog.
RATE: Final = 5.0
#: Seconds that 99 % of the new payments may take at most.
PATIENCE: Final = 10.0
#: Megabytes by which beat's memory may grow: a page of ids, not the backlog.
GROWTH: Final = 20.0


@dataclass(frozen=True, slots=True)
class BacklogResult:
    """The effects of a backlog, in seconds and megabytes."""

    backlog: int
    watched: float
    worked_off: int  #: payments of the backlog in that time
    submitted: int  #: new payments in that time
    median: float  #: from a new payment's acceptance to its end
    p99: float
    unsettled: int  #: new payments that are still open at the end
    beat_before: float  #: resident memory of the larger beat
    beat_after: float

    @property
    def passed(self) -> bool:
        """Whether no payment starved and beat did not load the backlog."""
        return (
            self.unsettled == 0
            and self.worked_off > 0
            and self.p99 <= PATIENCE
            and self.beat_after - self.beat_before <= GROWTH
        )


def watch_backlog(home: Path, *, count: int, seconds: float) -> BacklogResult:
    """Runs a stack in ``home``, makes ``count`` payments due, and measures."""
    with stack.running(home) as running:
        database = open_database(running.mongo.url, running.database)
        before = _beat_memory(running)
        _make_due(running, count)
        log = Log(home / "client.jsonl")
        target = Target(
            [f"{web}/v1/payments" for web in running.webs],
            {"Authorization": f"Bearer {running.key}"},
        )
        wanted = int(seconds * RATE)
        began = _count_backlog(database, count)
        with Client(target, plain("new", wanted), rate=RATE, log=log) as client:
            wait_until(lambda: not client.is_submitting(), seconds=2 * seconds)
            left = _count_backlog(database, count)
            wait_until(lambda: not _count_open(database), seconds=2 * PATIENCE)
        after = _beat_memory(running)
        durations = _durations(database)
        database.client.close()
    return BacklogResult(
        backlog=count,
        watched=seconds,
        worked_off=began - left,
        submitted=wanted,
        median=statistics.median(durations),
        p99=statistics.quantiles(durations, n=100)[98],
        unsettled=wanted - len(durations),
        beat_before=before,
        beat_after=after,
    )


def _make_due(running: Stack, count: int) -> None:
    """Inserts payments of an hour ago, as after an hour without workers."""
    settings = Settings(
        home=running.home.resolve(),
        mongo_url=running.mongo.url,
        database=running.database,
    )
    database = container.open_database(settings)
    vault = container.open_vault(settings)
    store = MongoPayments(database, vault, lease_holder="backlog")
    asked = submission(provider=ProviderName.STRIPE, payment_method="pm_card_visa")
    then = container.clock() - timedelta(hours=1)
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        insert_all(
            store, [payment(number, submitted=asked, now=then) for number in numbers]
        )
    database.client.close()


#: Filters out the backlog, which is another merchant's.
_NEW: Final = {"merchant": demo_keys.MERCHANT}


def _count_open(database: Database[dict[str, Any]]) -> int:
    return database.payments.count_documents({**_NEW, "open": {"$exists": True}})


def _count_backlog(database: Database[dict[str, Any]], count: int) -> int:
    """Payments left in the backlog."""
    open_ = database.payments.count_documents({"open": {"$exists": True}})
    return min(count, open_ - _count_open(database))


def _durations(database: Database[dict[str, Any]]) -> list[float]:
    """Seconds from the acceptance of each new payment to its end."""
    return [
        (payment["updated_at"] - payment["created_at"]).total_seconds()
        for payment in database.payments.find({**_NEW, "open": {"$exists": False}})
    ]


def _beat_memory(running: Stack) -> float:
    """Resident megabytes of the larger beat."""
    runs = [child.run for child in running.supervisor.children_of("beat")]
    return max(memory(run.pid) for run in runs if run is not None) / 1e6


if __name__ == "__main__":
    options = {"count": (100_000, "payments due"), "seconds": (60.0, "of watching")}
    sys.exit(trial.main(__doc__, watch_backlog, options))
