"""Connects to MongoDB and maps the driver's errors."""

from __future__ import annotations

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

from application.logs import get_logger
from domain.errors import StoreUnavailable, WriteRefused
from persistence.codec import Document

log = get_logger(__name__)

#: Seconds for one operation, including the search for a primary and retries. An
#: election takes a second or two; a client should get a 503 before it gives up.
OPERATION_TIMEOUT: Final = 4.0
#: Seconds for a ping; health checks ping every few seconds.
PING_TIMEOUT: Final = 1.0
#: Connections of a process: more than its threads use at once.
POOL: Final = 100

#: MongoDB's error codes.
DUPLICATE_KEY: Final = 11000
_BAD_VALUE: Final = 2
#: Errors that concern one document, with MongoDB's names.
_OF_ONE_DOCUMENT: Final[Mapping[int | None, str]] = {
    121: "DocumentValidationFailure",
    14: "TypeMismatch",
    **dict.fromkeys((10334, 17419, 17420), "BSONObjectTooLarge"),
    **dict.fromkeys((16554, 16555, 28664), "TypeMismatch"),  # $add, $concatArrays
}
#: Errors of the server that pass: elections, shutdowns, time limits.
TRANSIENT: Final = frozenset(
    {
        *(6, 7, 89, 9001),  # HostUnreachable, HostNotFound, NetworkTimeout, Socket…
        *(91, 189, 10058, 10107, 11600, 11602, 13435, 13436),  # NotPrimary and so on
        *(24, 46, 50, 112, 202, 262),  # LockTimeout, MaxTimeMSExpired, WriteConflict …
        *(63, 133, 134, 150, 234, 391, 13388),  # of sharding and of read concerns
        365,  # TemporarilyUnavailable
    }
)
#: All errors of the server: TRANSIENT, and those that fail every write until a person
#: acts: missing rights, a full disk, the quota of a hosted database (8000, AtlasError),
#: unspecified errors (1, 8), and an operation that was killed (11601).
OF_THE_SERVER: Final = TRANSIENT | {
    *(1, 8, 13, 18, 64, 79, 100, 146, 8000, 11601, 14031),
}

Result = TypeVar("Result")


def connect(url: str, database: str) -> Database[Document]:
    """The database; its client connects on first use.

    Every write waits for the journals of a majority. Every read is of the primary and
    of majority-committed data, so data that decisions are based on cannot be rolled
    back.
    """
    client: MongoClient[Document] = MongoClient(
        url,
        tz_aware=True,
        # A date that Python cannot express gets another type, a fault of its document.
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
    """The server's ``hello``. Raises StoreUnavailable after PING_TIMEOUT."""
    with translating_errors(), pymongo.timeout(PING_TIMEOUT):
        return dict(database.client.admin.command("hello"))


def with_index_hint(query: Callable[[Document], Result], name: str) -> Result:
    """Runs ``query`` with a hint for the index ``name``.

    Runs it without a hint if the index is missing or under construction.
    """
    try:
        return query({"hint": name})
    except OperationFailure as error:
        if error.code != _BAD_VALUE:
            raise
        log.warning("index_missing", index=name)
    return query({})


@contextmanager
def translating_errors() -> Iterator[None]:
    """Turns the driver's errors into StoreUnavailable and logs them.

    A write that MongoDB refused because of its document becomes WriteRefused.
    """
    try:
        yield
    except PyMongoError as error:
        if _is_refusal(error):
            log.error("write_refused", code=error_name(error))
            raise WriteRefused from error
        log.warning("store_unavailable", error=type(error).__name__)
        raise StoreUnavailable from error


def error_name(error: Exception | int) -> str:
    """An error's name for logs: MongoDB's name, its code, or the class."""
    code = error if isinstance(error, int) else getattr(error, "code", None)
    known = _OF_ONE_DOCUMENT.get(code)
    return known or (type(error).__name__ if code is None else str(code))


def _is_refusal(error: PyMongoError) -> bool:
    if isinstance(error, WriteError):
        return error.code not in OF_THE_SERVER | {DUPLICATE_KEY}
    return isinstance(error, OperationFailure) and error.code in _OF_ONE_DOCUMENT
