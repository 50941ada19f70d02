"""Counts for metrics: open and due work, waiting webhooks and live workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pymongo
from pymongo.database import Database

from persistence.codec import Document
from persistence.mongo import translating_errors, with_index_hint

#: A worker without a heartbeat for so long is not counted: three times the interval of
#: heartbeats.
HEARTBEAT_LIFETIME: Final = timedelta(seconds=15)
#: Seconds for one count. Counts run every few seconds and read all documents while
#: their index is missing, which must not overload the server.
COUNT_TIMEOUT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """Counts of payments with open operations, from an index alone."""

    open: Mapping[tuple[str, str], int]  #: by provider and state
    due: Mapping[str, int]  #: those that are due now, by state
    oldest_due_seconds: float  #: 0 if nothing is due


def count_backlog(database: Database[Document]) -> Backlog:
    """Counts the open payments. Raises StoreUnavailable."""
    is_due = {"$and": [{"$gt": ["$due_at", None]}, {"$lte": ["$due_at", "$$NOW"]}]}
    pipeline: list[dict[str, Any]] = [
        {"$match": {"open": {"$exists": True}}},
        {"$project": {"_id": 0, "open": 1, "provider": 1, "due_at": 1}},
        {
            "$group": {
                "_id": {"provider": "$provider", "state": "$open"},
                "open": {"$sum": 1},
                "due": {"$sum": {"$cond": [is_due, 1, 0]}},
                "seconds": {
                    "$max": {
                        "$cond": [is_due, {"$subtract": ["$$NOW", "$due_at"]}, 0],
                    }
                },
            }
        },
    ]

    def count(hint: Document) -> list[Document]:
        return list(database.payments.aggregate(pipeline, **hint))

    with translating_errors(), pymongo.timeout(COUNT_TIMEOUT):
        rows = with_index_hint(count, "open")
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
    """The number of webhooks not handled yet. Raises StoreUnavailable."""
    waiting = {"due_at": {"$exists": True}}
    with translating_errors(), pymongo.timeout(COUNT_TIMEOUT):
        return with_index_hint(
            lambda hint: database.webhooks.count_documents(waiting, **hint), "due"
        )


def report_alive(
    database: Database[Document],
    worker_name: str,
    *,
    slots: int,
    busy: int,
    proxy: str = "",
) -> None:
    """Stores a worker's heartbeat.

    ``proxy`` is the URL of its forward proxy without credentials, or "". Raises
    StoreUnavailable.
    """
    # ``$literal``, because MongoDB reads a text that begins with $ as a field's name.
    fields = {"slots": slots, "busy": busy, "proxy": {"$literal": proxy}}
    with translating_errors():
        database.workers.update_one(
            {"_id": worker_name},
            [{"$set": {"at": "$$NOW", **fields}}],
            upsert=True,
        )


def count_live_workers(database: Database[Document]) -> int:
    """The number of workers with a recent heartbeat. Raises StoreUnavailable."""
    since = {"$subtract": ["$$NOW", HEARTBEAT_LIFETIME // timedelta(milliseconds=1)]}
    with translating_errors():
        return database.workers.count_documents({"$expr": {"$gt": ["$at", since]}})
