"""API keys on MongoDB: a hash, the merchant, the mode and the role of each."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pymongo import ReturnDocument
from pymongo.database import Database

from application.cache import Cache
from application.logs import get_logger
from domain.api_keys import ApiKey, KeyChanged, KeyNotFound, Role, find_key_id
from domain.payments.submission import Mode
from persistence.codec import Document
from persistence.document_faults import decode_or_report, decode_readable
from persistence.encryption import Pepper
from persistence.mongo import translating_errors

log = get_logger(__name__)

#: Seconds that a key is cached; a revoked key is accepted for at most as long.
CACHE_SECONDS: Final = 10.0
#: Cached keys; the least recently read is dropped.
CACHE_SIZE: Final = 10_000


class MongoApiKeys:
    """The ApiKeyStore on MongoDB.

    Every method raises StoreUnavailable if the database does not answer. It caches
    ``cached`` keys, each for ``cache_seconds``.
    """

    def __init__(
        self,
        database: Database[Document],
        pepper: Pepper,
        *,
        cached: int = CACHE_SIZE,
        cache_seconds: float = CACHE_SECONDS,
    ) -> None:
        self._keys = database.api_keys
        self._pepper = pepper
        #: Keys by the hash of their secret.
        self._cache = Cache[str, ApiKey](size=cached, seconds=cache_seconds)

    def add(self, key: ApiKey, secret: str) -> None:
        digest = self._pepper.hash(secret)
        with translating_errors():
            self._keys.insert_one(
                {
                    "_id": key.id,
                    "hash": digest,
                    "binding": self._binding(key, digest),
                    "merchant": key.merchant,
                    "mode": key.mode.value,
                    "role": key.role.value,
                    "created_at": key.created_at,
                    "expires_at": key.expires_at,
                }
            )

    def find(self, secret: str) -> ApiKey | None:
        """The hash is compared in constant time."""
        digest = self._pepper.hash(secret)
        known = self._cache.find(digest)
        if known is not None:
            return known
        try:
            return self._cache.get(digest, lambda: self._look_up(secret, digest))
        except KeyNotFound:
            return None

    def is_cached(self, secret: str) -> bool:
        return self._pepper.hash(secret) in self._cache

    def list(self, merchant: str | None = None) -> list[ApiKey]:
        wanted = {} if merchant is None else {"merchant": merchant}
        with translating_errors():
            found = self._keys.find(wanted).sort("created_at").limit(1000)
            return decode_readable(found, _decode, self._keys)

    def get(self, key_id: str) -> ApiKey:
        with translating_errors():
            found = self._keys.find_one({"_id": key_id})
        if found is None:
            raise KeyNotFound(f"there is no living key {key_id}")
        key = decode_or_report(found, _decode, self._keys)
        if not self._is_bound(found):
            raise KeyChanged(f"the owner of {key_id} was changed in the database.")
        return key

    def end(self, key_id: str, at: datetime, *, now: datetime) -> ApiKey:
        alive = [{"expires_at": None}, {"expires_at": {"$gt": now}}]
        with translating_errors():
            found = self._keys.find_one_and_update(
                {"_id": key_id, "$or": alive},
                [{"$set": {"expires_at": {"$min": ["$expires_at", at]}}}],
                return_document=ReturnDocument.AFTER,
            )
        if found is None:
            raise KeyNotFound(f"there is no living key {key_id}")
        return _decode(found)

    def bind_all(self) -> int:
        """Binds the keys of earlier releases and returns their number."""
        with translating_errors():
            found = list(self._keys.find({"binding": None}))
            for document in found:
                bound = self._binding(_decode(document), document["hash"])
                self._keys.update_one(
                    {"_id": document["_id"], "binding": None},
                    {"$set": {"binding": bound}},
                )
        return len(found)

    def _binding(self, key: ApiKey, digest: str) -> str:
        """A keyed hash: write access to the database cannot change a key's owner."""
        fields = (digest, key.id, key.merchant, key.mode.value, key.role.value)
        return self._pepper.hash(json.dumps(["api key", *fields]))

    def _is_bound(self, document: Mapping[str, Any]) -> bool:
        """Whether the key still has its original owner; logs one that has not."""
        bound = self._binding(_decode(document), document["hash"])
        if hmac.compare_digest(str(document.get("binding")), bound):
            return True
        log.error("api_key_changed", key_id=document["_id"])
        return False

    def _look_up(self, secret: str, digest: str) -> ApiKey:
        """Finds the key by its public part and compares its hash in constant time.

        Raises KeyNotFound.
        """
        with translating_errors():
            found = self._keys.find_one({"_id": find_key_id(secret)})
        if found is None or not hmac.compare_digest(found["hash"], digest):
            raise KeyNotFound
        key = decode_or_report(found, _decode, self._keys)
        if not self._is_bound(found):
            raise KeyNotFound
        return key


def _decode(document: Mapping[str, Any]) -> ApiKey:
    return ApiKey(
        id=document["_id"],
        merchant=document["merchant"],
        mode=Mode(document["mode"]),
        role=Role(document["role"]),
        created_at=document["created_at"],
        expires_at=document["expires_at"],
    )
