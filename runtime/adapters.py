"""The adapters that speak with one account, made by its provider's row."""

from __future__ import annotations

from domain.provider_rules import ProviderName
from persistence.accounts import StoredAccount
from providers.http import PooledSession
from runtime import metrics
from runtime.provider_table import PROVIDERS, Adapters
from runtime.settings import Settings


class AdapterMaker:
    """Makes an account's adapters. All of one provider share its connections."""

    def __init__(self, settings: Settings, *, connections: int) -> None:
        self._settings = settings
        self._sessions = {
            name: PooledSession(
                connections=connections,
                observe=metrics.observer(name),
                proxy=settings.provider_proxy,
            )
            for name in PROVIDERS
        }

    def own(self, provider: ProviderName) -> Adapters:
        """Of the account that the settings describe."""
        return self._make(provider, None)

    def of(self, stored: StoredAccount) -> Adapters:
        """Of a merchant's account."""
        return self._make(stored.provider, stored)

    def _make(self, provider: ProviderName, stored: StoredAccount | None) -> Adapters:
        session = self._sessions[provider]
        return PROVIDERS[provider].adapters(self._settings, session, stored)
