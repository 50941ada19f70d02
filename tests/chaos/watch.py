"""Records every change of a payment by a change stream of MongoDB."""

from __future__ import annotations

import threading
from typing import Any, Final

import pymongo
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tests.chaos import evidence
from tests.chaos.evidence import Snapshot

#: Milliseconds that a read waits for changes.
WAIT: Final = 500
#: Seconds between two tries without a primary.
PAUSE: Final = 0.5
_STAGES: Final[list[dict[str, Any]]] = [
    {"$match": {"operationType": {"$in": ["insert", "update", "replace"]}}},
    {
        "$project": {
            "fullDocument._id": 1,
            "fullDocument.version": 1,
            "fullDocument.event_count": 1,
            "fullDocument.operations.id": 1,
            "fullDocument.operations.state": 1,
        }
    },
]


class Watcher:
    """Collects snapshots until its block ends; resumes after a fail-over."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._payments = database.payments
        self._stop = threading.Event()
        self._resume: Any = None
        self._thread = threading.Thread(target=self._run, name="watcher")
        self.snapshots: list[Snapshot] = []

    def __enter__(self) -> Watcher:
        # The stream has to begin before the first payment.
        self._read_changes()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._read_changes(until=self._stop)
            except PyMongoError:
                self._stop.wait(PAUSE)

    def _read_changes(self, until: threading.Event | None = None) -> None:
        """Reads the pending changes; with ``until``, continues until it is set."""
        with self._payments.watch(
            _STAGES,
            full_document="updateLookup",
            resume_after=self._resume,
            max_await_time_ms=WAIT,
        ) as stream:
            while True:
                change = stream.try_next()
                if change is not None and change.get("fullDocument"):
                    self.snapshots.append(
                        evidence.parse_snapshot(change["fullDocument"])
                    )
                self._resume = stream.resume_token or self._resume
                if change is None and (until is None or until.is_set()):
                    return


def open_database(url: str, name: str) -> Database[dict[str, Any]]:
    """The database with majority reads, for the checks."""
    client = pymongo.MongoClient[dict[str, Any]](url, tz_aware=True, timeoutMS=60_000)
    return client.get_database(
        name, read_concern=pymongo.read_concern.ReadConcern("majority")
    )
