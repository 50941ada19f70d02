"""The adapters that speak with one account, made by its provider's row."""

from __future__ import annotations

from domain.provider_rules import ProviderName
from domain.account import StoredAccount
from runtime.provider_table import PROVIDERS, Adapters
from runtime.settings import Settings


class AdapterFactory:
    """Makes an account's adapters. All of one provider share its connections."""

    def __init__(self, settings: Settings, *, connections: int) -> None:
        self._of = {
            name: row.adapters(settings, connections) for name, row in PROVIDERS.items()
        }

    def create_own(self, provider: ProviderName) -> Adapters:
        """Of the account that the settings describe."""
        return self._of[provider](None)

    def of(self, stored: StoredAccount) -> Adapters:
        """Of a merchant's account."""
        return self._of[stored.provider](stored)
