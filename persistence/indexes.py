"""The indexes: which there are, which are missing, and how they are built.

MongoDB builds an index while the collection is read and written. A build belongs to the
server: it goes on where the client that asked for it is gone, and a second request for
the same index joins it.
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

#: Longest build that is waited for. MongoDB aborts a build at the time limit of the
#: request, so this one is no operation's: a terabyte is scanned in hours.
BUILD_TIMEOUT: Final = timedelta(days=7)
#: Seconds between two looks at how far a build is.
POLL_SECONDS: Final = 0.5
#: Seconds without a primary after which building is given up: an election takes a few.
PRIMARY_TIMEOUT: Final = 60.0

#: Builds of one index that an election may interrupt before it is given up.
MAX_TRIES: Final = 10

#: MongoDB's error codes.
_NAMESPACE_NOT_FOUND: Final = 26
_DUPLICATE_KEY: Final = 11000
_CONFLICTS: Final = frozenset({85, 86})
_OUT_OF_DISK_SPACE: Final = 14031
_UNAUTHORIZED: Final = 13
#: What two indexes of one name may differ in beside their fields.
_OPTIONS: Final = ("unique", "sparse", "partialFilterExpression", "expireAfterSeconds")

#: The deployment's own accounts are told apart by their provider alone.
DUE_FIELDS: Final = [
    ("provider", ASCENDING),
    ("account", ASCENDING),
    ("due_at", ASCENDING),
]
PAYMENT_INDEXES: Final = [
    IndexModel(
        # Of the payment and of all that was asked of it since.
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
        # A line for each account: a backlog of one stands before nobody of another.
        DUE_FIELDS,
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
        # For lists of one provider, of one status, or of both: a list of one of them
        # names each of the other, and MongoDB merges them in the order of the ids.
        [
            ("merchant", ASCENDING),
            ("mode", ASCENDING),
            ("provider", ASCENDING),
            ("status", ASCENDING),
            ("_id", DESCENDING),
        ],
        name="listed",
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
        [("replay", ASCENDING), ("outcome", ASCENDING), ("number", ASCENDING)],
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
        [("mode", ASCENDING), ("status", ASCENDING), ("received_at", DESCENDING)],
        name="status",
    ),
    # Longer than providers let an event be asked for again.
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
    """The place of one index."""

    collection: str
    name: str
    unique: bool = False  #: no payment is safe without it

    def __str__(self) -> str:
        return f"{self.collection}.{self.name}"

    @property
    def drop(self) -> str:
        """The command of MongoDB's shell that removes it."""
        return f'db.{self.collection}.dropIndex("{self.name}")'


@dataclass(frozen=True, slots=True)
class IndexComparison:
    """The indexes of a database beside those that this version wants."""

    missing: tuple[Index, ...]  #: or under construction, or of other fields
    building: tuple[Index, ...]
    unwanted: tuple[Index, ...]  #: an older version's, or a person's


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far the build of a collection's indexes is."""

    indexes: tuple[Index, ...]
    done_count: int  #: documents, or keys, of this phase
    total: int  #: 0 where the server does not say
    seconds: float  #: since this process waits for it

    @property
    def description(self) -> str:
        """``payments.keys, payments.blocked_reference: 41 %, 52,000 documents a
        second``.
        """
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
    """Whether those indexes are there that keep one intent from two payments."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._seen = False

    def is_complete(self) -> bool:
        """Asks until they are there, and never again. Raises StoreUnavailable."""
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
    """Builds every index that is missing and returns these; only the ``unique`` ones,
    or only the others, where that is given.

    Any number of processes may do so at once. An index that cannot be built does not
    keep the others from it. Raises StoreUnavailable where the database does not
    answer, and IndexNotBuilt, which names each index and what is wrong with it.
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
    """Builds indexes of one collection in one scan, and each alone where that fails;
    says what is wrong with those that cannot be built."""
    for _ in range(MAX_TRIES):
        try:
            _build_together(database, wanted, on_progress)
            return []
        except (ConnectionFailure, OperationFailure) as error:
            failed = error
        if not _is_transient(failed):
            break
        _await_primary(database)
    if len(wanted) > 1:
        return [
            fault
            for index, model in wanted.items()
            for fault in _build(database, {index: model}, on_progress)
        ]
    [(index, model)] = wanted.items()
    return [_describe_failure(index, model, failed)]


def _await_primary(database: Database[Document]) -> None:
    """Raises StoreUnavailable where there is none for PATIENCE."""
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
    """Waits for the build in a thread, so that its progress can be told meanwhile, and
    so that this process can end at any time."""
    indexes, began = tuple(wanted), time.monotonic()
    ended: Queue[PyMongoError | None] = Queue()

    def build() -> None:
        try:
            with pymongo.timeout(BUILD_TIMEOUT.total_seconds()):
                # A member that is down does not hold the build up.
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
    """What the server says of the build; zeros where it says nothing, or may not."""
    building = {
        "command.createIndexes": indexes[0].collection,
        "command.$db": database.name,
        "progress.total": {"$gt": 0},
    }
    asked: list[Document] = [{"$currentOp": {"allUsers": True}}, {"$match": building}]
    try:
        for one in database.client.admin.aggregate(asked):
            return one["progress"]["done"], one["progress"]["total"]
    except PyMongoError:
        pass
    return 0, 0


def _is_transient(error: PyMongoError) -> bool:
    """Whether it is the set's trouble, such as an election, and no index's."""
    if isinstance(error, ConnectionFailure):
        return True
    return isinstance(error, OperationFailure) and error.code in TRANSIENT


def _describe_failure(index: Index, model: IndexModel, error: PyMongoError) -> str:
    """What is wrong, and what to do; never a value of a document."""
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
    """The specifications of a collection's indexes by name, those under construction
    included; these have a ``buildUUID`` beside."""
    asked = {"listIndexes": collection, "includeBuildUUIDs": True}
    with translating_errors():
        try:
            answer = database.command(asked, cursor={"batchSize": 1000})
        except OperationFailure as error:
            if error.code != _NAMESPACE_NOT_FOUND:
                raise
            return {}
    listed = answer["cursor"]["firstBatch"]
    found = [{**one, **one.get("spec", {})} for one in listed]
    return {one["name"]: one for one in found}


def _is_same(found: Mapping[str, Any], model: IndexModel) -> bool:
    """Whether an index has the fields, in their order, and options of ``model``."""
    wanted = model.document
    if list(found["key"].items()) != list(wanted["key"].items()):
        return False
    return all(found.get(name) == wanted.get(name) for name in _OPTIONS)


def _index(collection: str, model: IndexModel) -> Index:
    document = model.document
    return Index(collection, document["name"], document.get("unique", False))
