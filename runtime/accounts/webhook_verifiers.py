"""The webhook verifier of each account."""

from __future__ import annotations

from application.ports.accounts import AccountStore
from application.ports.webhooks import WebhookVerifier
from domain.account import AccountNotFound
from domain.provider_rules import ProviderName
from runtime.accounts.cache import AccountCache
from runtime.provider_table import PROVIDERS
from runtime.settings import Settings


class WebhookVerifiers:
    """Makes verifiers from the settings for the deployment's own accounts, and from
    the database for merchants' accounts."""

    def __init__(self, settings: Settings, accounts: AccountStore) -> None:
        self._mode = settings.mode
        self._stored = AccountCache(accounts.get)
        connected = AccountCache(
            lambda name: accounts.find_connected(name, settings.mode)
        )
        self._verifiers = {
            name: parts.verifiers(settings, connected.get)
            for name, parts in PROVIDERS.items()
        }
        self._own = {name: make(None) for name, make in self._verifiers.items()}

    def for_account(
        self, provider: ProviderName, account_id: str | None = None
    ) -> WebhookVerifier:
        """The verifier of a merchant's account, or of the deployment's own account.

        Raises AccountNotFound, FieldUnreadable and StoreUnavailable.
        """
        if account_id is None:
            return self._own[provider]
        stored = self._stored.get(account_id)
        if (stored.provider, stored.mode) != (provider, self._mode):
            raise AccountNotFound
        return self._verifiers[provider](stored)
