"""Documents that MongoDB refuses to write, and stored ones that cannot be read.

Either concerns that document alone: what it was written or read with goes on. Each is
logged, and kept for a while in ``document_faults``, one document a fault, where metrics
and operators find it. Work on what was refused waits, longer with every refusal.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
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

log = logging.getLogger(__name__)

#: The first wait of what was refused, and the longest: an operator has to act.
FIRST_DELAY: Final = timedelta(seconds=10)
MAX_DELAY: Final = timedelta(hours=1)
#: A fault that was not met again for so long, after its wait, is forgotten.
FAULT_TTL: Final = timedelta(minutes=30)
#: Waiting documents that are kept out of turn at once; more mean that all are refused.
MAX_POSTPONED: Final = 1_000
#: Seconds until a document that is read again and again is reported again.
REPORT_INTERVAL: Final = 60.0

Write = InsertOne[Document] | UpdateOne | DeleteOne
Read = TypeVar("Read")

_MILLISECOND: Final = timedelta(milliseconds=1)


class DocumentFault(StrEnum):
    """What is wrong with a document."""

    REFUSED = "refused"  #: MongoDB did not write it: a validator, its size, a type
    UNREADABLE = "unreadable"  #: it is stored, and is not of the form that we write


@dataclass(frozen=True, slots=True)
class FaultyDocument:
    """A document with a fault that was met lately."""

    collection: str
    id: str
    fault: DocumentFault
    code: str  #: MongoDB's name of its error, or the class of ours
    count: int  #: times in a row
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What came of writes, by their places."""

    matched: int  #: documents that an update met
    duplicates: frozenset[int]  #: inserts whose unique key was taken
    refused: Mapping[int, str]  #: the code of those that MongoDB refused


def write_independently(
    collection: Collection[Document], writes: Sequence[Write]
) -> WriteResult:
    """Writes all at once, in no order; one that is refused keeps no other from it.

    Raises PyMongoError where the trouble is the server's and no single write's.
    """
    try:
        result = collection.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        return _parse_bulk_error(error)
    except (OperationFailure, BSONError, OverflowError, UnicodeError) as error:
        if isinstance(error, OperationFailure) and error.code in OF_THE_SERVER:
            raise
        if len(writes) > 1:  # one of them spoils the request for all
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
    """Updates those of ``ids`` that are ``which``; how many there were.

    One that MongoDB refuses is reported. Raises PyMongoError as ``write_independently``
    does.
    """
    try:
        named = {**which, "_id": {"$in": list(ids)}}
        return collection.update_many(named, update).matched_count
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
    """The documents that can be read; the others are left out, and reported.

    Work on them ``waits``, where they were read for it.
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
    """The first ``limit`` documents that can be read, past those that cannot.

    ``find`` gives ``limit`` documents of a filter, sorted by the field of ``order``,
    whose operator leads on behind the last one. All within the time of one operation:
    raises PyMongoError where hardly any can be read.
    """
    field, further = order
    found, behind = list[Read](), dict[str, Any]()
    with pymongo.timeout(OPERATION_TIMEOUT):
        while True:
            documents = find(behind)
            found += decode_readable(documents, decode, collection)
            if len(documents) < limit or len(found) >= limit:
                return found[:limit]
            behind = {field: {further: documents[-1][field]}}


def decode_or_report(
    document: Document,
    decode: Callable[[Document], Read],
    collection: Collection[Document],
    *,
    postpones: bool = False,
) -> Read:
    """The document. Raises DocumentUnreadable, and reports it."""
    try:
        return check_fields(decode(document))
    except Exception as error:  # whatever is in it, it is this document's
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
    """Logs and keeps the faults of documents, by id. Those that ``waits`` are out of
    turn until their wait is over. Never raises for what the database does."""
    if not codes:
        return
    for name, code in codes.items():
        told = {"collection": collection.name, "document": name, "code": code}
        log.error(f"document_{fault.value}", extra=told)
    steps = [
        UpdateOne(
            {"_id": f"{collection.name}:{name}:{fault.value}"},
            _fault_update(collection.name, name, fault, code, postpones=postpones),
            upsert=True,
        )
        for name, code in codes.items()
    ]
    try:
        with translating_errors():
            collection.database.document_faults.bulk_write(steps, ordered=False)
    except StoreUnavailable:
        log.warning("faults_not_kept", extra={"count": len(codes)})


def find_postponed(collection: Collection[Document]) -> list[str]:
    """The ids whose wait is not over, MOST at most. Raises PyMongoError."""
    waiting = {"collection": collection.name, "until": {"$exists": True}}
    found = collection.database.document_faults.find(
        {**waiting, "$expr": {"$gt": ["$until", "$$NOW"]}}, {"document": 1}
    )
    return [
        one["document"] for one in found.sort("until", DESCENDING).limit(MAX_POSTPONED)
    ]


def count_faults(database: Database[Document]) -> dict[tuple[str, DocumentFault], int]:
    """How many documents have a fault, by collection. Raises StoreUnavailable."""
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
    """At most ``limit``, the latest first. Raises StoreUnavailable."""
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
    """The server's clock counts, and its count doubles the wait."""
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


_reported: OrderedDict[tuple[str, str, str], float] = OrderedDict()
_lock = threading.Lock()


def _is_unreported(collection: Collection[Document], name: str) -> bool:
    """Whether this process has not just reported it: lists are read every second."""
    key, now = (collection.database.name, collection.name, name), time.monotonic()
    with _lock:
        if now < _reported.get(key, 0.0):
            return False
        _reported[key] = now + REPORT_INTERVAL
        _reported.move_to_end(key)
        if len(_reported) > MAX_POSTPONED:
            _reported.popitem(last=False)
        return True
