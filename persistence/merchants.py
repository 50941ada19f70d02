"""Merchants' settings on MongoDB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pymongo.database import Database

from application.cache import Cache
from application.ports.payments import Scope
from domain.merchants import MerchantSettings
from domain.payments.routing import Routes
from domain.payments.submission import DuplicatePolicy
from persistence.accounts import load_candidates
from persistence.codec import Document
from persistence.document_faults import decode_or_report
from persistence.mongo import translating_errors

#: Seconds that a web process caches settings: the delay of a change.
CACHE_SECONDS: Final = 5.0
#: Cached merchants: some hundred bytes each, and as much per account.
CACHE_SIZE: Final = 10_000


class MongoMerchants:
    """The MerchantStore on MongoDB. Every method raises StoreUnavailable."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._merchants = database.merchants
        self._cache = Cache[Scope, MerchantSettings](
            size=CACHE_SIZE, seconds=CACHE_SECONDS
        )

    def load_settings(self, scope: Scope) -> MerchantSettings:
        """Reads the database at most once in CACHE_SECONDS per merchant and mode."""
        return self._cache.find(scope) or self._cache.get(
            scope, lambda: self._read_settings(scope)
        )

    def change_settings(
        self,
        merchant: str,
        *,
        duplicate_policy: DuplicatePolicy | None = None,
        routes_on: Sequence[str] | None = None,
    ) -> None:
        changes: Document = {}
        if duplicate_policy is not None:
            changes["duplicate_policy"] = duplicate_policy.value
        if routes_on is not None:
            changes["routes_on"] = list(routes_on)
        with translating_errors():
            self._merchants.update_one(
                {"_id": merchant}, {"$set": changes}, upsert=True
            )
        self._cache.clear()

    def _read_settings(self, scope: Scope) -> MerchantSettings:
        with translating_errors():
            found = self._merchants.find_one({"_id": scope.merchant}) or {}
        return MerchantSettings(
            decode_or_report(found, _decode_policy, self._merchants),
            Routes(
                load_candidates(self._database, scope),
                tuple(found.get("routes_on", ())),
            ),
        )


def _decode_policy(document: Document) -> DuplicatePolicy:
    return DuplicatePolicy(document.get("duplicate_policy", DuplicatePolicy.UNFINISHED))
