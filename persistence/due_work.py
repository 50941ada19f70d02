"""Finds due work account by account, so that no backlog delays another account."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from application.dispatch import round_robin
from domain.payments.submission import Mode, ProviderName
from persistence.codec import Document
from persistence.document_faults import find_postponed
from persistence.indexes import DUE_FIELDS
from persistence.mongo import translating_errors, with_index_hint

#: Merchants' accounts per provider in one scan. The next scan, a second later, goes on
#: with the next accounts.
ACCOUNTS_PER_SCAN: Final = 16


class DueWork:
    """The due payments of one mode; keeps the position of one process's scans."""

    def __init__(self, database: Database[Document], mode: Mode) -> None:
        self._payments = database.payments
        self._mode = mode.value
        self._after: dict[ProviderName, str] = {}  # last account of the last scan

    def find_due_ids(self, limit: int) -> list[str]:
        lists, not_postponed = [], self._not_postponed()
        for account_filter in self._account_filters():
            account_filter |= not_postponed
            oldest = self._find_due_ids(account_filter, ASCENDING, limit)
            lists.append(oldest)
            if len(oldest) == limit:
                lists.append(self._find_due_ids(account_filter, DESCENDING, limit))
        return round_robin(lists, limit)

    def _not_postponed(self) -> Document:
        """The filter that excludes refused documents until their delay ends."""
        with translating_errors():
            postponed = find_postponed(self._payments)
        return {"_id": {"$nin": postponed}} if postponed else {}

    def _account_filters(self) -> Iterator[Document]:
        """The filters of accounts with due work.

        They are the deployment's own account and the next ACCOUNTS_PER_SCAN merchants'
        accounts of each provider. Each takes one step in the index, however long its
        backlog is.
        """
        for provider in ProviderName:
            of_provider: Document = {"provider": provider.value}
            yield {**of_provider, "account": None}
            after = self._after.get(provider, "")
            for _ in range(ACCOUNTS_PER_SCAN):
                due = {**of_provider, "account": {"$gt": after}, **self._due_filter}
                with translating_errors():
                    found = with_index_hint(partial(self._find_first, due), "lines")
                if found is None:
                    after = ""
                    break
                after = found["account"]
                yield {**of_provider, "account": after}
            self._after[provider] = after

    def _find_first(self, due: Document, hint: Document) -> Document | None:
        return self._payments.find_one(due, {"account": 1}, sort=DUE_FIELDS, **hint)

    def _find_due_ids(
        self, account_filter: Document, order: int, limit: int
    ) -> list[str]:
        with translating_errors():
            found = self._payments.find(
                {**account_filter, **self._due_filter},
                {"_id": 1},
                sort=[("due_at", order)],
            )
            return [document["_id"] for document in found.limit(limit)]

    @property
    def _due_filter(self) -> Document:
        return {
            "mode": self._mode,
            "due_at": {"$exists": True, "$type": "date"},
            "$expr": {"$lte": ["$due_at", "$$NOW"]},
        }
