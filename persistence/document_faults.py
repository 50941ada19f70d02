"""Handles documents that MongoDB refuses to write and documents that cannot be read.

A faulty document does not affect others written or read with it. Each fault is logged
and kept for a while in ``document_faults``, where metrics and operators find it. Work
on a refused document is postponed, longer with every refusal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar

import pymongo
from bson.errors import BSONError
from pymongo import DESCENDING, DeleteOne, InsertOne, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, OperationFailure, WriteError

from application.cache import Cache
from application.logs import get_logger
from domain.errors import DocumentUnreadable, StoreUnavailable
from persistence.codec import Document
from persistence.mongo import (
    DUPLICATE_KEY,
    OF_THE_SERVER,
    OPERATION_TIMEOUT,
    error_name,
    translating_errors,
)
from persistence.type_checks import check_fields

log = get_logger(__name__)

#: The first and the longest delay of a refused document; an operator has to act.
FIRST_DELAY: Final = timedelta(seconds=10)
MAX_DELAY: Final = timedelta(hours=1)
#: A fault that is not found again for so long after its delay is deleted.
FAULT_TTL: Final = timedelta(minutes=30)
#: Most documents that are excluded from due work; more mean that all are refused.
MAX_POSTPONED: Final = 1_000
#: Seconds until an unreadable document is reported again by the same process.
REPORT_INTERVAL: Final = 60.0

Write = InsertOne[Document] | UpdateOne | DeleteOne
Read = TypeVar("Read")

_MILLISECOND: Final = timedelta(milliseconds=1)


class DocumentFault(StrEnum):
    """The kind of a document's fault."""

    REFUSED = "refused"  #: MongoDB did not write it: a validator, its size, a type
    UNREADABLE = "unreadable"  #: the stored document does not have the expected form


@dataclass(frozen=True, slots=True)
class FaultyDocument:
    """A document with a recent fault."""

    collection: str
    id: str
    fault: DocumentFault
    code: str  #: MongoDB's name of the error, or the class of ours
    count: int  #: occurrences in a row
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The results of writes, by their positions."""

    matched: int  #: documents matched by updates
    duplicates: frozenset[int]  #: inserts whose unique key was taken
    refused: Mapping[int, str]  #: error codes of the refused writes


def write_independently(
    collection: Collection[Document], writes: Sequence[Write]
) -> WriteResult:
    """Writes all in one request; a refused write does not affect the others.

    Raises PyMongoError if the server fails rather than a single write.
    """
    try:
        result = collection.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        return _parse_bulk_error(error)
    except (OperationFailure, BSONError, OverflowError, UnicodeError) as error:
        if isinstance(error, OperationFailure) and error.code in OF_THE_SERVER:
            raise
        if len(writes) > 1:  # one write makes the whole request fail
            return _merge_results(
                [write_independently(collection, [one]) for one in writes]
            )
        return WriteResult(0, frozenset(), {0: error_name(error)})
    return WriteResult(result.matched_count, frozenset(), {})


def update_independently(
    collection: Collection[Document],
    ids: Sequence[str],
    which: Document,
    update: Document | list[Document],
) -> int:
    """Updates those of ``ids`` that match ``which`` and returns their number.

    A refused one is reported. Raises PyMongoError as ``write_independently`` does.
    """
    try:
        wanted = {**which, "_id": {"$in": list(ids)}}
        return collection.update_many(wanted, update).matched_count
    except WriteError as error:
        if error.code in OF_THE_SERVER:
            raise
    writes = [UpdateOne({**which, "_id": one}, update) for one in ids]
    written = write_independently(collection, writes)
    refused = {ids[place]: code for place, code in written.refused.items()}
    report_faults(collection, DocumentFault.REFUSED, refused)
    return written.matched


def decode_readable(
    documents: Iterable[Document],
    decode: Callable[[Document], Read],
    collection: Collection[Document],
    *,
    postpones: bool = False,
) -> list[Read]:
    """Decodes the documents that can be read; the others are left out and reported.

    With ``postpones``, work on the others is postponed.
    """
    found = []
    for document in documents:
        try:
            found.append(
                decode_or_report(document, decode, collection, postpones=postpones)
            )
        except DocumentUnreadable:
            continue
    return found


def read_readable_page(
    find: Callable[[Document], Sequence[Document]],
    decode: Callable[[Document], Read],
    collection: Collection[Document],
    *,
    limit: int,
    order: tuple[str, str] = ("_id", "$lt"),
) -> list[Read]:
    """The first ``limit`` documents that can be read.

    ``find`` returns up to ``limit`` documents of a filter, sorted by the field of
    ``order``; its operator selects those after the last one read. All reads share the
    time limit of one operation: raises PyMongoError if almost none can be read.
    """
    field, operator = order
    found, after = list[Read](), dict[str, Any]()
    with pymongo.timeout(OPERATION_TIMEOUT):
        while True:
            documents = find(after)
            found += decode_readable(documents, decode, collection)
            if len(documents) < limit or len(found) >= limit:
                return found[:limit]
            after = {field: {operator: documents[-1][field]}}


def decode_or_report(
    document: Document,
    decode: Callable[[Document], Read],
    collection: Collection[Document],
    *,
    postpones: bool = False,
) -> Read:
    """Decodes a document. Reports one that fails and raises DocumentUnreadable."""
    try:
        return check_fields(decode(document))
    except Exception as error:  # any error concerns this document alone
        name = str(document.get("_id"))
        if postpones or _is_unreported(collection, name):
            codes = {name: type(error).__name__}
            report_faults(
                collection, DocumentFault.UNREADABLE, codes, postpones=postpones
            )
        if isinstance(error, DocumentUnreadable):
            raise
        raise DocumentUnreadable from error


def report_faults(
    collection: Collection[Document],
    fault: DocumentFault,
    codes: Mapping[str, str],
    *,
    postpones: bool = False,
) -> None:
    """Logs and stores faults; ``codes`` has the error code of each document id.

    With ``postpones``, work on the documents is delayed. A database error is only
    logged.
    """
    if not codes:
        return
    for name, code in codes.items():
        log.error(
            f"document_{fault.value}",
            collection=collection.name,
            document=name,
            code=code,
        )
    updates = [
        UpdateOne(
            {"_id": f"{collection.name}:{name}:{fault.value}"},
            _fault_update(collection.name, name, fault, code, postpones=postpones),
            upsert=True,
        )
        for name, code in codes.items()
    ]
    try:
        with translating_errors():
            collection.database.document_faults.bulk_write(updates, ordered=False)
    except StoreUnavailable:
        log.warning("faults_not_kept", count=len(codes))


def find_postponed(collection: Collection[Document]) -> list[str]:
    """At most MAX_POSTPONED ids whose delay has not ended. Raises PyMongoError."""
    postponed = {"collection": collection.name, "until": {"$exists": True}}
    found = collection.database.document_faults.find(
        {**postponed, "$expr": {"$gt": ["$until", "$$NOW"]}}, {"document": 1}
    )
    return [
        one["document"] for one in found.sort("until", DESCENDING).limit(MAX_POSTPONED)
    ]


def count_faults(database: Database[Document]) -> dict[tuple[str, DocumentFault], int]:
    """The number of faulty documents, by collection and fault.

    Raises StoreUnavailable.
    """
    by = {"collection": "$collection", "fault": "$fault"}
    with translating_errors():
        rows = list(
            database.document_faults.aggregate(
                [{"$group": {"_id": by, "count": {"$sum": 1}}}]
            )
        )
    return {
        (row["_id"]["collection"], DocumentFault(row["_id"]["fault"])): row["count"]
        for row in rows
    }


def list_latest(database: Database[Document], limit: int) -> list[FaultyDocument]:
    """At most ``limit`` faulty documents, the latest first. Raises StoreUnavailable."""
    with translating_errors():
        found = database.document_faults.find().sort("last_at", DESCENDING)
        rows = list(found.limit(limit))
    return [
        FaultyDocument(
            collection=row["collection"],
            id=row["document"],
            fault=DocumentFault(row["fault"]),
            code=row["code"],
            count=row["count"],
            first_at=row["first_at"],
            last_at=row["last_at"],
        )
        for row in rows
    ]


def _parse_bulk_error(error: BulkWriteError) -> WriteResult:
    details = error.details
    faults = {one["index"]: one["code"] for one in details["writeErrors"]}
    if details.get("writeConcernErrors") or not OF_THE_SERVER.isdisjoint(
        faults.values()
    ):
        raise error
    return WriteResult(
        details["nMatched"],
        frozenset(n for n, code in faults.items() if code == DUPLICATE_KEY),
        {n: error_name(code) for n, code in faults.items() if code != DUPLICATE_KEY},
    )


def _merge_results(single: Sequence[WriteResult]) -> WriteResult:
    return WriteResult(
        sum(one.matched for one in single),
        frozenset(place for place, one in enumerate(single) if one.duplicates),
        {place: one.refused[0] for place, one in enumerate(single) if one.refused},
    )


def _fault_update(
    collection: str, name: str, fault: DocumentFault, code: str, *, postpones: bool
) -> list[Document]:
    """The update of a fault, by the server's clock. The delay doubles each time."""
    count = {"$add": [{"$ifNull": ["$count", 0]}, 1]}
    first, longest = FIRST_DELAY // _MILLISECOND, MAX_DELAY // _MILLISECOND
    doubled = {"$multiply": [first, {"$pow": [2, {"$min": ["$count", 20]}]}]}
    wait = {"$min": [longest, {"$divide": [doubled, 2]}]}
    until = {"$add": ["$$NOW", {"$toLong": wait}]}
    known: Document = {
        "collection": collection,
        "document": {"$literal": name},
        "fault": fault.value,
        "code": {"$literal": code},
        "count": count,
        "first_at": {"$ifNull": ["$first_at", "$$NOW"]},
        "last_at": "$$NOW",
    }
    after = {"$ifNull": ["$until", "$$NOW"]}
    forget_at = {"$add": [after, FAULT_TTL // _MILLISECOND]}
    return [
        {"$set": known},
        *([{"$set": {"until": until}}] if postpones else []),
        {"$set": {"forget_at": forget_at}},
    ]


_reported: Final = Cache[tuple[str, str, str], bool](
    size=MAX_POSTPONED, seconds=REPORT_INTERVAL
)
_lock = threading.Lock()


def _is_unreported(collection: Collection[Document], name: str) -> bool:
    """Whether this process has not reported it lately; lists are read every second."""
    key = collection.database.name, collection.name, name
    with _lock:
        if _reported.find(key):
            return False
        _reported.put(key, True)
        return True
