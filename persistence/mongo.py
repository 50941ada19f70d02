"""The connection, the indexes, and what a driver's error means to us."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pymongo
from pymongo import ASCENDING, DESCENDING, IndexModel, MongoClient
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from domain.errors import StoreUnavailable
from persistence.codec import Document

log = logging.getLogger(__name__)

#: Seconds for one operation: finding a primary, and its retries, included. An
#: election takes a second or two; a request should hear 503 before its client gives up.
OPERATION_TIMEOUT: Final = 4.0
#: Seconds to hear from the primary: a health check is asked every few seconds.
PING_TIMEOUT: Final = 1.0
#: Connections a process may open: more than the threads that use them at once.
POOL: Final = 100

#: MongoDB's error code.
_DUPLICATE_KEY: Final = 11000

#: The deployment's own accounts are told apart by their provider alone.
LINES: Final = [("provider", ASCENDING), ("account", ASCENDING), ("due_at", ASCENDING)]
PAYMENT_INDEXES: Final = [
    IndexModel(
        # Of the payment and of all that was asked of it since.
        [("merchant", ASCENDING), ("mode", ASCENDING), ("keys", ASCENDING)],
        name="keys",
        unique=True,
    ),
    IndexModel(
        [("merchant", ASCENDING), ("mode", ASCENDING), ("guards", ASCENDING)],
        name="guards",
        unique=True,
        partialFilterExpression={"guards": {"$exists": True}},
    ),
    IndexModel(
        # A line for each account: a backlog of one stands before nobody of another.
        LINES,
        name="lines",
        partialFilterExpression={"due_at": {"$exists": True}},
    ),
    # An entry for each time that money moved, and none for what never did.
    IndexModel([("moved_at", ASCENDING)], name="moved", sparse=True),
    IndexModel(
        [("open", ASCENDING), ("provider", ASCENDING), ("due_at", ASCENDING)],
        name="open",
        partialFilterExpression={"open": {"$exists": True}},
    ),
    IndexModel(
        # What waits for a person, of all merchants; a payment on its way is not in it.
        [("open", ASCENDING), ("mode", ASCENDING), ("_id", DESCENDING)],
        name="stuck",
        partialFilterExpression={"open": {"$in": ["dead", "review"]}},
    ),
    IndexModel(
        [("merchant", ASCENDING), ("mode", ASCENDING), ("_id", DESCENDING)],
        name="newest",
    ),
    IndexModel(
        [
            ("merchant", ASCENDING),
            ("mode", ASCENDING),
            ("reference", ASCENDING),
            ("_id", DESCENDING),
        ],
        name="reference",
        partialFilterExpression={"reference": {"$exists": True}},
    ),
    IndexModel(
        [
            ("merchant", ASCENDING),
            ("mode", ASCENDING),
            ("status", ASCENDING),
            ("_id", DESCENDING),
        ],
        name="status",
    ),
    # The two of disputes have entries of those payments alone.
    IndexModel([("disputes.ref", ASCENDING)], name="disputes", sparse=True),
    IndexModel(
        [("merchant", ASCENDING), ("mode", ASCENDING), ("_id", DESCENDING)],
        name="disputed",
        partialFilterExpression={"disputes": {"$exists": True}},
    ),
]
WORKER_INDEXES: Final = [
    # A worker that is gone for good leaves the list by itself.
    IndexModel([("at", ASCENDING)], name="gone", expireAfterSeconds=600)
]
ACCOUNT_INDEXES: Final = [
    IndexModel([("merchant", ASCENDING), ("mode", ASCENDING)], name="merchant"),
    # Whose an event of Connect's is.
    IndexModel(
        [("connected", ASCENDING), ("mode", ASCENDING)],
        name="connected",
        unique=True,
        partialFilterExpression={"connected": {"$exists": True}},
    ),
]
KEY_INDEXES: Final = [IndexModel([("merchant", ASCENDING)], name="merchant")]
REPLAY_INDEXES: Final = [
    IndexModel(
        [("next_at", ASCENDING)],
        name="running",
        partialFilterExpression={"next_at": {"$exists": True}},
    )
]
RECONCILIATION_INDEXES: Final = [
    IndexModel(
        [("mode", ASCENDING), ("provider", ASCENDING), ("ended_at", DESCENDING)],
        name="last",
    ),
    # What differed is on the payments' timelines as well, where it was ours.
    IndexModel([("ended_at", ASCENDING)], name="old", expireAfterSeconds=90 * 86_400),
]
DIFFERENCE_INDEXES: Final = [
    IndexModel(
        [("mode", ASCENDING), ("first_at", ASCENDING)],
        name="open",
        partialFilterExpression={"open": True},
    ),
    IndexModel([("closed.at", ASCENDING)], name="old", expireAfterSeconds=90 * 86_400),
]
ITEM_INDEXES: Final = [
    IndexModel([("replay", ASCENDING), ("number", ASCENDING)], name="items"),
    IndexModel(
        [("replay", ASCENDING), ("came", ASCENDING), ("number", ASCENDING)],
        name="left",
    ),
    # The payments' timelines and the set's sums stay; the single items need not.
    IndexModel([("at", ASCENDING)], name="old", expireAfterSeconds=90 * 86_400),
]
WEBHOOK_INDEXES: Final = [
    IndexModel(
        [("due_at", ASCENDING)],
        name="due",
        partialFilterExpression={"due_at": {"$exists": True}},
    ),
    IndexModel(
        [("mode", ASCENDING), ("fate", ASCENDING), ("received_at", DESCENDING)],
        name="fate",
    ),
    # Longer than providers let an event be asked for again.
    IndexModel(
        [("received_at", ASCENDING)], name="old", expireAfterSeconds=90 * 86_400
    ),
]


def connect(url: str, database: str) -> Database[Document]:
    """The database, by a client that connects when it is first used.

    Every write waits for a majority's journal; every read is of the primary and of
    majority-committed data, so nothing that decides can be rolled back.
    """
    client: MongoClient[Document] = MongoClient(
        url,
        tz_aware=True,
        appname="payments",
        maxPoolSize=POOL,
        connectTimeoutMS=1000,
        timeoutMS=int(OPERATION_TIMEOUT * 1000),
    )
    return client.get_database(
        database,
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("majority"),
        write_concern=WriteConcern("majority", j=True),
    )


def create_indexes(database: Database[Document]) -> None:
    """Makes every index that is not there yet. Raises StoreUnavailable."""
    with answering():
        database.payments.create_indexes(PAYMENT_INDEXES)
        database.workers.create_indexes(WORKER_INDEXES)
        database.accounts.create_indexes(ACCOUNT_INDEXES)
        database.api_keys.create_indexes(KEY_INDEXES)
        database.replays.create_indexes(REPLAY_INDEXES)
        database.replay_items.create_indexes(ITEM_INDEXES)
        database.webhooks.create_indexes(WEBHOOK_INDEXES)
        database.reconciliations.create_indexes(RECONCILIATION_INDEXES)
        database.reconciliation_differences.create_indexes(DIFFERENCE_INDEXES)


def ping(database: Database[Document]) -> dict[str, Any]:
    """The server's view of itself. Raises StoreUnavailable where it gives none soon."""
    with answering(), pymongo.timeout(PING_TIMEOUT):
        return dict(database.client.admin.command("hello"))


@contextmanager
def answering() -> Iterator[None]:
    """Turns what the driver raises into StoreUnavailable, and logs what it was."""
    try:
        yield
    except PyMongoError as error:
        log.warning("store_unavailable", extra={"error": type(error).__name__})
        raise StoreUnavailable from error


def duplicates(error: BulkWriteError) -> set[int]:
    """The places whose key was taken. Raises the error where it is about more."""
    details = error.details
    if details.get("writeConcernErrors"):
        raise error
    failed = details["writeErrors"]
    if any(one["code"] != _DUPLICATE_KEY for one in failed):
        raise error
    return {one["index"] for one in failed}
