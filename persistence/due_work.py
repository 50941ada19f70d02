"""What is due stands in a line of its account, so no backlog is before another's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from application.dispatch import in_turns
from domain.payments.submission import Mode, ProviderName
from persistence.codec import Document
from persistence.document_faults import out_of_turn
from persistence.indexes import LINES
from persistence.mongo import answering, by_index

#: Merchants' accounts at one provider whose work is found at once; the others' turn
#: comes with the next look, a second later.
AT_ONCE: Final = 16


class Lines:
    """Those of one mode, as one process goes through them."""

    def __init__(self, database: Database[Document], mode: Mode) -> None:
        self._payments = database.payments
        self._mode = mode.value
        self._after: dict[ProviderName, str] = {}  # where the last look ended

    def due_ids(self, limit: int) -> list[str]:
        """See PaymentStore."""
        lines, waiting = [], self._waiting()
        for line in self._lines():
            line |= waiting
            longest = self._due_ids(line, ASCENDING, limit)
            lines.append(longest)
            if len(longest) == limit:
                lines.append(self._due_ids(line, DESCENDING, limit))
        return in_turns(lines, limit)

    def _waiting(self) -> Document:
        """Leaves out what MongoDB refused to write, until its wait is over."""
        with answering():
            refused = out_of_turn(self._payments)
        return {"_id": {"$nin": refused}} if refused else {}

    def _lines(self) -> Iterator[Document]:
        """The accounts that work is owed on, as filters: the deployment's own, and of
        merchants' the next AT_ONCE of each provider, from where the last look ended.

        One step of the index an account, however long its line is.
        """
        for provider in ProviderName:
            its: Document = {"provider": provider.value}
            yield {**its, "account": None}
            after = self._after.get(provider, "")
            for _ in range(AT_ONCE):
                due = {**its, "account": {"$gt": after}, **self._due}
                with answering():
                    found = by_index(partial(self._first, due), "lines")
                if found is None:
                    after = ""
                    break
                after = found["account"]
                yield {**its, "account": after}
            self._after[provider] = after

    def _first(self, due: Document, hint: Document) -> Document | None:
        return self._payments.find_one(due, {"account": 1}, sort=LINES, **hint)

    def _due_ids(self, line: Document, order: int, limit: int) -> list[str]:
        with answering():
            found = self._payments.find(
                {**line, **self._due}, {"_id": 1}, sort=[("due_at", order)]
            )
            return [document["_id"] for document in found.limit(limit)]

    @property
    def _due(self) -> Document:
        return {
            "mode": self._mode,
            "due_at": {"$exists": True, "$type": "date"},
            "$expr": {"$lte": ["$due_at", "$$NOW"]},
        }
