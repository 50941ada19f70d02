"""API keys: whose they are, in which mode, with which role."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from collections.abc import Callable, Mapping

from pymongo import ReturnDocument
from pymongo.database import Database

from domain.errors import PaymentsError
from domain.submission import Mode
from persistence.codec import Document
from persistence.faults import read_each, read_one
from persistence.mongo import answering
from persistence.vault import Pepper

log = logging.getLogger(__name__)

#: Seconds a key is trusted without asking again: how long a revoked one may live on.
CACHE_SECONDS: Final = 10.0
#: Keys remembered at once; the one asked for longest ago makes room.
CACHE_SIZE: Final = 10_000
#: Hex digits: 64 bits tell the keys apart, 192 bits keep one secret.
_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 24


class Role(StrEnum):
    """What a key may do."""

    MERCHANT = "merchant"  #: submit and read its own payments
    OPERATOR = "operator"  #: read, and later operate
    ADMIN = "admin"  #: all that an operator may, and the keys


class KeyNotFound(PaymentsError):
    """There is no such API key."""

    code = "key_not_found"


class KeyChanged(PaymentsError):
    """Somebody changed whose the API key is, in the database."""

    code = "key_changed"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: str
    merchant: str
    mode: Mode
    role: Role
    created_at: datetime
    expires_at: datetime | None = None  #: revoked or rolled: refused from then on

    def live_at(self, now: datetime) -> bool:
        """Whether the key is accepted at ``now``."""
        return self.expires_at is None or now < self.expires_at


class ApiKeys:
    """Every method raises StoreUnavailable where the database cannot answer.

    ``cached`` keys are remembered, each for ``cache_seconds``.
    """

    def __init__(
        self,
        database: Database[Document],
        pepper: Pepper,
        *,
        clock: Callable[[], datetime],
        cached: int = CACHE_SIZE,
        cache_seconds: float = CACHE_SECONDS,
    ) -> None:
        self._keys = database.api_keys
        self._cached = cached
        self._cache_seconds = cache_seconds
        self._pepper = pepper
        self._clock = clock
        self._cache: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()
        self._lock = threading.Lock()

    def create(self, *, merchant: str, role: Role, mode: Mode) -> tuple[ApiKey, str]:
        """A new key and its secret, which is never shown again."""
        name = secrets.token_hex(_ID_BYTES)
        secret = f"sk_{mode}_{name}{secrets.token_hex(_SECRET_BYTES)}"
        key = ApiKey(f"key_{name}", merchant, mode, role, self._clock())
        digest = self._pepper.hash(secret)
        with answering():
            self._keys.insert_one(
                {
                    "_id": key.id,
                    "hash": digest,
                    "binding": self._binding(key, digest),
                    "merchant": key.merchant,
                    "mode": key.mode.value,
                    "role": key.role.value,
                    "created_at": key.created_at,
                    "expires_at": None,
                }
            )
        return key, secret

    def find(self, secret: str) -> ApiKey | None:
        """The key that ``secret`` opens now, or None."""
        digest = self._pepper.hash(secret)
        key = self._remembered(digest) or self._look_up(secret, digest)
        return key if key is not None and key.live_at(self._clock()) else None

    def remembers(self, secret: str) -> bool:
        """Whether ``secret`` opened a key lately; asks no database."""
        return self._pepper.hash(secret) in self._cache

    def list(self, merchant: str | None = None) -> list[ApiKey]:
        """All keys, or one merchant's, oldest first; at most 1,000."""
        wanted = {} if merchant is None else {"merchant": merchant}
        with answering():
            found = self._keys.find(wanted).sort("created_at").limit(1000)
            return read_each(found, _key, self._keys)

    def roll(self, key_id: str, *, overlap: timedelta) -> tuple[ApiKey, str]:
        """A successor of a living key, which itself lives on for ``overlap``.

        Raises KeyNotFound.
        """
        with answering():
            found = self._keys.find_one({"_id": key_id})
        if found is None or not _key(found).live_at(self._clock()):
            raise KeyNotFound(f"there is no living key {key_id}")
        old = _key(found)
        if not self._is_bound(found):
            raise KeyChanged(f"whose {key_id} is was changed in the database.")
        # Only once there is a successor may the old one end.
        made = self.create(merchant=old.merchant, role=old.role, mode=old.mode)
        self._end(key_id, self._clock() + overlap)
        return made

    def revoke(self, key_id: str) -> ApiKey:
        """Ends the key now; running processes follow within CACHE_SECONDS.

        Raises KeyNotFound.
        """
        return self._end(key_id, self._clock())

    def bind_all(self) -> int:
        """Binds the keys that an earlier release made; returns how many there were."""
        with answering():
            found = list(self._keys.find({"binding": None}))
            for document in found:
                bound = self._binding(_key(document), document["hash"])
                self._keys.update_one(
                    {"_id": document["_id"], "binding": None},
                    {"$set": {"binding": bound}},
                )
        return len(found)

    def _binding(self, key: ApiKey, digest: str) -> str:
        """Keyed, so that who writes to the database cannot make a key somebody
        else's."""
        its = (digest, key.id, key.merchant, key.mode.value, key.role.value)
        return self._pepper.hash(json.dumps(["api key", *its]))

    def _is_bound(self, document: Mapping[str, Any]) -> bool:
        """Whether the key is whose it was made for; reports one that is not."""
        bound = self._binding(_key(document), document["hash"])
        if hmac.compare_digest(str(document.get("binding")), bound):
            return True
        log.error("api_key_changed", extra={"key_id": document["_id"]})
        return False

    def _end(self, key_id: str, at: datetime) -> ApiKey:
        """The key, which ends at ``at`` or had an earlier end."""
        alive = [{"expires_at": None}, {"expires_at": {"$gt": self._clock()}}]
        with answering():
            found = self._keys.find_one_and_update(
                {"_id": key_id, "$or": alive},
                [{"$set": {"expires_at": {"$min": ["$expires_at", at]}}}],
                return_document=ReturnDocument.AFTER,
            )
        if found is None:
            raise KeyNotFound(f"there is no living key {key_id}")
        return _key(found)

    def _remembered(self, digest: str) -> ApiKey | None:
        with self._lock:
            until, key = self._cache.get(digest, (0.0, None))
            return key if time.monotonic() < until else None

    def _look_up(self, secret: str, digest: str) -> ApiKey | None:
        """By the public part of the secret; the hash is compared in constant time."""
        name = secret.rpartition("_")[2][: 2 * _ID_BYTES]
        with answering():
            found = self._keys.find_one({"_id": f"key_{name}"})
        if found is None or not hmac.compare_digest(found["hash"], digest):
            return None
        key = read_one(found, _key, self._keys)
        if not self._is_bound(found):
            return None
        with self._lock:
            self._cache[digest] = (time.monotonic() + self._cache_seconds, key)
            self._cache.move_to_end(digest)
            if len(self._cache) > self._cached:
                self._cache.popitem(last=False)
        return key


def _key(document: Mapping[str, Any]) -> ApiKey:
    return ApiKey(
        id=document["_id"],
        merchant=document["merchant"],
        mode=Mode(document["mode"]),
        role=Role(document["role"]),
        created_at=document["created_at"],
        expires_at=document["expires_at"],
    )
