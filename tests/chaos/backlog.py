"""``python -m tests.chaos.backlog``: a hundred thousand payments are due at once.

Prints how the backlog is worked off for a minute while shops go on paying: how long a
new payment takes beside it, and what memory the programs need. Exits with 1 where new
ones wait for the backlog, or where beat's memory grows with it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pymongo.database import Database

from domain.submission import ProviderName
from persistence.payments import MongoPayments
from runtime import container
from runtime.settings import Settings
from runtime.stack import demo_key
from tests.chaos import stack
from tests.chaos.asking import Log, Target
from tests.chaos.client import Client
from tests.chaos.stack import Stack
from tests.chaos.trial import show
from tests.chaos.watch import open_database
from tests.chaos.workload import plain
from tests.memory import memory
from tests.suites.samples import payment, submission

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
        most = before
        with Client(target, plain("new", wanted), rate=RATE, log=log) as client:
            while client.paying():
                time.sleep(0.5)
                most = max(most, _beat_memory(running))
            left = _due(database, count)
            over = time.monotonic() + 2 * PATIENCE
            while _open(database) and time.monotonic() < over:
                time.sleep(0.2)
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
        beat_after=most,
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
_NEW: Final = {"merchant": demo_key.MERCHANT}


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


def main() -> int:
    """0 where nobody starved and nothing was loaded whole, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.backlog", description=__doc__
    )
    parser.add_argument("--count", type=int, default=100_000, help="payments due")
    parser.add_argument("--seconds", type=float, default=60.0, help="of watching")
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="payments-backlog-") as home:
        found = watch_backlog(Path(home), count=options.count, seconds=options.seconds)
    show("A backlog", asdict(found), kept=found.kept, as_json=options.json)
    return 0 if found.kept else 1


if __name__ == "__main__":
    sys.exit(main())
