"""Ports of merchants: API keys, settings and provider accounts.

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
        """Stores a new key, which ``secret`` opens."""

    def find(self, secret: str) -> ApiKey | None:
        """The key that ``secret`` opens, also after its end; None where it opens none.

        A store may answer with a key that it read some seconds ago.
        """

    def is_cached(self, secret: str) -> bool:
        """Whether ``secret`` opened a key lately; asks no database."""

    def get(self, key_id: str) -> ApiKey:
        """One key as it is stored now. Raises KeyNotFound and KeyChanged."""

    def list(self, merchant: str | None = None) -> list[ApiKey]:
        """All keys, or one merchant's, oldest first; at most 1,000."""

    def end(self, key_id: str, at: datetime, *, now: datetime) -> ApiKey:
        """Ends the key at ``at``, or at the earlier end that it has.

        Raises KeyNotFound where there is none, or it has ended by ``now``.
        """


class MerchantStore(Protocol):
    """The settings of merchants."""

    def load_settings(self, scope: Scope) -> MerchantSettings:
        """The settings of a merchant, with its accounts of the mode.

        A store may answer with settings that it read some seconds ago.
        """

    def change_settings(
        self,
        merchant: str,
        *,
        duplicate_policy: DuplicatePolicy | None = None,
        routes_on: Sequence[str] | None = None,
    ) -> None:
        """Changes the given settings, for payments from now on.

        The same store answers with them at once. Stored payments keep theirs.
        """


class AccountStore(Protocol):
    """The provider accounts of merchants.

    Methods that read raise DocumentUnreadable where credentials cannot be opened.
    """

    def add(self, account: StoredAccount) -> None:
        """Stores a new account. Raises AlreadyConnected."""

    def count(self, merchant: str, mode: Mode) -> int:
        """The number of a merchant's accounts in one mode."""

    def get(self, account_id: str) -> StoredAccount:
        """One account. Raises AccountNotFound."""

    def find_connected(self, name: str, mode: Mode) -> StoredAccount:
        """The account that is Stripe's ``name``. Raises AccountNotFound."""

    def retirement_dates(self, mode: Mode) -> Mapping[Account, datetime | None]:
        """All accounts of a mode, the oldest first, and since when each is retired.

        No secret is opened.
        """

    def list(
        self, *, merchant: str | None = None, ids: Sequence[str] | None = None
    ) -> Sequence[StoredAccount]:
        """All accounts, a merchant's, or those of ``ids``; the oldest first.

        One that cannot be read is left out, and reported.
        """

    def list_unreadable(self, *, merchant: str | None = None) -> Sequence[str]:
        """The ids of accounts whose credentials cannot be opened."""

    def replace(self, account: StoredAccount) -> bool:
        """Writes a changed account over the version before it.

        False where somebody else wrote that version first.
        """
