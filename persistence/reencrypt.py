"""Reseals every stored field after an encryption key was added."""

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
#: The collections with sealed fields, and the field that changes with each write of a
#: document. A webhook's body never changes, so it is compared itself.
FENCES: Final = {"payments": "version", "webhooks": "body", "accounts": "version"}


@dataclass(frozen=True, slots=True)
class RotationPass:
    """The counts of one pass over all documents, by collection."""

    resealed: Counter[str] = field(default_factory=Counter)
    #: Written by others meanwhile and left for the next pass.
    moved: Counter[str] = field(default_factory=Counter)
    #: Of an earlier release and left unchanged.
    old: Counter[str] = field(default_factory=Counter)
    #: Not opened or not written: collection, id and reason.
    failed: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def is_last(self) -> bool:
        """Whether another pass would change nothing."""
        return not self.resealed.total() and not self.moved.total()


def reseal(
    database: Database[Document],
    vaults: Mapping[str, Vault],
    *,
    old: OldSeals | None = None,
    progress: Callable[[int], None],
) -> RotationPass:
    """Makes one pass over all payments, webhooks and accounts.

    ``vaults`` are by collection.

    With ``old``, documents of earlier releases are upgraded. A document that cannot be
    opened or written is counted and left unchanged. A payment that changes meanwhile is
    left for the next pass: its worker may have used either key. ``progress`` receives
    the number of documents of each batch. Raises StoreUnavailable; documents written
    before stay resealed.
    """
    result = RotationPass()
    for name in FENCES:
        after = ""
        while batch := _read_batch(database[name], after):
            after = batch[-1]["_id"]
            _reseal_batch(database[name], batch, vaults[name], old, result)
            progress(len(batch))
    return result


def _reseal_batch(
    collection: Collection[Document],
    batch: list[Document],
    vault: Vault,
    old: OldSeals | None,
    result: RotationPass,
) -> None:
    name, writes = collection.name, dict[str, UpdateOne]()
    for document in batch:
        if old is None and is_old(name, document):
            result.old[name] += 1
            continue
        try:
            update = _reseal_update(name, document, vault, old)
        except (PaymentsError, LookupError, TypeError, ValueError) as error:
            result.failed.append((name, document["_id"], type(error).__name__))
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
    for refusal in refused:
        reason = f"MongoDB's error {refusal['code']}"
        result.failed.append((name, ids[refusal["index"]], reason))
    result.resealed[name] += matched
    result.moved[name] += len(writes) - matched - len(refused)


def _reseal_update(
    name: str, document: Document, vault: Vault, old: OldSeals | None
) -> Document | None:
    """The update that reseals a document; None if every seal is current."""
    if old is not None and is_old(name, document):
        return upgrade_document(name, document, old, vault)
    fields = {
        field: vault.seal(vault.open(document[field], *binding), *binding)
        for field, binding in _seal_bindings(name, document).items()
        if not vault.is_current(document[field])
    }
    return {"$set": fields} if fields else None


def _seal_bindings(name: str, document: Document) -> dict[str, tuple[str, ...]]:
    """The bindings of a document's sealed fields."""
    if name == "payments":
        fields = [one for one in (codec.PERSONAL, codec.PROVIDER) if one in document]
        return {one: codec.document_binding(document, one) for one in fields}
    if name == "accounts":
        return {accounts.CREDENTIALS: accounts.seal_binding(document)}
    return {"body": webhooks.seal_binding(document)}


def _read_batch(collection: Collection[Document], after: str) -> list[Document]:
    with translating_errors():
        found = collection.find({"_id": {"$gt": after}}, {"timeline": 0})
        return list(found.sort("_id", ASCENDING).limit(BATCH))
