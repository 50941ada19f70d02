"""API keys, merchants' settings and provider accounts in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from application.ports.payments import Scope
from domain.account import Account, AccountNotFound, AlreadyConnected, StoredAccount
from domain.api_keys import ApiKey, KeyNotFound, find_key_id
from domain.merchants import MerchantSettings
from domain.payments.routing import Candidate, Routes
from domain.payments.submission import DuplicatePolicy, Mode


class MemoryApiKeys:
    """An ApiKeyStore; several processes may share ``keys``."""

    def __init__(self, keys: dict[str, tuple[str, ApiKey]] | None = None) -> None:
        self.keys = {} if keys is None else keys
        self._opened: set[str] = set()

    def add(self, key: ApiKey, secret: str) -> None:
        self.keys[key.id] = (secret, key)

    def find(self, secret: str) -> ApiKey | None:
        known, key = self.keys.get(find_key_id(secret), (None, None))
        if known != secret:
            return None
        self._opened.add(secret)
        return key

    def is_cached(self, secret: str) -> bool:
        return secret in self._opened

    def get(self, key_id: str) -> ApiKey:
        if key_id not in self.keys:
            raise KeyNotFound(f"there is no living key {key_id}")
        return self.keys[key_id][1]

    def list(self, merchant: str | None = None) -> list[ApiKey]:
        found = [
            key for _, key in self.keys.values() if merchant in (None, key.merchant)
        ]
        return sorted(found, key=lambda key: key.created_at)[:1000]

    def end(self, key_id: str, at: datetime, *, now: datetime) -> ApiKey:
        key = self.get(key_id)
        if not key.is_live_at(now):
            raise KeyNotFound(f"there is no living key {key_id}")
        ended = replace(key, expires_at=min(key.expires_at or at, at))
        self.keys[key_id] = (self.keys[key_id][0], ended)
        return ended


class MemoryAccounts:
    """An AccountStore whose credentials are always readable."""

    def __init__(self) -> None:
        self.accounts: dict[str, StoredAccount] = {}

    def add(self, account: StoredAccount) -> None:
        connected = (account.connected_account, account.mode)
        if account.connected_account and any(
            (one.connected_account, one.mode) == connected
            for one in self.accounts.values()
        ):
            raise AlreadyConnected
        self.accounts[account.id] = account

    def count(self, merchant: str, mode: Mode) -> int:
        return sum(one.mode is mode for one in self.list(merchant=merchant))

    def get(self, account_id: str) -> StoredAccount:
        if account_id not in self.accounts:
            raise AccountNotFound
        return self.accounts[account_id]

    def find_connected(self, name: str, mode: Mode) -> StoredAccount:
        for one in self.accounts.values():
            if (one.connected_account, one.mode) == (name, mode):
                return one
        raise AccountNotFound

    def retirement_dates(self, mode: Mode) -> Mapping[Account, datetime | None]:
        return {one.account: one.retired_at for one in self.list() if one.mode is mode}

    def list(
        self, *, merchant: str | None = None, ids: Sequence[str] | None = None
    ) -> Sequence[StoredAccount]:
        return [
            one
            for _, one in sorted(self.accounts.items())
            if merchant in (None, one.merchant) and (ids is None or one.id in ids)
        ]

    def list_unreadable(self, *, merchant: str | None = None) -> Sequence[str]:
        return []

    def replace(self, account: StoredAccount) -> bool:
        before = self.accounts.get(account.id)
        if before is None or before.version != account.version - 1:
            return False
        self.accounts[account.id] = account
        return True


class MemoryMerchants:
    """A MerchantStore over ``accounts``, without a cache."""

    def __init__(self, accounts: MemoryAccounts) -> None:
        self._accounts = accounts
        self._chosen: dict[str, MerchantSettings] = {}

    def load_settings(self, scope: Scope) -> MerchantSettings:
        settings = self._chosen.get(scope.merchant, MerchantSettings())
        candidates = tuple(
            Candidate(
                one.account,
                frozenset(one.currencies),
                one.weight,
                retired=one.retired_at is not None,
            )
            for one in self._accounts.list(merchant=scope.merchant)
            if one.mode is scope.mode
        )
        return replace(
            settings, routes=Routes(candidates, settings.routes.decline_codes)
        )

    def change_settings(
        self,
        merchant: str,
        *,
        duplicate_policy: DuplicatePolicy | None = None,
        routes_on: Sequence[str] | None = None,
    ) -> None:
        settings = self._chosen.get(merchant, MerchantSettings())
        codes = settings.routes.decline_codes if routes_on is None else tuple(routes_on)
        duplicate_policy = (
            settings.duplicate_policy if duplicate_policy is None else duplicate_policy
        )
        self._chosen[merchant] = MerchantSettings(
            duplicate_policy, Routes(decline_codes=codes)
        )
