"""What is due stands in a line of its account, so no backlog is before another's."""

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

#: Merchants' accounts at one provider whose work is found at once; the others' turn
#: comes with the next look, a second later.
ACCOUNTS_PER_SCAN: Final = 16


class DueWork:
    """Those of one mode, as one process goes through them."""

    def __init__(self, database: Database[Document], mode: Mode) -> None:
        self._payments = database.payments
        self._mode = mode.value
        self._after: dict[ProviderName, str] = {}  # where the last look ended

    def find_due_ids(self, limit: int) -> list[str]:
        lines, waiting = [], self._not_postponed()
        for line in self._account_filters():
            line |= waiting
            longest = self._find_due_ids(line, ASCENDING, limit)
            lines.append(longest)
            if len(longest) == limit:
                lines.append(self._find_due_ids(line, DESCENDING, limit))
        return round_robin(lines, limit)

    def _not_postponed(self) -> Document:
        """Leaves out what MongoDB refused to write, until its wait is over."""
        with translating_errors():
            refused = find_postponed(self._payments)
        return {"_id": {"$nin": refused}} if refused else {}

    def _account_filters(self) -> Iterator[Document]:
        """The accounts that work is owed on, as filters: the deployment's own, and of
        merchants' the next AT_ONCE of each provider, from where the last look ended.

        One step of the index an account, however long its line is.
        """
        for provider in ProviderName:
            its: Document = {"provider": provider.value}
            yield {**its, "account": None}
            after = self._after.get(provider, "")
            for _ in range(ACCOUNTS_PER_SCAN):
                due = {**its, "account": {"$gt": after}, **self._due_filter}
                with translating_errors():
                    found = with_index_hint(partial(self._find_first, due), "lines")
                if found is None:
                    after = ""
                    break
                after = found["account"]
                yield {**its, "account": after}
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
