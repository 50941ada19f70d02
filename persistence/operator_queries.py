"""The OperatorView on MongoDB: operators' queries over all merchants."""

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
from persistence.codec import Document, decode, write_whose
from persistence.document_faults import read_each, read_one, read_page
from persistence.encryption import Vault
from persistence.ids import made_between
from persistence.mongo import answering, by_index


class MongoOperatorView:
    """An OperatorView of ``mode``; what it reads is bounded by its indexes."""

    def __init__(self, database: Database[Document], vault: Vault, mode: Mode) -> None:
        self._payments = database.payments
        self._vault = vault
        self._mode = mode.value

    def found(self, search: Search, *, before: str | None, limit: int) -> list[Payment]:
        """See OperatorView. What is sealed is not opened: nobody here shows it."""
        wanted: Document = {
            "mode": self._mode,
            "operations": {"$elemMatch": _operation(search)},
        }
        if search.states <= STUCK:
            # The field has the most urgent state of a payment: review comes first.
            wanted["open"] = {"$in": sorted(STUCK)}
        if search.merchant is not None:
            wanted["merchant"] = search.merchant
        if search.provider is not None:
            wanted["provider"] = search.provider.value
        created = _between(search.created_from, search.created_before, "$lt")
        if created:
            wanted["created_at"] = created
        named = {"$in": list(search.ids)} if search.ids else {}
        made = made_between(search.created_from, search.created_before)
        if before is not None:
            made["$lt"] = min(before, made.get("$lt", before))
        if named or made:
            wanted["_id"] = {**named, **made}
        # One that gives them in order; the planner may find another one shorter today.
        hint = "stuck" if "open" in wanted else "newest" if search.merchant else None
        hint = None if search.ids else hint

        def find(behind: Document) -> list[Document]:
            its = {"$and": [wanted, behind]} if behind else wanted

            def ask(hint: Document) -> list[Document]:
                found = self._payments.find(its, {"timeline": 0}, **hint)
                return list(found.sort("_id", DESCENDING).limit(limit))

            return ask({}) if hint is None else by_index(ask, hint)

        with answering():
            return read_page(find, _unopened, self._payments, limit=limit)

    def moved(
        self, account: Account, since: datetime, until: datetime, *, limit: int
    ) -> list[Payment]:
        """See OperatorView. One that cannot be read is left out, and reported."""
        between = {"$elemMatch": {"$gte": since, "$lt": until}}
        return self._readable({"moved_at": between, **_of(account)}, limit)

    def get(self, payment_id: str) -> Payment | None:
        """See OperatorView."""
        wanted = {"_id": payment_id, "mode": self._mode}
        with answering():
            found = self._payments.find_one(wanted, {"timeline": 0})
        return None if found is None else read_one(found, self._decode, self._payments)

    def known(self, ids: Sequence[str]) -> list[Payment]:
        """See OperatorView. One that cannot be read is left out, and reported."""
        return self._readable({"_id": {"$in": list(ids)}})

    def disputed(self, account: Account, refs: Sequence[str]) -> list[Payment]:
        """See OperatorView. One that cannot be read is left out, and reported."""
        of = {"disputes.ref": {"$in": list(refs)}}
        return self._readable({**of, **_of(account)})

    def _readable(self, wanted: Document, limit: int = 0) -> list[Payment]:
        wanted = {**wanted, "mode": self._mode}
        with answering():
            found = self._payments.find(wanted, {"timeline": 0}).limit(limit)
            documents = list(found)
        return read_each(documents, self._decode, self._payments)

    def _decode(self, document: Document) -> Payment:
        return decode(document, self._vault)


def _unopened(document: Document) -> Payment:
    return decode(document, None)


def _of(account: Account) -> Document:
    """The filter for an account's payments."""
    return {"account": None, **write_whose(account)}


def _operation(search: Search) -> Document:
    wanted: Document = {"state": {"$in": sorted(search.states)}}
    if search.error is not None:
        wanted["error"] = search.error
    amount = _between(search.amount_from, search.amount_to, "$lte")
    return {**wanted, "amount": amount} if amount else wanted


def _between(
    first: datetime | int | None, last: datetime | int | None, until: str
) -> Document:
    bounds = {"$gte": first, until: last}
    return {name: value for name, value in bounds.items() if value is not None}
