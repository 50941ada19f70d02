"""The connection, and what a driver's error means to us."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import pymongo
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError, WriteError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from domain.errors import StoreUnavailable, WriteRefused
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
DUPLICATE_KEY: Final = 11000
_BAD_VALUE: Final = 2
#: Those that a document meets alone, by MongoDB's names.
_OF_ONE_DOCUMENT: Final[Mapping[int | None, str]] = {
    121: "DocumentValidationFailure",
    14: "TypeMismatch",
    **dict.fromkeys((10334, 17419, 17420), "BSONObjectTooLarge"),
    **dict.fromkeys((16554, 16555, 28664), "TypeMismatch"),  # $add, $concatArrays
}
#: Of errors that are the server's own and pass: elections, shutdowns, limits of time.
TRANSIENT: Final = frozenset(
    {
        *(6, 7, 89, 9001),  # HostUnreachable, HostNotFound, NetworkTimeout, Socket…
        *(91, 189, 10058, 10107, 11600, 11602, 13435, 13436),  # NotPrimary and so on
        *(24, 46, 50, 112, 202, 262),  # LockTimeout, MaxTimeMSExpired, WriteConflict …
        *(63, 133, 134, 150, 234, 391, 13388),  # of sharding and of read concerns
        365,  # TemporarilyUnavailable
    }
)
#: Those, and what no write gets past before somebody acts: rights, a full disk, a quota
#: of a hosted database (8000, AtlasError), an error without a kind (1, 8), an operation
#: that somebody ended (11601).
OF_THE_SERVER: Final = TRANSIENT | {
    *(1, 8, 13, 18, 64, 79, 100, 146, 8000, 11601, 14031),
}

Result = TypeVar("Result")


def connect(url: str, database: str) -> Database[Document]:
    """The database, by a client that connects when it is first used.

    Every write waits for a majority's journal; every read is of the primary and of
    majority-committed data, so nothing that decides can be rolled back.
    """
    client: MongoClient[Document] = MongoClient(
        url,
        tz_aware=True,
        # A date beyond Python's calendar is of another type, and its document's fault.
        datetime_conversion="DATETIME_AUTO",
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
    with translating_errors(), pymongo.timeout(PING_TIMEOUT):
        return dict(database.client.admin.command("hello"))


def with_index_hint(query: Callable[[Document], Result], name: str) -> Result:
    """What ``ask`` finds with the hint it is given: to use the index ``name``, or none
    where that index is missing, or under construction."""
    try:
        return query({"hint": name})
    except OperationFailure as error:
        if error.code != _BAD_VALUE:
            raise
        log.warning("index_missing", extra={"index": name})
    return query({})


@contextmanager
def translating_errors() -> Iterator[None]:
    """Turns what the driver raises into StoreUnavailable, and logs what it was.

    A write that MongoDB refused for what is in the document is WriteRefused.
    """
    try:
        yield
    except PyMongoError as error:
        if _is_refusal(error):
            log.error("write_refused", extra={"code": error_name(error)})
            raise WriteRefused from error
        log.warning("store_unavailable", extra={"error": type(error).__name__})
        raise StoreUnavailable from error


def error_name(error: Exception | int) -> str:
    """A word for logs: MongoDB's name of the error, its code, or the error's class."""
    code = error if isinstance(error, int) else getattr(error, "code", None)
    known = _OF_ONE_DOCUMENT.get(code)
    return known or (type(error).__name__ if code is None else str(code))


def _is_refusal(error: PyMongoError) -> bool:
    if isinstance(error, WriteError):
        return error.code not in OF_THE_SERVER | {DUPLICATE_KEY}
    return isinstance(error, OperationFailure) and error.code in _OF_ONE_DOCUMENT
