"""Payments in MongoDB, for the durable peers: each write waits for the journal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pymongo import MongoClient, ReturnDocument
from pymongo.errors import DuplicateKeyError
from pymongo.write_concern import WriteConcern

from bench.peers.service import COLLECTION, DATABASE

#: Milliseconds for one operation, and the most connections of a process.
TIMEOUT: Final = 4000
CONNECTIONS: Final = 100

client: MongoClient[dict[str, Any]] = MongoClient(
    os.environ["PEER_MONGO_URL"],
    maxPoolSize=CONNECTIONS,
    connectTimeoutMS=1000,
    timeoutMS=TIMEOUT,
)
#: With the durability of the product's writes.
payments = client[DATABASE].get_collection(
    COLLECTION, write_concern=WriteConcern("majority", j=True)
)


def new_document(operation_id: str, payment: Mapping[str, Any]) -> dict[str, Any]:
    """The document of an accepted payment."""
    now = datetime.now(UTC)
    times = {"created_at": now, "updated_at": now}
    return {"_id": operation_id, **payment, "status": "processing", **times}


def insert(operation_id: str, payment: Mapping[str, Any]) -> None:
    """Stores an accepted payment; a repeated request changes nothing."""
    try:
        payments.insert_one(new_document(operation_id, payment))
    except DuplicateKeyError:
        pass  # the first request has stored it


def claim(operation_id: str) -> dict[str, Any] | None:
    """Records that the payment is sent; None if it has an outcome already."""
    return payments.find_one_and_update(
        {"_id": operation_id, "status": "processing"},
        {"$set": {"sent_at": datetime.now(UTC)}, "$inc": {"attempts": 1}},
        return_document=ReturnDocument.AFTER,
    )


def settle(operation_id: str, outcome: Mapping[str, Any]) -> None:
    """Stores the outcome."""
    fields = {**outcome, "updated_at": datetime.now(UTC)}
    payments.update_one({"_id": operation_id}, {"$set": fields})
