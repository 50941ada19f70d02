"""Seals every stored field anew after an encryption key was added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pymongo import ASCENDING, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from domain.errors import PaymentsError
from persistence import accounts, codec, webhooks
from persistence.codec import Document
from persistence.encryption import Vault
from persistence.legacy_encryption import OldSeals, is_old, upgrade_document
from persistence.mongo import translating_errors

#: Documents read and written at once.
BATCH: Final = 200
#: What has sealed fields, and what changes with each write of them. A webhook's body
#: never does, so it is its own.
FENCES: Final = {"payments": "version", "webhooks": "body", "accounts": "version"}


@dataclass(frozen=True, slots=True)
class RotationPass:
    """What going over all documents once came to, by collection."""

    resealed: Counter[str] = field(default_factory=Counter)
    #: Written by others meanwhile: the next pass has them.
    moved: Counter[str] = field(default_factory=Counter)
    #: An earlier release's, and left so.
    old: Counter[str] = field(default_factory=Counter)
    #: Could not be opened or written: collection, id, and why.
    failed: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def is_last(self) -> bool:
        """Whether another pass would find nothing to do."""
        return not self.resealed.total() and not self.moved.total()


def reseal(
    database: Database[Document],
    vaults: Mapping[str, Vault],
    *,
    old: OldSeals | None = None,
    progress: Callable[[int], None],
) -> RotationPass:
    """Goes over all payments, webhooks and accounts once; ``vaults`` by collection.

    With ``old``, documents of earlier releases are made ones of this. One that cannot
    be opened or written is told of and left as it is, and the rest goes on. A payment
    that moves meanwhile is left to the next pass: its worker may have sealed it with
    either key. ``progress`` is told how many were read. Raises StoreUnavailable; what
    was done by then stays done.
    """
    done = RotationPass()
    for name in FENCES:
        after = ""
        while batch := _batch(database[name], after):
            after = batch[-1]["_id"]
            _reseal(database[name], batch, vaults[name], old, done)
            progress(len(batch))
    return done


def _reseal(
    collection: Collection[Document],
    batch: list[Document],
    vault: Vault,
    old: OldSeals | None,
    done: RotationPass,
) -> None:
    name, writes = collection.name, dict[str, UpdateOne]()
    for document in batch:
        if old is None and is_old(name, document):
            done.old[name] += 1
            continue
        try:
            update = _update(name, document, vault, old)
        except (PaymentsError, LookupError, TypeError, ValueError) as error:
            done.failed.append((name, document["_id"], type(error).__name__))
            continue
        if update:
            fence = FENCES[name]
            wanted = {"_id": document["_id"], fence: document[fence]}
            writes[document["_id"]] = UpdateOne(wanted, update)
    if not writes:
        return
    with translating_errors():
        try:
            matched = collection.bulk_write(
                list(writes.values()), ordered=False
            ).matched_count
            refused: list[Any] = []
        except BulkWriteError as error:
            if error.details.get("writeConcernErrors"):
                raise
            matched, refused = error.details["nMatched"], error.details["writeErrors"]
    ids = list(writes)
    for one in refused:
        why = f"MongoDB's error {one['code']}"
        done.failed.append((name, ids[one["index"]], why))
    done.resealed[name] += matched
    done.moved[name] += len(writes) - matched - len(refused)


def _update(
    name: str, document: Document, vault: Vault, old: OldSeals | None
) -> Document | None:
    """None where nothing is left to do."""
    if old is not None and is_old(name, document):
        return upgrade_document(name, document, old, vault)
    fields = {
        field: vault.seal(vault.open(document[field], *place), *place)
        for field, place in _seal_bindings(name, document).items()
        if not vault.is_current(document[field])
    }
    return {"$set": fields} if fields else None


def _seal_bindings(name: str, document: Document) -> dict[str, tuple[str, ...]]:
    """The sealed fields that a document has, and what each is bound to."""
    if name == "payments":
        fields = [one for one in (codec.PERSONAL, codec.PROVIDER) if one in document]
        return {one: codec.document_binding(document, one) for one in fields}
    if name == "accounts":
        return {accounts.CREDENTIALS: accounts.seal_binding(document)}
    return {"body": webhooks.seal_binding(document)}


def _batch(collection: Collection[Document], after: str) -> list[Document]:
    with translating_errors():
        found = collection.find({"_id": {"$gt": after}}, {"timeline": 0})
        return list(found.sort("_id", ASCENDING).limit(BATCH))
