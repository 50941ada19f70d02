"""What is read of payments without moving them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pymongo import DESCENDING
from pymongo.database import Database

from application.ports import Query, Scope
from domain.errors import PaymentsError
from domain.payment import Event, Payment
from domain.states import OWED
from persistence.codec import Document, decode, decode_event
from persistence.mongo import answering
from persistence.vault import FieldUnreadable, Vault

log = logging.getLogger(__name__)

_OWED: Final = [state.value for state in OWED]


class MongoReads:
    """The half of a PaymentStore that moves nothing."""

    def __init__(self, database: Database[Document], vault: Vault) -> None:
        self._payments = database.payments
        self._vault = vault

    def get(self, scope: Scope, payment_id: str) -> Payment | None:
        """See PaymentStore."""
        found = self._read({"_id": payment_id, **of(scope)})
        return found[0] if found else None

    def made_by(self, scope: Scope, idempotency_key: str) -> Payment | None:
        """See PaymentStore."""
        found = self._read({**of(scope), "keys": idempotency_key})
        return found[0] if found else None

    def page(self, scope: Scope, query: Query) -> list[Payment]:
        """See PaymentStore."""
        wanted: Document = of(scope)
        if query.status is not None:
            wanted["status"] = query.status.value
        if query.provider is not None:
            wanted["provider"] = query.provider.value
        if query.reference is not None:
            wanted["reference"] = query.reference
        if query.disputed is not None:
            wanted["disputes"] = {"$exists": query.disputed}
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
                {"_id": payment_id, **of(scope)}, {"timeline": 1}
            )
        if found is None:
            return None
        return [decode_event(event) for event in found["timeline"]]

    def settled(self, ids: Sequence[str]) -> set[str]:
        """See PaymentStore."""
        working = {"_id": {"$in": list(ids)}, "operations.state": {"$in": _OWED}}
        with answering():
            found = self._payments.find(working, {"_id": 1})
            return set(ids) - {document["_id"] for document in found}

    def _read(self, wanted: Mapping[str, Any], limit: int = 0) -> list[Payment]:
        return [self._decoded(document) for document in self._find(wanted, limit)]

    def _decoded(self, document: Document) -> Payment:
        """Raises FieldUnreadable, and reports the payment."""
        try:
            return decode(document, self._vault)
        except FieldUnreadable as error:
            _report(document, error)
            raise

    def _find(self, wanted: Mapping[str, Any], limit: int = 0) -> list[Document]:
        with answering():
            found = self._payments.find(wanted, {"timeline": 0}).limit(limit)
            return list(found.sort("_id", DESCENDING) if limit else found)


def readable(
    documents: Iterable[Document], vault: Vault
) -> tuple[list[Payment], list[str]]:
    """The payments that can be read, and the ids of the others, which are reported."""
    payments, others = [], []
    for document in documents:
        try:
            payments.append(decode(document, vault))
        except (PaymentsError, LookupError, TypeError, ValueError) as error:
            others.append(document["_id"])
            _report(document, error)
    return payments, others


def _report(document: Document, error: Exception) -> None:
    why = {"payment": document["_id"], "error": type(error).__name__}
    log.error("payment_unreadable", extra=why)


def of(scope: Scope) -> Document:
    """The filter for one merchant's payments in one mode."""
    return {"merchant": scope.merchant, "mode": scope.mode.value}
