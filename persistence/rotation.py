"""Seals every stored field anew after an encryption key was added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from pymongo import ASCENDING, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database

from persistence.codec import Document, resealed
from persistence.keyring import reseal_check
from persistence.mongo import answering
from persistence.vault import Vault

#: Documents read and written at once.
BATCH: Final = 200


#: What has sealed fields, and what changes with each write of them. A webhook's body
#: never does, so it is its own.
FENCES: Final = {"payments": "version", "webhooks": "body", "accounts": "version"}


def reseal(
    database: Database[Document], vault: Vault, *, progress: Callable[[int], None]
) -> Counter[str]:
    """Goes over all payments, webhooks and accounts once; returns how many of each were
    sealed anew.

    A payment that moves meanwhile is left to the next pass: its worker may have sealed
    it with either key. ``progress`` is told how many were read. Raises
    StoreUnavailable, and KeyMissing where a field cannot be opened; what was done by
    then stays done.
    """
    reseal_check(database, vault)
    return +Counter(
        {
            name: _resealed(database[name], fence, vault, progress)
            for name, fence in FENCES.items()
        }
    )


def _resealed(
    collection: Collection[Document],
    fence: str,
    vault: Vault,
    progress: Callable[[int], None],
) -> int:
    after, changed = "", 0
    while batch := _batch(collection, after):
        after = batch[-1]["_id"]
        writes = [
            UpdateOne(
                {"_id": document["_id"], fence: document[fence]}, {"$set": fields}
            )
            for document in batch
            if (fields := resealed(document, vault))
        ]
        if writes:
            with answering():
                collection.bulk_write(writes, ordered=False)
        changed += len(writes)
        progress(len(batch))
    return changed


def _batch(collection: Collection[Document], after: str) -> list[Document]:
    with answering():
        found = collection.find({"_id": {"$gt": after}}, {"timeline": 0})
        return list(found.sort("_id", ASCENDING).limit(BATCH))
