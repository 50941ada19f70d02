"""Defines the indexes, compares them with the database's, and builds missing ones.

MongoDB builds an index while the collection is read and written. The server continues a
build if the requesting client is gone, and a second request for the same index joins
it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from queue import Empty, Queue
from typing import Any, Final

import pymongo
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from domain.errors import PaymentsError, StoreUnavailable
from persistence.codec import Document
from persistence.mongo import TRANSIENT, ping, translating_errors

#: Time limit of a build. MongoDB aborts a build at the request's time limit, so the
#: limit of other operations is too short: scanning a terabyte takes hours.
BUILD_TIMEOUT: Final = timedelta(days=7)
#: Seconds between two reads of a build's progress.
POLL_SECONDS: Final = 0.5
#: Seconds to wait for a primary before giving up; an election takes a few.
PRIMARY_TIMEOUT: Final = 60.0

#: Tries of a build that elections interrupt.
MAX_TRIES: Final = 10

#: MongoDB's error codes.
_NAMESPACE_NOT_FOUND: Final = 26
_DUPLICATE_KEY: Final = 11000
_CONFLICTS: Final = frozenset({85, 86})
_OUT_OF_DISK_SPACE: Final = 14031
_UNAUTHORIZED: Final = 13
#: Options that are compared beside the name and the fields.
_OPTIONS: Final = ("unique", "sparse", "partialFilterExpression", "expireAfterSeconds")

#: The deployment's own accounts have no ``account``; the provider identifies them.
DUE_FIELDS: Final = [
    ("provider", ASCENDING),
    ("account", ASCENDING),
    ("due_at", ASCENDING),
]
PAYMENT_INDEXES: Final = [
    IndexModel(
        # The idempotency keys of the payment and of its later operations.
        [("merchant", ASCENDING), ("mode", ASCENDING), ("keys", ASCENDING)],
        name="keys",
        unique=True,
    ),
    IndexModel(
        [
            ("merchant", ASCENDING),
            ("mode", ASCENDING),
            ("blocked_reference", ASCENDING),
        ],
        name="blocked_reference",
        unique=True,
        partialFilterExpression={"blocked_reference": {"$exists": True}},
    ),
    IndexModel(
        # Ordered by account first, so that no backlog delays another account.
        DUE_FIELDS,
        name="lines",
        partialFilterExpression={"due_at": {"$exists": True}},
    ),
    # One entry per movement of money; payments without one have no entry.
    IndexModel([("moved_at", ASCENDING)], name="moved", sparse=True),
    IndexModel(
        [("open", ASCENDING), ("provider", ASCENDING), ("due_at", ASCENDING)],
        name="open",
        partialFilterExpression={"open": {"$exists": True}},
    ),
    IndexModel(
        # Payments of all merchants that wait for an operator.
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
        # For lists by provider, by status, or by both. A list by one of them names all
        # values of the other, and MongoDB merges the ranges in the order of the ids.
        [
            ("merchant", ASCENDING),
            ("mode", ASCENDING),
            ("provider", ASCENDING),
            ("status", ASCENDING),
            ("_id", DESCENDING),
        ],
        name="listed",
    ),
    # These two have entries of disputed payments alone.
    IndexModel([("disputes.ref", ASCENDING)], name="disputes", sparse=True),
    IndexModel(
        [("merchant", ASCENDING), ("mode", ASCENDING), ("_id", DESCENDING)],
        name="disputed",
        partialFilterExpression={"disputes": {"$exists": True}},
    ),
]
WORKER_INDEXES: Final = [
    # Removes workers without a heartbeat.
    IndexModel([("at", ASCENDING)], name="gone", expireAfterSeconds=600)
]
ACCOUNT_INDEXES: Final = [
    IndexModel([("merchant", ASCENDING), ("mode", ASCENDING)], name="merchant"),
    # Finds the account of a Connect event.
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
    # Differences of our payments stay on their timelines.
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
        [("replay", ASCENDING), ("outcome", ASCENDING), ("number", ASCENDING)],
        name="left",
    ),
    # The payments' timelines and the set's totals stay.
    IndexModel([("at", ASCENDING)], name="old", expireAfterSeconds=90 * 86_400),
]
WEBHOOK_INDEXES: Final = [
    IndexModel(
        [("due_at", ASCENDING)],
        name="due",
        partialFilterExpression={"due_at": {"$exists": True}},
    ),
    IndexModel(
        [("mode", ASCENDING), ("status", ASCENDING), ("received_at", DESCENDING)],
        name="status",
    ),
    # Longer than providers allow an event to be requested again.
    IndexModel(
        [("received_at", ASCENDING)], name="old", expireAfterSeconds=90 * 86_400
    ),
]
FAULT_INDEXES: Final = [
    IndexModel(
        [("collection", ASCENDING), ("until", DESCENDING)],
        name="waiting",
        partialFilterExpression={"until": {"$exists": True}},
    ),
    IndexModel([("forget_at", ASCENDING)], name="old", expireAfterSeconds=0),
]
#: The indexes of each collection.
INDEXES: Final[Mapping[str, Sequence[IndexModel]]] = {
    "payments": PAYMENT_INDEXES,
    "workers": WORKER_INDEXES,
    "accounts": ACCOUNT_INDEXES,
    "api_keys": KEY_INDEXES,
    "replays": REPLAY_INDEXES,
    "replay_items": ITEM_INDEXES,
    "webhooks": WEBHOOK_INDEXES,
    "reconciliations": RECONCILIATION_INDEXES,
    "reconciliation_differences": DIFFERENCE_INDEXES,
    "document_faults": FAULT_INDEXES,
}


class IndexNotBuilt(PaymentsError):
    """An index of the database could not be built."""

    code = "index_not_built"


@dataclass(frozen=True, slots=True)
class Index:
    """The name of an index and its collection."""

    collection: str
    name: str
    unique: bool = False  #: payments are not safe without it

    def __str__(self) -> str:
        return f"{self.collection}.{self.name}"

    @property
    def drop(self) -> str:
        """The command of MongoDB's shell that removes it."""
        return f'db.{self.collection}.dropIndex("{self.name}")'


@dataclass(frozen=True, slots=True)
class IndexComparison:
    """A database's indexes compared with those of this version."""

    missing: tuple[Index, ...]  #: absent, under construction, or with other fields
    building: tuple[Index, ...]
    unwanted: tuple[Index, ...]  #: made by an older version or a person


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """The progress of a build of a collection's indexes."""

    indexes: tuple[Index, ...]
    done_count: int  #: documents or keys of the current phase
    total: int  #: 0 if the server does not report it
    seconds: float  #: since this process began to wait

    @property
    def description(self) -> str:
        """Like ``payments.keys, payments.open: 41%, 52,000 entries a second``."""
        names = ", ".join(map(str, self.indexes))
        if not self.total:
            return f"{names}: under construction for {self.seconds:.0f} s"
        rate = self.done_count / self.seconds
        return (
            f"{names}: {self.done_count / self.total:.0%}, {rate:,.0f} entries a second"
        )


def list_wanted() -> list[Index]:
    """Every index of INDEXES."""
    return [_index(name, model) for name, models in INDEXES.items() for model in models]


def compare_indexes(database: Database[Document]) -> IndexComparison:
    """Compares the database's indexes with INDEXES. Raises StoreUnavailable."""
    missing, building, unwanted = list[Index](), list[Index](), list[Index]()
    for collection, models in INDEXES.items():
        found = _read_indexes(database, collection)
        for model in models:
            index = _index(collection, model)
            known = found.pop(index.name, None)
            under_way = known is not None and "buildUUID" in known
            if known is None or under_way or not _is_same(known, model):
                missing.append(index)
            if under_way:
                building.append(index)
        unwanted += [Index(collection, name) for name in found if name != "_id_"]
    return IndexComparison(tuple(missing), tuple(building), tuple(unwanted))


class UniqueIndexes:
    """Checks for the indexes that prevent two payments for one intent."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._seen = False

    def is_complete(self) -> bool:
        """Reads the database until they exist. Raises StoreUnavailable."""
        if not self._seen:
            missing = compare_indexes(self._database).missing
            self._seen = not any(one.unique for one in missing)
        return self._seen


def create_indexes(
    database: Database[Document],
    *,
    on_progress: Callable[[BuildProgress], None] = lambda _: None,
    unique: bool | None = None,
) -> list[Index]:
    """Builds every missing index and returns them.

    ``unique`` limits it to the unique indexes (True) or to the others (False). Several
    processes may build at the same time. A failed index does not stop the others.
    Raises StoreUnavailable if the database does not answer, and IndexNotBuilt with the
    fault of each failed index.
    """
    missing = {
        one
        for one in compare_indexes(database).missing
        if unique is None or one.unique is unique
    }
    faults = list[str]()
    for collection, models in INDEXES.items():
        for is_unique in (True, False):
            to_build = {
                index: model
                for model in models
                if (index := _index(collection, model)) in missing
                and index.unique is is_unique
            }
            if to_build:
                faults += _build(database, to_build, on_progress)
    if faults:
        raise IndexNotBuilt(" ".join(faults))
    return sorted(missing, key=str)


def _build(
    database: Database[Document],
    wanted: Mapping[Index, IndexModel],
    on_progress: Callable[[BuildProgress], None],
) -> list[str]:
    """Builds indexes of one collection in one scan, or singly if that fails.

    Returns the faults of those that cannot be built.
    """
    for _ in range(MAX_TRIES):
        try:
            _build_together(database, wanted, on_progress)
            return []
        except (ConnectionFailure, OperationFailure) as error:
            failure = error
        if not _is_transient(failure):
            break
        _await_primary(database)
    if len(wanted) > 1:
        return [
            fault
            for index, model in wanted.items()
            for fault in _build(database, {index: model}, on_progress)
        ]
    [(index, model)] = wanted.items()
    return [_describe_failure(index, model, failure)]


def _await_primary(database: Database[Document]) -> None:
    """Raises StoreUnavailable without a primary for PRIMARY_TIMEOUT."""
    until = time.monotonic() + PRIMARY_TIMEOUT
    while time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        try:
            if ping(database).get("isWritablePrimary"):
                return
        except StoreUnavailable:
            continue
    raise StoreUnavailable


def _build_together(
    database: Database[Document],
    wanted: Mapping[Index, IndexModel],
    on_progress: Callable[[BuildProgress], None],
) -> None:
    """Builds in a thread and reports its progress; the process can end at any time."""
    indexes, began = tuple(wanted), time.monotonic()
    ended: Queue[PyMongoError | None] = Queue()

    def build() -> None:
        try:
            with pymongo.timeout(BUILD_TIMEOUT.total_seconds()):
                # A member that is down does not delay the build.
                database[indexes[0].collection].create_indexes(
                    list(wanted.values()), commitQuorum="majority"
                )
        except PyMongoError as error:
            ended.put(error)
        else:
            ended.put(None)

    threading.Thread(target=build, name="indexes", daemon=True).start()
    while True:
        try:
            error = ended.get(timeout=POLL_SECONDS)
        except Empty:
            done, total = _read_progress(database, indexes)
            on_progress(BuildProgress(indexes, done, total, time.monotonic() - began))
            continue
        if error is not None:
            raise error
        return


def _read_progress(
    database: Database[Document], indexes: Sequence[Index]
) -> tuple[int, int]:
    """The build's done and total counts; zeros if the server does not report them."""
    building = {
        "command.createIndexes": indexes[0].collection,
        "command.$db": database.name,
        "progress.total": {"$gt": 0},
    }
    query: list[Document] = [{"$currentOp": {"allUsers": True}}, {"$match": building}]
    try:
        for one in database.client.admin.aggregate(query):
            return one["progress"]["done"], one["progress"]["total"]
    except PyMongoError:
        pass
    return 0, 0


def _is_transient(error: PyMongoError) -> bool:
    """Whether the error concerns the replica set, as in an election, not the index."""
    if isinstance(error, ConnectionFailure):
        return True
    return isinstance(error, OperationFailure) and error.code in TRANSIENT


def _describe_failure(index: Index, model: IndexModel, error: PyMongoError) -> str:
    """Describes a failed build and its remedy, without values of documents."""
    code = error.code if isinstance(error, OperationFailure) else None
    fields = ", ".join(model.document["key"])
    if code == _DUPLICATE_KEY:
        return (
            f"The unique index {index} cannot be built: documents have the same"
            f" {fields}. Find them and decide which one stays."
        )
    if code in _CONFLICTS:
        return (
            f"The index {index} ({fields}) cannot be built: the database has one of"
            " this name, or of these fields, with other options. Compare"
            f" db.{index.collection}.getIndexes(), and drop the old one: {index.drop}"
        )
    if code == _OUT_OF_DISK_SPACE:
        return f"The index {index} cannot be built: the database's disk is full."
    if code == _UNAUTHORIZED:
        return (
            f"The index {index} cannot be built: the database's user may not do so;"
            " it needs the role readWrite."
        )
    details = error.details if isinstance(error, OperationFailure) else None
    name = (details or {}).get("codeName") or type(error).__name__
    return f"The index {index} ({fields}) cannot be built: {name} ({code})."


def _read_indexes(database: Database[Document], collection: str) -> dict[str, Document]:
    """The specifications of a collection's indexes, by name.

    An index under construction has a ``buildUUID``.
    """
    query = {"listIndexes": collection, "includeBuildUUIDs": True}
    with translating_errors():
        try:
            answer = database.command(query, cursor={"batchSize": 1000})
        except OperationFailure as error:
            if error.code != _NAMESPACE_NOT_FOUND:
                raise
            return {}
    listed = answer["cursor"]["firstBatch"]
    found = [{**one, **one.get("spec", {})} for one in listed]
    return {one["name"]: one for one in found}


def _is_same(found: Mapping[str, Any], model: IndexModel) -> bool:
    """Whether an index has the ordered fields and the options of ``model``."""
    wanted = model.document
    if list(found["key"].items()) != list(wanted["key"].items()):
        return False
    return all(found.get(name) == wanted.get(name) for name in _OPTIONS)


def _index(collection: str, model: IndexModel) -> Index:
    document = model.document
    return Index(collection, document["name"], document.get("unique", False))
