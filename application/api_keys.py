"""Makes, rolls, revokes and recognizes API keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from application.ports.accounts import ApiKeyStore
from domain.api_keys import NAME_DIGITS, SECRET_DIGITS, ApiKey, KeyNotFound, Role
from domain.payments.submission import Mode


def authenticate(
    secret: str, *, store: ApiKeyStore, clock: Callable[[], datetime]
) -> ApiKey | None:
    """The accepted key of ``secret``, or None. Raises StoreUnavailable."""
    key = store.find(secret)
    return key if key is not None and key.is_live_at(clock()) else None


def create_key(
    *, merchant: str, role: Role, mode: Mode, store: ApiKeyStore, now: datetime
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is never shown again.

    Raises StoreUnavailable.
    """
    name = secrets.token_hex(NAME_DIGITS // 2)
    secret = f"sk_{mode}_{name}{secrets.token_hex(SECRET_DIGITS // 2)}"
    key = ApiKey(f"key_{name}", merchant, mode, role, now)
    store.add(key, secret)
    return key, secret


def roll_key(
    key_id: str, *, overlap: timedelta, store: ApiKeyStore, now: datetime
) -> tuple[ApiKey, str]:
    """A new key in place of one that has not ended, which ends after ``overlap``.

    Raises KeyNotFound, KeyChanged and StoreUnavailable.
    """
    old = store.get(key_id)
    if not old.is_live_at(now):
        raise KeyNotFound(f"there is no living key {key_id}")
    # The old key must not end before its successor is stored.
    successor = create_key(
        merchant=old.merchant, role=old.role, mode=old.mode, store=store, now=now
    )
    store.end(key_id, now + overlap, now=now)
    return successor


def revoke_key(key_id: str, *, store: ApiKeyStore, now: datetime) -> ApiKey:
    """Ends the key now; running processes refuse it within seconds.

    Raises KeyNotFound and StoreUnavailable.
    """
    return store.end(key_id, now, now=now)
