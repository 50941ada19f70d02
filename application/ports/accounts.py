"""The stores of API keys, of merchants' settings and of their provider accounts.

Every method raises StoreUnavailable where the store cannot answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from application.ports.payments import Scope
from domain.account import Account, StoredAccount
from domain.api_keys import ApiKey
from domain.merchants import MerchantSettings
from domain.payments.submission import DuplicatePolicy, Mode


class ApiKeyStore(Protocol):
    """The API keys of the deployment; no secret is stored."""

    def add(self, key: ApiKey, secret: str) -> None:
        """Stores a new key with its secret."""

    def find(self, secret: str) -> ApiKey | None:
        """The key of ``secret``, also after its end; None where there is none.

        The key may have been read some seconds ago.
        """

    def is_cached(self, secret: str) -> bool:
        """Whether the key of ``secret`` was read recently; reads no database."""

    def get(self, key_id: str) -> ApiKey:
        """One key as it is stored now. Raises KeyNotFound and KeyChanged."""

    def list(self, merchant: str | None = None) -> list[ApiKey]:
        """All keys, or one merchant's, oldest first; at most 1,000."""

    def end(self, key_id: str, at: datetime, *, now: datetime) -> ApiKey:
        """Ends the key at ``at``; an earlier end stays.

        Raises KeyNotFound where there is no such key, or it has ended by ``now``.
        """


class MerchantStore(Protocol):
    """The settings of merchants."""

    def load_settings(self, scope: Scope) -> MerchantSettings:
        """The settings of a merchant, with its accounts of the mode.

        They may have been read some seconds ago.
        """

    def change_settings(
        self,
        merchant: str,
        *,
        duplicate_policy: DuplicatePolicy | None = None,
        routes_on: Sequence[str] | None = None,
    ) -> None:
        """Changes the given settings for new payments; stored payments keep theirs.

        The same store object has the new settings at once.
        """


class AccountStore(Protocol):
    """The provider accounts of merchants.

    Methods that read raise DocumentUnreadable where credentials cannot be decrypted.
    """

    def add(self, account: StoredAccount) -> None:
        """Stores a new account. Raises AlreadyConnected."""

    def count(self, merchant: str, mode: Mode) -> int:
        """The number of a merchant's accounts in one mode."""

    def get(self, account_id: str) -> StoredAccount:
        """One account. Raises AccountNotFound."""

    def find_connected(self, name: str, mode: Mode) -> StoredAccount:
        """The account with Stripe's id ``name``. Raises AccountNotFound."""

    def retirement_dates(self, mode: Mode) -> Mapping[Account, datetime | None]:
        """All accounts of a mode, oldest first, with the dates of their retirement.

        No secret is decrypted.
        """

    def list(
        self, *, merchant: str | None = None, ids: Sequence[str] | None = None
    ) -> Sequence[StoredAccount]:
        """All accounts, a merchant's, or those of ``ids``; oldest first.

        An unreadable account is omitted and logged.
        """

    def list_unreadable(self, *, merchant: str | None = None) -> Sequence[str]:
        """The ids of accounts whose credentials cannot be decrypted."""

    def replace(self, account: StoredAccount) -> bool:
        """Writes a changed account in place of its previous version.

        False where that version is not the stored one any more.
        """
