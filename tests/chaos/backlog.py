"""``python -m tests.chaos.backlog``: a hundred thousand payments are due at once.

Prints how the backlog is worked off for a minute while shops go on paying: how long a
new payment takes beside it, and what memory the programs need. Exits with 1 where new
ones wait for the backlog, or where beat's memory grows with it.
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
from tests.chaos.asking import Log, Target
from tests.chaos.client import Client
from tests.chaos.stack import Stack
from tests.chaos.watch import open_database
from tests.chaos.workload import plain
from tests.suites.samples import payment, submission
from tests.support.process_usage import memory

#: Payments stored in one go.
BATCH: Final = 1000
#: New payments a second beside the backlog.
RATE: Final = 5.0
#: Seconds that a new payment may take beside it, of a hundred ninety-nine.
PATIENCE: Final = 10.0
#: Megabytes by which beat may grow: a page of ids, not the backlog.
GROWTH: Final = 20.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a backlog did. Seconds and megabytes."""

    backlog: int
    watched: float
    worked_off: int  #: of the backlog, meanwhile
    submitted: int  #: new payments meanwhile
    median: float  #: from a new payment's acceptance to its end
    p99: float
    unsettled: int  #: new payments without an end a while later
    beat_before: float  #: resident memory of the larger beat
    beat_after: float

    @property
    def kept(self) -> bool:
        """Whether nobody starved, and nothing was loaded whole."""
        return (
            self.unsettled == 0
            and self.worked_off > 0
            and self.p99 <= PATIENCE
            and self.beat_after - self.beat_before <= GROWTH
        )


def watch_backlog(home: Path, *, count: int, seconds: float) -> Found:
    """Runs a stack in ``home``, makes ``count`` payments due, and watches."""
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
        began = _due(database, count)
        with Client(target, plain("new", wanted), rate=RATE, log=log) as client:
            wait_until(lambda: not client.paying(), seconds=2 * seconds)
            left = _due(database, count)
            wait_until(lambda: not _open(database), seconds=2 * PATIENCE)
        after = _beat_memory(running)
        took = _took(database)
        database.client.close()
    return Found(
        backlog=count,
        watched=seconds,
        worked_off=began - left,
        submitted=wanted,
        median=statistics.median(took),
        p99=statistics.quantiles(took, n=100)[98],
        unsettled=wanted - len(took),
        beat_before=before,
        beat_after=after,
    )


def _make_due(running: Stack, count: int) -> None:
    """Payments of long ago, as they are after a night without workers."""
    settings = Settings(
        home=running.home.resolve(),
        mongo_url=running.mongo.url,
        database=running.database,
    )
    database = container.open_database(settings)
    vault = container.open_vault(settings)
    store = MongoPayments(database, vault, holder="backlog")
    asked = submission(provider=ProviderName.STRIPE, payment_method="pm_card_visa")
    then = container.clock() - timedelta(hours=1)
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        store.insert_many([payment(one, asked=asked, now=then) for one in numbers])
    database.client.close()


#: The backlog is another merchant's.
_NEW: Final = {"merchant": demo_keys.MERCHANT}


def _open(database: Database[dict[str, Any]]) -> int:
    return database.payments.count_documents({**_NEW, "open": {"$exists": True}})


def _due(database: Database[dict[str, Any]], count: int) -> int:
    """How much of the backlog is left."""
    open_ = database.payments.count_documents({"open": {"$exists": True}})
    return min(count, open_ - _open(database))


def _took(database: Database[dict[str, Any]]) -> list[float]:
    """Seconds from the acceptance of each new payment to its end."""
    return [
        (one["updated_at"] - one["created_at"]).total_seconds()
        for one in database.payments.find({**_NEW, "open": {"$exists": False}})
    ]


def _beat_memory(running: Stack) -> float:
    """Resident megabytes of the larger beat."""
    runs = [child.run for child in running.keeper.of("beat")]
    return max(memory(run.pid) for run in runs if run is not None) / 1e6


if __name__ == "__main__":
    options = {"count": (100_000, "payments due"), "seconds": (60.0, "of watching")}
    sys.exit(trial.main(__doc__, watch_backlog, options))
