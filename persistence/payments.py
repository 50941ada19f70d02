"""Payments on MongoDB: one document each, changed by compare-and-set on its version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from bson import ObjectId
from pymongo import InsertOne, UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, WriteError

from application.logs import get_logger
from application.ports.payments import Scope
from domain.errors import (
    IdempotencyMismatch,
    PaymentsError,
    ReferenceInProgress,
    StoreUnavailable,
    WriteRefused,
)
from domain.payments.payment import LEASE, WAKEUP_GRACE, Payment
from domain.payments.submission import Mode
from persistence.codec import Document, encode_events, encode_payment, encode_progress
from persistence.document_faults import (
    DocumentFault,
    decode_readable,
    report_faults,
    update_independently,
    write_independently,
)
from persistence.due_work import DueWork
from persistence.encryption import Vault
from persistence.mongo import OF_THE_SERVER, error_name, translating_errors
from persistence.payment_reads import MongoReads, scope_filter

log = get_logger(__name__)

_MILLISECOND: Final = timedelta(milliseconds=1)

#: The end of a new lease, by the server's clock: workers' clocks may be wrong.
_LEASE_ENDS: Final = {"$add": ["$$NOW", int(LEASE / _MILLISECOND)]}
#: Payments due until then can be claimed. Leased payments have no grace.
_CLAIMABLE_UNTIL: Final = {
    "$add": [
        "$$NOW",
        {
            "$cond": [
                {"$gt": ["$lease_holder", None]},
                0,
                int(WAKEUP_GRACE / _MILLISECOND),
            ]
        },
    ]
}


class MongoPayments(MongoReads):
    """The PaymentStore on MongoDB.

    ``lease_holder`` names this process on its leases. Only due work of ``mode`` is
    found: the adapters of this process have the accounts of that mode.
    """

    def __init__(
        self,
        database: Database[Document],
        vault: Vault,
        *,
        lease_holder: str,
        mode: Mode = Mode.TEST,
    ) -> None:
        super().__init__(database, vault)
        self._mode = mode.value
        self._lease_holder = lease_holder
        self._due_work = DueWork(database, mode)

    def insert_many(self, payments: Sequence[Payment]) -> list[Payment | PaymentsError]:
        documents = [self._encode(payment) for payment in payments]
        return self._insert(payments, documents)

    def _encode(self, payment: Payment) -> Document:
        return encode_payment(payment, self._vault)

    def _insert(
        self, payments: Sequence[Payment], documents: Sequence[Document]
    ) -> list[Payment | PaymentsError]:
        """Inserts ``documents``, the encoded ``payments``.

        Returns for each the stored payment or the error of its insert.
        """
        if not payments:
            return []
        with translating_errors():
            written = write_independently(
                self._payments, [InsertOne(document) for document in documents]
            )
        if not written.duplicates and not written.refused:
            return [_as_stored(payment, payment.version) for payment in payments]
        report_faults(
            self._payments,
            DocumentFault.REFUSED,
            {payments[place].id: code for place, code in written.refused.items()},
        )
        return [
            (
                self._find_conflict(payment)
                if place in written.duplicates
                else (
                    WriteRefused()
                    if place in written.refused
                    else _as_stored(payment, payment.version)
                )
            )
            for place, payment in enumerate(payments)
        ]

    def amend(self, payment: Payment) -> Payment | None:
        is_leased = {"$gt": ["$lease_holder", None]}
        due_at = {"$literal": payment.due_at} if payment.due_at else "$$REMOVE"
        fields = self._step_expression(payment, ObjectId())
        fields["due_at"] = {"$cond": [is_leased, "$due_at", due_at]}
        del fields["lease_holder"]
        with translating_errors():
            try:
                result = self._payments.update_one(
                    {"_id": payment.id, "version": payment.version},
                    [{"$set": fields}],
                )
            except DuplicateKeyError:
                raise IdempotencyMismatch from None
            except WriteError as error:
                if error.code not in OF_THE_SERVER:
                    report_faults(
                        self._payments,
                        DocumentFault.REFUSED,
                        {payment.id: error_name(error)},
                    )
                raise
        return _as_written(payment) if result.matched_count else None

    def load_due(self, ids: Sequence[str]) -> list[Payment]:
        """Postpones and reports payments that cannot be read."""
        due = {
            "_id": {"$in": list(ids)},
            "mode": self._mode,
            "due_at": {"$type": "date"},
            "$expr": {"$lte": ["$due_at", _CLAIMABLE_UNTIL]},
        }
        with translating_errors():
            documents = self._find(due)
        payments = decode_readable(
            documents, self._decode, self._payments, postpones=True
        )
        if len(payments) < len(documents):
            found = {payment.id for payment in payments}
            unreadable = [one["_id"] for one in documents if one["_id"] not in found]
            self._postpone(unreadable, _LEASE_ENDS)
        return payments

    def postpone(self, ids: Sequence[str], by: timedelta) -> None:
        self._postpone(ids, {"$add": ["$$NOW", int(by / _MILLISECOND)]})

    def claim_many(self, payments: Sequence[Payment]) -> list[Payment]:
        return self._write(payments, self._claim)

    def settle_many(self, payments: Sequence[Payment]) -> list[Payment]:
        return self._write(payments, self._settle)

    def load_leased(self, payments: Sequence[Payment]) -> list[Payment]:
        fences = {one.id: one.claim.fence for one in payments if one.claim is not None}
        now = self._read(
            {"_id": {"$in": list(fences)}, "lease_holder": self._lease_holder}
        )
        return [
            one
            for one in now
            if one.claim is not None and one.claim.fence == fences[one.id]
        ]

    def renew_leases(self, ids: Sequence[str]) -> None:
        ours = {"lease_holder": self._lease_holder}
        with translating_errors():
            update_independently(
                self._payments, ids, ours, [{"$set": {"due_at": _LEASE_ENDS}}]
            )

    def find_due_ids(self, limit: int) -> list[str]:
        return self._due_work.find_due_ids(limit)

    def _postpone(self, ids: Sequence[str], until: Document) -> None:
        """Delays due work without a lease, so that it does not delay other work.

        A later ``due_at`` stays, which a step may have set meanwhile.
        """
        has_work = {"due_at": {"$type": "date"}}
        not_leased = {
            "$or": [{"lease_holder": None}, {"$expr": {"$lte": ["$due_at", "$$NOW"]}}]
        }
        with translating_errors():
            update_independently(
                self._payments,
                ids,
                {**has_work, **not_leased},
                [{"$set": {"due_at": {"$max": ["$due_at", until]}}}],
            )

    def _find_conflict(self, payment: Payment) -> Payment | PaymentsError:
        """The payment already stored under this key, or the error of the conflict.

        The stored payment may be this one, inserted by an earlier try of ours.
        """
        scope = Scope(payment.merchant, payment.mode)
        try:
            key = (
                payment.first_operation.origin
                and payment.first_operation.origin.idempotency_key
            )
            found = self.find_by_key(scope, key) if key else None
            if found is not None:
                return found
            reference = payment.submission.reference
            if payment.blocks_reference:
                with translating_errors():
                    other = self._payments.find_one(
                        {**scope_filter(scope), "blocked_reference": reference},
                        {"_id": 1},
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
        """Writes a step of each payment; returns those whose version still matched.

        The mark distinguishes this write from any other of the same version, also of
        this process. It is read only if some write matched nothing: an earlier try of
        it may have been applied. A refused payment is reported and postponed.
        """
        mark, updates = ObjectId(), {}
        for payment in payments:
            try:
                updates[payment.id] = update(payment, mark)
            except (PaymentsError, TypeError, ValueError) as error:
                # This payment alone cannot be encoded.
                log.exception("step_not_encoded", payment=payment.id)
                codes = {payment.id: type(error).__name__}
                report_faults(
                    self._payments, DocumentFault.REFUSED, codes, postpones=True
                )
        if not updates:
            return []
        ids = list(updates)
        with translating_errors():
            written = write_independently(self._payments, list(updates.values()))
            if written.matched == len(payments):
                return [_as_written(payment) for payment in payments]
            refused = {ids[place]: code for place, code in written.refused.items()}
            refused |= {ids[place]: "DuplicateKey" for place in written.duplicates}
            report_faults(
                self._payments, DocumentFault.REFUSED, refused, postpones=True
            )
            marked = self._payments.find(
                {"_id": {"$in": ids}, "mark": mark}, {"_id": 1}
            )
            ours = {document["_id"] for document in marked}
        return [_as_written(payment) for payment in payments if payment.id in ours]

    def _claim(self, payment: Payment, mark: ObjectId) -> UpdateOne:
        """The update of a claim; ``$$NOW`` needs a pipeline."""
        fields = self._step_expression(payment, mark)
        if payment.claim is not None:
            fields |= {
                "due_at": _LEASE_ENDS,
                "lease_holder": {"$literal": self._lease_holder},
            }
        return UpdateOne(
            {"_id": payment.id, "version": payment.version}, [{"$set": fields}]
        )

    def _step_expression(self, payment: Payment, mark: ObjectId) -> Document:
        """A step's fields for a pipeline; ``$literal`` keeps values from evaluation."""
        fields: Document = {
            name: "$$REMOVE" if value is None else {"$literal": value}
            for name, value in self._step_fields(payment, mark).items()
        }
        timeline = {
            "$concatArrays": ["$timeline", {"$literal": encode_events(payment)}]
        }
        return {**fields, "timeline": timeline}

    def _settle(self, payment: Payment, mark: ObjectId) -> UpdateOne:
        fields = self._step_fields(payment, mark)
        return UpdateOne(
            {"_id": payment.id, "version": payment.version},
            {
                "$set": {k: v for k, v in fields.items() if v is not None},
                "$unset": {k: "" for k, v in fields.items() if v is None},
                "$push": {"timeline": {"$each": encode_events(payment)}},
            },
        )

    def _step_fields(self, payment: Payment, mark: ObjectId) -> Document:
        """Every field that a step writes; None removes the field."""
        step: Document = {
            **encode_progress(payment, self._vault),
            "version": payment.version + 1,
            "due_at": payment.due_at,
            "lease_holder": None,
            "mark": mark,
        }
        # The reference is blocked only when the payment is created: a correction that
        # blocked it again could conflict with a newer payment.
        return step if payment.blocks_reference else {**step, "blocked_reference": None}


def _as_written(payment: Payment) -> Payment:
    """The payment as stored by its step."""
    return _as_stored(payment, payment.version + 1)


def _as_stored(payment: Payment, version: int) -> Payment:
    """The payment as it is stored in ``version``, with its pending events."""
    return replace(
        payment,
        version=version,
        event_count=payment.event_count + len(payment.pending_events),
        pending_events=(),
    )
