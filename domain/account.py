"""Whose account at a provider carries a payment out."""

from __future__ import annotations

from dataclasses import dataclass

from domain.submission import ProviderName


@dataclass(frozen=True, slots=True)
class Account:
    """One account at a provider, as a payment names it."""

    id: str  #: ours; the deployment's own account has its provider's name
    provider: ProviderName

    @classmethod
    def own(cls, provider: ProviderName) -> Account:
        """The account that the deployment's settings describe."""
        return cls(provider.value, provider)

    @property
    def is_own(self) -> bool:
        """Whether the deployment's settings describe it."""
        return self.id == self.provider.value
