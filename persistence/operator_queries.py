"""Operators' queries over the payments of all merchants, on MongoDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pymongo import DESCENDING
from pymongo.database import Database

from domain.account import Account
from domain.payments.payment import Payment
from domain.payments.states import STUCK
from domain.payments.submission import Mode
from domain.replays import Search
from persistence.codec import Document, decode_payment, encode_account_fields
from persistence.document_faults import (
    decode_or_report,
    decode_readable,
    read_readable_page,
)
from persistence.encryption import Vault
from persistence.ids import id_range_filter
from persistence.mongo import translating_errors, with_index_hint


class MongoOperatorView:
    """The OperatorView of one mode; every query is bounded by an index."""

    def __init__(self, database: Database[Document], vault: Vault, mode: Mode) -> None:
        self._payments = database.payments
        self._vault = vault
        self._mode = mode.value

    def find(self, search: Search, *, before: str | None, limit: int) -> list[Payment]:
        """Opens no sealed fields, because operators' lists do not show them."""
        wanted: Document = {
            "mode": self._mode,
            "operations": {"$elemMatch": _operation_filter(search)},
        }
        if search.states <= STUCK:
            # The field has the most urgent state of a payment; review is the most.
            wanted["open"] = {"$in": sorted(STUCK)}
        if search.merchant is not None:
            wanted["merchant"] = search.merchant
        if search.provider is not None:
            wanted["provider"] = search.provider.value
        created = _range_filter(search.created_from, search.created_before, "$lt")
        if created:
            wanted["created_at"] = created
        ids = {"$in": list(search.ids)} if search.ids else {}
        id_range = id_range_filter(search.created_from, search.created_before)
        if before is not None:
            id_range["$lt"] = min(before, id_range.get("$lt", before))
        if ids or id_range:
            wanted["_id"] = {**ids, **id_range}
        # An index in the order of the list; the planner might choose an unsorted one.
        index = "stuck" if "open" in wanted else "newest" if search.merchant else None
        index = None if search.ids else index

        def find(after: Document) -> list[Document]:
            query_filter = {"$and": [wanted, after]} if after else wanted

            def query(hint: Document) -> list[Document]:
                found = self._payments.find(query_filter, {"timeline": 0}, **hint)
                return list(found.sort("_id", DESCENDING).limit(limit))

            return query({}) if index is None else with_index_hint(query, index)

        with translating_errors():
            return read_readable_page(
                find, _decode_unsealed, self._payments, limit=limit
            )

    def find_moved(
        self, account: Account, since: datetime, until: datetime, *, limit: int
    ) -> list[Payment]:
        """Leaves out and reports payments that cannot be read."""
        between = {"$elemMatch": {"$gte": since, "$lt": until}}
        return self._readable({"moved_at": between, **_account_filter(account)}, limit)

    def get(self, payment_id: str) -> Payment | None:
        wanted = {"_id": payment_id, "mode": self._mode}
        with translating_errors():
            found = self._payments.find_one(wanted, {"timeline": 0})
        return (
            None
            if found is None
            else decode_or_report(found, self._decode, self._payments)
        )

    def load(self, ids: Sequence[str]) -> list[Payment]:
        """Leaves out and reports payments that cannot be read."""
        return self._readable({"_id": {"$in": list(ids)}})

    def find_disputed(self, account: Account, refs: Sequence[str]) -> list[Payment]:
        """Leaves out and reports payments that cannot be read."""
        disputed = {"disputes.ref": {"$in": list(refs)}}
        return self._readable({**disputed, **_account_filter(account)})

    def _readable(self, wanted: Document, limit: int = 0) -> list[Payment]:
        wanted = {**wanted, "mode": self._mode}
        with translating_errors():
            found = self._payments.find(wanted, {"timeline": 0}).limit(limit)
            documents = list(found)
        return decode_readable(documents, self._decode, self._payments)

    def _decode(self, document: Document) -> Payment:
        return decode_payment(document, self._vault)


def _decode_unsealed(document: Document) -> Payment:
    return decode_payment(document, None)


def _account_filter(account: Account) -> Document:
    """The filter for an account's payments."""
    return {"account": None, **encode_account_fields(account)}


def _operation_filter(search: Search) -> Document:
    wanted: Document = {"state": {"$in": sorted(search.states)}}
    if search.error is not None:
        wanted["error"] = search.error
    amount = _range_filter(search.amount_from, search.amount_to, "$lte")
    return {**wanted, "amount": amount} if amount else wanted


def _range_filter(
    first: datetime | int | None, last: datetime | int | None, until: str
) -> Document:
    bounds = {"$gte": first, until: last}
    return {name: value for name, value in bounds.items() if value is not None}
