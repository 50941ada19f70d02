"""PaymentStore on MongoDB: one document a payment, compare and set by version."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from bson import ObjectId
from pymongo import DESCENDING, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from application.ports import Query, Scope
from domain.errors import PaymentsError, StoreUnavailable
from domain.payment import BELL_GRACE, LEASE, Event, Payment
from domain.states import OWED
from persistence.codec import (
    Document,
    decode,
    decode_event,
    encode,
    news,
    progress,
)
from domain.submission import Mode
from persistence.mongo import answering
from persistence.vault import Vault

log = logging.getLogger(__name__)

_DUPLICATE_KEY: Final = 11000
_MILLISECONDS: Final = 1000
_OWED: Final = {state.value for state in OWED}

#: The server's clock plus some milliseconds: leases are never measured by a worker's.
_LEASE_ENDS: Final = {"$add": ["$$NOW", int(LEASE.total_seconds() * _MILLISECONDS)]}
#: The grace is for new payments and retries; a lease that somebody holds has none.
_CLAIMABLE_UNTIL: Final = {
    "$add": [
        "$$NOW",
        {
            "$cond": [
                {"$gt": ["$holder", None]},
                0,
                int(BELL_GRACE.total_seconds() * _MILLISECONDS),
            ]
        },
    ]
}


class MongoPayments:
    """``holder`` names this process on the leases it takes.

    ``mode`` is the one it works in: it never sees another's work that is due, for that
    would go to the wrong account.
    """

    def __init__(
        self,
        database: Database[Document],
        vault: Vault,
        *,
        holder: str,
        mode: Mode = Mode.TEST,
    ) -> None:
        self._mode = mode.value
        self._payments = database.payments
        self._vault = vault
        self._holder = holder

    def insert_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """See PaymentStore."""
        documents = [self._encoded(payment) for payment in payments]
        return [known(one) for one in self._insert(payments, documents)]

    def _encoded(self, payment: Payment) -> Document:
        return encode(payment, self._vault)

    def _insert(
        self, payments: Sequence[Payment], documents: Sequence[Document]
    ) -> list[Payment | PaymentsError]:
        """Inserts ``documents``, which are the ``payments``, encoded.

        What goes wrong with the earlier payment of one key stands in its place.
        """
        if not payments:
            return []
        taken: set[int] = set()
        with answering():
            try:
                self._payments.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                taken = _duplicates(error)
        return [
            self._earlier(payment) if place in taken else _told(payment)
            for place, payment in enumerate(payments)
        ]

    def load_due(self, ids: Sequence[str]) -> list[Payment]:
        """See PaymentStore. One that cannot be read is put off, and reported."""
        due = {
            "_id": {"$in": list(ids)},
            "mode": self._mode,
            "due_at": {"$type": "date"},
            "$expr": {"$lte": ["$due_at", _CLAIMABLE_UNTIL]},
        }
        payments, unreadable = [], []
        for document in self._find(due):
            try:
                payments.append(decode(document, self._vault))
            except (PaymentsError, LookupError, TypeError, ValueError) as error:
                unreadable.append(document["_id"])
                why = {"payment": document["_id"], "error": type(error).__name__}
                log.error("payment_unreadable", extra=why)
        if unreadable:
            self._put_off(unreadable)
        return payments

    def claim_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """See PaymentStore."""
        return self._write(payments, self._claim)

    def settle_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """See PaymentStore."""
        return self._write(payments, self._settle)

    def renew(self, ids: Sequence[str]) -> None:
        """See PaymentStore."""
        with answering():
            self._payments.update_many(
                {"_id": {"$in": list(ids)}, "holder": self._holder},
                [{"$set": {"due_at": _LEASE_ENDS}}],
            )

    def due_ids(self, limit: int) -> list[str]:
        """See PaymentStore."""
        due = {
            "mode": self._mode,
            "due_at": {"$type": "date"},
            "$expr": {"$lte": ["$due_at", "$$NOW"]},
        }
        with answering():
            found = self._payments.find(due, {"_id": 1}, sort=[("due_at", 1)])
            return [document["_id"] for document in found.limit(limit)]

    def get(self, scope: Scope, payment_id: str) -> Payment | None:
        """See PaymentStore."""
        found = self._read({"_id": payment_id, **_of(scope)})
        return found[0] if found else None

    def page(self, scope: Scope, query: Query) -> list[Payment]:
        """See PaymentStore."""
        wanted: Document = _of(scope)
        if query.status is not None:
            wanted["status"] = query.status.value
        if query.provider is not None:
            wanted["provider"] = query.provider.value
        if query.reference is not None:
            wanted["reference"] = query.reference
        created = {"$gte": query.created_from, "$lt": query.created_before}
        if any(created.values()):
            wanted["created_at"] = {op: at for op, at in created.items() if at}
        if query.before is not None:
            wanted["_id"] = {"$lt": query.before}
        return self._read(wanted, limit=query.limit)

    def timeline(self, scope: Scope, payment_id: str) -> list[Event] | None:
        """See PaymentStore."""
        with answering():
            found = self._payments.find_one(
                {"_id": payment_id, **_of(scope)}, {"timeline": 1}
            )
        if found is None:
            return None
        return [decode_event(event) for event in found["timeline"]]

    def versions(self, ids: Sequence[str]) -> Mapping[str, tuple[int, bool]]:
        """See PaymentStore."""
        with answering():
            found = self._payments.find(
                {"_id": {"$in": list(ids)}}, {"version": 1, "open": 1}
            )
            return {
                one["_id"]: (one["version"], one.get("open") not in _OWED)
                for one in found
            }

    def _read(self, wanted: Mapping[str, Any], limit: int = 0) -> list[Payment]:
        return [decode(document, self._vault) for document in self._find(wanted, limit)]

    def _find(self, wanted: Mapping[str, Any], limit: int = 0) -> list[Document]:
        with answering():
            found = self._payments.find(wanted, {"timeline": 0}).limit(limit)
            return list(found.sort("_id", DESCENDING) if limit else found)

    def _put_off(self, ids: Sequence[str]) -> None:
        """Work is still owed, but it shall not stand in the way of others'."""
        with answering():
            self._payments.update_many(
                {"_id": {"$in": list(ids)}, "due_at": {"$type": "date"}},
                [{"$set": {"due_at": _LEASE_ENDS}}],
            )

    def _earlier(self, payment: Payment) -> Payment | PaymentsError:
        """What is stored under this key, by an earlier request or by our own retry."""
        wanted = _of(Scope(payment.merchant, payment.mode))
        wanted["idempotency_key"] = payment.idempotency_key
        try:
            found = self._read(wanted)
        except PaymentsError as error:
            return error
        not_yet = StoreUnavailable("the earlier payment is not committed yet")
        return found[0] if found else not_yet

    def _write(
        self,
        payments: Sequence[Payment],
        update: Callable[[Payment, ObjectId], UpdateOne],
    ) -> list[Payment]:
        """Those of ``payments`` whose write met the version it was made for.

        The mark tells our write from any other of the same version, our own process's
        included; it is looked for only where some write met nothing.
        """
        mark, updates = ObjectId(), {}
        for payment in payments:
            try:
                updates[payment.id] = update(payment, mark)
            except (PaymentsError, TypeError, ValueError):  # it alone cannot be sealed
                log.exception("step_not_encoded", extra={"payment": payment.id})
        if not updates:
            return []
        with answering():
            result = self._payments.bulk_write(list(updates.values()), ordered=False)
            ids = list(updates)
            if result.matched_count == len(payments):
                return [_written(payment) for payment in payments]
            marked = self._payments.find(
                {"_id": {"$in": ids}, "mark": mark}, {"_id": 1}
            )
            ours = {document["_id"] for document in marked}
        return [_written(payment) for payment in payments if payment.id in ours]

    def _claim(self, payment: Payment, mark: ObjectId) -> UpdateOne:
        """A pipeline, for ``$$NOW``; values are marked so that none is a formula."""
        fields = {
            name: "$$REMOVE" if value is None else {"$literal": value}
            for name, value in self._step(payment, mark).items()
        }
        if not payment.settled:
            fields |= {"due_at": _LEASE_ENDS, "holder": {"$literal": self._holder}}
        told = {"$concatArrays": ["$timeline", {"$literal": news(payment)}]}
        return UpdateOne(
            {"_id": payment.id, "version": payment.version},
            [{"$set": {**fields, "timeline": told}}],
        )

    def _settle(self, payment: Payment, mark: ObjectId) -> UpdateOne:
        fields = self._step(payment, mark)
        return UpdateOne(
            {"_id": payment.id, "version": payment.version},
            {
                "$set": {k: v for k, v in fields.items() if v is not None},
                "$unset": {k: "" for k, v in fields.items() if v is None},
                "$push": {"timeline": {"$each": news(payment)}},
            },
        )

    def _step(self, payment: Payment, mark: ObjectId) -> Document:
        """Every field that a step writes; None where the document shall have none."""
        return {
            **progress(payment, self._vault),
            "version": payment.version + 1,
            "due_at": payment.due_at,
            "holder": None,
            "mark": mark,
        }


def known(stored: Payment | PaymentsError) -> Payment:
    """The payment. Raises the error that stands in its place."""
    if isinstance(stored, PaymentsError):
        raise stored
    return stored


def _of(scope: Scope) -> Document:
    return {"merchant": scope.merchant, "mode": scope.mode.value}


def _written(payment: Payment) -> Payment:
    """The payment as its step is stored now."""
    return replace(_told(payment), version=payment.version + 1)


def _told(payment: Payment) -> Payment:
    told = payment.told + len(payment.news)
    return replace(payment, told=told, news=())


def _duplicates(error: BulkWriteError) -> set[int]:
    """The places whose key was taken. Raises the error where it is about more."""
    details = error.details
    if details.get("writeConcernErrors"):
        raise error
    failed = details["writeErrors"]
    if any(one["code"] != _DUPLICATE_KEY for one in failed):
        raise error
    return {one["index"] for one in failed}
