"""What operators watch: how much waits, for how long, and who works on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pymongo
from pymongo.database import Database

from persistence.codec import Document
from persistence.mongo import translating_errors, with_index_hint

#: A worker that was not heard of for so long is not counted: three times as long as a
#: worker takes to say again that it lives.
HEARTBEAT_LIFETIME: Final = timedelta(seconds=15)
#: Seconds for one count. It is asked for every few seconds, and reads all documents
#: while its index is missing: that may not keep the server busy.
COUNT_TIMEOUT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """The open operations, counted by index alone."""

    open: Mapping[tuple[str, str], int]  #: by provider and state
    due: Mapping[str, int]  #: by state, those on which work is owed now
    oldest_due_seconds: float  #: 0 where nothing is due


def count_backlog(database: Database[Document]) -> Backlog:
    """Counts what is open now. Raises StoreUnavailable."""
    owed = {"$and": [{"$gt": ["$due_at", None]}, {"$lte": ["$due_at", "$$NOW"]}]}
    counted: list[dict[str, Any]] = [
        {"$match": {"open": {"$exists": True}}},
        {"$project": {"_id": 0, "open": 1, "provider": 1, "due_at": 1}},
        {
            "$group": {
                "_id": {"provider": "$provider", "state": "$open"},
                "open": {"$sum": 1},
                "due": {"$sum": {"$cond": [owed, 1, 0]}},
                "seconds": {
                    "$max": {
                        "$cond": [owed, {"$subtract": ["$$NOW", "$due_at"]}, 0],
                    }
                },
            }
        },
    ]

    def ask(hint: Document) -> list[Document]:
        return list(database.payments.aggregate(counted, **hint))

    with translating_errors(), pymongo.timeout(COUNT_TIMEOUT):
        rows = with_index_hint(ask, "open")
    due: dict[str, int] = {}
    for row in rows:
        state = row["_id"]["state"]
        due[state] = due.get(state, 0) + row["due"]
    return Backlog(
        open={
            (row["_id"]["provider"], row["_id"]["state"]): row["open"] for row in rows
        },
        due=due,
        oldest_due_seconds=max((row["seconds"] for row in rows), default=0) / 1000,
    )


def count_waiting_webhooks(database: Database[Document]) -> int:
    """How many are not handled yet. Raises StoreUnavailable."""
    waiting = {"due_at": {"$exists": True}}
    with translating_errors(), pymongo.timeout(COUNT_TIMEOUT):
        return with_index_hint(
            lambda hint: database.webhooks.count_documents(waiting, **hint), "due"
        )


def report_alive(
    database: Database[Document],
    holder: str,
    *,
    slots: int,
    busy: int,
    proxy: str = "",
) -> None:
    """Says that a worker lives, and where it sends provider calls.

    ``proxy`` is the URL of its forward proxy without credentials, "" where it has none.
    Raises StoreUnavailable.
    """
    # A value, so that MongoDB takes no text of it for a field's name.
    said = {"slots": slots, "busy": busy, "proxy": {"$literal": proxy}}
    with translating_errors():
        database.workers.update_one(
            {"_id": holder},
            [{"$set": {"at": "$$NOW", **said}}],
            upsert=True,
        )


def count_live_workers(database: Database[Document]) -> int:
    """How many workers were heard of lately. Raises StoreUnavailable."""
    since = {"$subtract": ["$$NOW", HEARTBEAT_LIFETIME // timedelta(milliseconds=1)]}
    with translating_errors():
        return database.workers.count_documents({"$expr": {"$gt": ["$at", since]}})
