"""The connection, and what a driver's error means to us."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import pymongo
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError
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

#: MongoDB's error codes.
_DUPLICATE_KEY: Final = 11000
_BAD_VALUE: Final = 2
#: Of errors that are the server's own and pass: elections, shutdowns, limits of time.
TRANSIENT: Final = frozenset(
    {
        *(6, 7, 89, 9001),  # HostUnreachable, HostNotFound, NetworkTimeout, Socket…
        *(91, 189, 10058, 10107, 11600, 11602, 13435, 13436),  # NotPrimary and so on
        *(24, 46, 50, 112, 202, 262),  # LockTimeout, MaxTimeMSExpired, WriteConflict …
        *(63, 133, 134, 150, 234, 13388),  # of sharding and of read concerns
    }
)

Answer = TypeVar("Answer")


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


def ping(database: Database[Document]) -> dict[str, Any]:
    """The server's view of itself. Raises StoreUnavailable where it gives none soon."""
    with answering(), pymongo.timeout(PING_TIMEOUT):
        return dict(database.client.admin.command("hello"))


def by_index(ask: Callable[[Document], Answer], name: str) -> Answer:
    """What ``ask`` finds with the hint it is given: to use the index ``name``, or none
    where that index is missing, or under construction."""
    try:
        return ask({"hint": name})
    except OperationFailure as error:
        if error.code != _BAD_VALUE:
            raise
        log.warning("index_missing", extra={"index": name})
    return ask({})


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
