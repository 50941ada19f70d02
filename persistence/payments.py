"""PaymentStore on MongoDB: one document a payment, compare and set by version."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from bson import ObjectId
from pymongo import InsertOne, UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, WriteError

from application.ports.payments import Scope
from domain.errors import (
    IdempotencyMismatch,
    PaymentsError,
    ReferenceInProgress,
    StoreUnavailable,
    WriteRefused,
)
from domain.payments.payment import BELL_GRACE, LEASE, Payment
from domain.payments.submission import Mode
from persistence.codec import Document, encode, news, progress
from persistence.document_faults import (
    Fault,
    read_each,
    report,
    update_each,
    write_each,
)
from persistence.due_work import Lines
from persistence.encryption import Vault
from persistence.mongo import OF_THE_SERVER, answering, name_of
from persistence.payment_reads import MongoReads, of

log = logging.getLogger(__name__)

_MILLISECOND: Final = timedelta(milliseconds=1)

#: The server's clock plus some milliseconds: leases are never measured by a worker's.
_LEASE_ENDS: Final = {"$add": ["$$NOW", int(LEASE / _MILLISECOND)]}
#: The grace is for new payments and retries; a lease that somebody holds has none.
_CLAIMABLE_UNTIL: Final = {
    "$add": [
        "$$NOW",
        {
            "$cond": [
                {"$gt": ["$holder", None]},
                0,
                int(BELL_GRACE / _MILLISECOND),
            ]
        },
    ]
}


class MongoPayments(MongoReads):
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
        super().__init__(database, vault)
        self._mode = mode.value
        self._holder = holder
        self._lines = Lines(database, mode)

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
        with answering():
            written = write_each(
                self._payments, [InsertOne(document) for document in documents]
            )
        if not written.duplicates and not written.refused:
            return [_told(payment) for payment in payments]
        report(
            self._payments,
            Fault.REFUSED,
            {payments[place].id: code for place, code in written.refused.items()},
        )
        return [
            (
                self._earlier(payment)
                if place in written.duplicates
                else WriteRefused() if place in written.refused else _told(payment)
            )
            for place, payment in enumerate(payments)
        ]

    def amend(self, payment: Payment) -> Payment | None:
        """See PaymentStore."""
        held = {"$gt": ["$holder", None]}
        due_at = {"$literal": payment.due_at} if payment.due_at else "$$REMOVE"
        fields = self._formulas(payment, ObjectId())
        fields["due_at"] = {"$cond": [held, "$due_at", due_at]}
        del fields["holder"]
        with answering():
            try:
                result = self._payments.update_one(
                    {"_id": payment.id, "version": payment.version},
                    [{"$set": fields}],
                )
            except DuplicateKeyError:
                raise IdempotencyMismatch from None
            except WriteError as error:
                if error.code not in OF_THE_SERVER:
                    report(self._payments, Fault.REFUSED, {payment.id: name_of(error)})
                raise
        return _written(payment) if result.matched_count else None

    def load_due(self, ids: Sequence[str]) -> list[Payment]:
        """See PaymentStore. One that cannot be read is put off, and reported."""
        due = {
            "_id": {"$in": list(ids)},
            "mode": self._mode,
            "due_at": {"$type": "date"},
            "$expr": {"$lte": ["$due_at", _CLAIMABLE_UNTIL]},
        }
        with answering():
            documents = self._find(due)
        payments = read_each(documents, self._decode, self._payments, waits=True)
        if len(payments) < len(documents):
            found = {payment.id for payment in payments}
            unreadable = [one["_id"] for one in documents if one["_id"] not in found]
            self._put_off(unreadable, _LEASE_ENDS)
        return payments

    def put_off(self, ids: Sequence[str], by: timedelta) -> None:
        """See PaymentStore."""
        self._put_off(ids, {"$add": ["$$NOW", int(by / _MILLISECOND)]})

    def claim_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """See PaymentStore."""
        return self._write(payments, self._claim)

    def settle_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """See PaymentStore."""
        return self._write(payments, self._settle)

    def held(self, payments: Sequence[Payment]) -> list[Payment]:
        """See PaymentStore."""
        fences = {one.id: one.claim.fence for one in payments if one.claim is not None}
        now = self._read({"_id": {"$in": list(fences)}, "holder": self._holder})
        return [
            one
            for one in now
            if one.claim is not None and one.claim.fence == fences[one.id]
        ]

    def renew(self, ids: Sequence[str]) -> None:
        """See PaymentStore."""
        ours = {"holder": self._holder}
        with answering():
            update_each(self._payments, ids, ours, [{"$set": {"due_at": _LEASE_ENDS}}])

    def due_ids(self, limit: int) -> list[str]:
        """See PaymentStore."""
        return self._lines.due_ids(limit)

    def _put_off(self, ids: Sequence[str], until: Document) -> None:
        """Work is still owed, but it shall not stand in the way of others'; what was
        settled meanwhile may be owed later still."""
        owed = {"due_at": {"$type": "date"}}
        in_time = {"$or": [{"holder": None}, {"$expr": {"$lte": ["$due_at", "$$NOW"]}}]}
        with answering():
            update_each(
                self._payments,
                ids,
                {**owed, **in_time},
                [{"$set": {"due_at": {"$max": ["$due_at", until]}}}],
            )

    def _earlier(self, payment: Payment) -> Payment | PaymentsError:
        """What stands in the way: an earlier request of this key, our own retry of it,
        or another payment that guards the reference."""
        scope = Scope(payment.merchant, payment.mode)
        try:
            key = payment.first.origin and payment.first.origin.idempotency_key
            found = self.made_by(scope, key) if key else None
            if found is not None:
                return found
            reference = payment.submission.reference
            if payment.guarding:
                with answering():
                    other = self._payments.find_one(
                        {**of(scope), "guards": reference}, {"_id": 1}
                    )
                if other is not None:
                    return ReferenceInProgress(other["_id"])
        except PaymentsError as error:
            return error
        return StoreUnavailable("the earlier payment is not committed yet")

    def _write(
        self,
        payments: Sequence[Payment],
        update: Callable[[Payment, ObjectId], UpdateOne],
    ) -> list[Payment]:
        """Those of ``payments`` whose write met the version it was made for.

        The mark tells our write from any other of the same version, our own process's
        included; it is looked for only where some write met nothing. One that MongoDB
        refuses is reported, and waits for its next turn.
        """
        mark, updates = ObjectId(), {}
        for payment in payments:
            try:
                updates[payment.id] = update(payment, mark)
            except (PaymentsError, TypeError, ValueError) as error:
                # It alone cannot be sealed.
                log.exception("step_not_encoded", extra={"payment": payment.id})
                codes = {payment.id: type(error).__name__}
                report(self._payments, Fault.REFUSED, codes, waits=True)
        if not updates:
            return []
        ids = list(updates)
        with answering():
            written = write_each(self._payments, list(updates.values()))
            if written.matched == len(payments):
                return [_written(payment) for payment in payments]
            refused = {ids[place]: code for place, code in written.refused.items()}
            refused |= {ids[place]: "DuplicateKey" for place in written.duplicates}
            report(self._payments, Fault.REFUSED, refused, waits=True)
            marked = self._payments.find(
                {"_id": {"$in": ids}, "mark": mark}, {"_id": 1}
            )
            ours = {document["_id"] for document in marked}
        return [_written(payment) for payment in payments if payment.id in ours]

    def _claim(self, payment: Payment, mark: ObjectId) -> UpdateOne:
        """A pipeline, for ``$$NOW``."""
        fields = self._formulas(payment, mark)
        if payment.claim is not None:
            fields |= {"due_at": _LEASE_ENDS, "holder": {"$literal": self._holder}}
        return UpdateOne(
            {"_id": payment.id, "version": payment.version}, [{"$set": fields}]
        )

    def _formulas(self, payment: Payment, mark: ObjectId) -> Document:
        """A step for a pipeline; values are marked so that none is a formula."""
        fields: Document = {
            name: "$$REMOVE" if value is None else {"$literal": value}
            for name, value in self._step(payment, mark).items()
        }
        told = {"$concatArrays": ["$timeline", {"$literal": news(payment)}]}
        return {**fields, "timeline": told}

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
        step: Document = {
            **progress(payment, self._vault),
            "version": payment.version + 1,
            "due_at": payment.due_at,
            "holder": None,
            "mark": mark,
        }
        # A guard is set once, with the payment: a correction that would set it again
        # may meet the next payment's.
        return step if payment.guarding else {**step, "guards": None}


def known(stored: Payment | PaymentsError) -> Payment:
    """The payment. Raises the error that stands in its place."""
    if isinstance(stored, PaymentsError):
        raise stored
    return stored


def _written(payment: Payment) -> Payment:
    """The payment as its step is stored now."""
    return replace(_told(payment), version=payment.version + 1)


def _told(payment: Payment) -> Payment:
    told = payment.told + len(payment.news)
    return replace(payment, told=told, news=())
