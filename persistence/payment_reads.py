"""Reads of payments on MongoDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pymongo import DESCENDING
from pymongo.database import Database

from application.ports.payments import Query, Scope
from domain.payments.payment import Event, Payment
from domain.payments.states import STATES_WITH_WORK, Status
from domain.payments.submission import ProviderName
from persistence.codec import Document, decode_event, decode_payment
from persistence.document_faults import (
    decode_or_report,
    decode_readable,
    read_readable_page,
)
from persistence.encryption import Vault
from persistence.ids import id_range_filter
from persistence.mongo import translating_errors, with_index_hint

_HAS_WORK: Final = [state.value for state in STATES_WITH_WORK]


class MongoReads:
    """The reading half of the PaymentStore."""

    def __init__(self, database: Database[Document], vault: Vault) -> None:
        self._payments = database.payments
        self._vault = vault

    def get(self, scope: Scope, payment_id: str) -> Payment | None:
        return self._read_one({"_id": payment_id, **scope_filter(scope)})

    def find_by_key(self, scope: Scope, idempotency_key: str) -> Payment | None:
        return self._read_one({**scope_filter(scope), "keys": idempotency_key})

    def list_payments(self, scope: Scope, query: Query) -> list[Payment]:
        wanted: Document = scope_filter(scope)
        if query.reference is not None:
            wanted["reference"] = query.reference
        if query.disputed is not None:
            wanted["disputes"] = {"$exists": query.disputed}
        if query.provider is not None:
            wanted["provider"] = query.provider.value
        if query.status is not None:
            wanted["status"] = query.status.value
        created = {"$gte": query.created_from, "$lt": query.created_before}
        if any(created.values()):
            wanted["created_at"] = {op: at for op, at in created.items() if at}
        id_range = id_range_filter(query.created_from, query.created_before)
        if query.before is not None:
            id_range["$lt"] = min(query.before, id_range.get("$lt", query.before))
        if id_range:
            wanted["_id"] = id_range
        index = _choose_index(query)
        if index == "listed":  # sorted by id only if all its other fields are given
            wanted.setdefault("provider", {"$in": sorted(ProviderName)})
            wanted.setdefault("status", {"$in": sorted(Status)})
        return self._page(wanted, query.limit, index)

    def load_timeline(self, scope: Scope, payment_id: str) -> list[Event] | None:
        with translating_errors():
            found = self._payments.find_one(
                {"_id": payment_id, **scope_filter(scope)}, {"timeline": 1}
            )
        if found is None:
            return None
        return decode_or_report(found, _decode_timeline, self._payments)

    def find_settled(self, ids: Sequence[str]) -> set[str]:
        unsettled = {"_id": {"$in": list(ids)}, "operations.state": {"$in": _HAS_WORK}}
        with translating_errors():
            found = self._payments.find(unsettled, {"_id": 1})
            return set(ids) - {document["_id"] for document in found}

    def _page(self, wanted: Document, limit: int, index: str) -> list[Payment]:
        def find(after: Document) -> list[Document]:
            query = {"$and": [wanted, after]} if after else wanted
            return with_index_hint(lambda hint: self._find(query, limit, **hint), index)

        with translating_errors():
            return read_readable_page(find, self._decode, self._payments, limit=limit)

    def _read(self, wanted: Mapping[str, Any]) -> list[Payment]:
        with translating_errors():
            return self._readable(self._find(wanted))

    def _read_one(self, wanted: Mapping[str, Any]) -> Payment | None:
        """Raises DocumentUnreadable."""
        with translating_errors():
            found = self._find(wanted)
        return (
            decode_or_report(found[0], self._decode, self._payments) if found else None
        )

    def _readable(self, documents: Iterable[Document]) -> list[Payment]:
        return decode_readable(documents, self._decode, self._payments)

    def _decode(self, document: Document) -> Payment:
        return decode_payment(document, self._vault)

    def _find(
        self, wanted: Mapping[str, Any], limit: int = 0, **hint: str
    ) -> list[Document]:
        found = self._payments.find(wanted, {"timeline": 0}, **hint).limit(limit)
        return list(found.sort("_id", DESCENDING) if limit else found)


def _choose_index(query: Query) -> str:
    """The most selective index that has the order of the list."""
    if query.reference is not None:
        return "reference"
    if query.disputed:
        return "disputed"
    by_kind = query.provider is not None or query.status is not None
    return "listed" if by_kind else "newest"


def _decode_timeline(document: Document) -> list[Event]:
    return [decode_event(event) for event in document["timeline"]]


def scope_filter(scope: Scope) -> Document:
    """The filter for one merchant's payments in one mode."""
    return {"merchant": scope.merchant, "mode": scope.mode.value}
