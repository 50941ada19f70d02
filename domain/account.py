"""Accounts at providers: the deployment's own, and those of merchants."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from domain.errors import PaymentsError
from domain.payments.submission import Mode, ProviderName


@dataclass(frozen=True, slots=True)
class Account:
    """One account at a provider, as payments refer to it."""

    id: str  #: ours; the deployment's own account has its provider's name
    provider: ProviderName

    @classmethod
    def own(cls, provider: ProviderName) -> Account:
        """The account in the deployment's settings."""
        return cls(provider.value, provider)

    @property
    def is_own(self) -> bool:
        """Whether it is the account in the deployment's settings."""
        return self.id == self.provider.value


class AccountNotFound(PaymentsError):
    """There is no such account."""

    code = "account_not_found"


class AlreadyConnected(PaymentsError):
    """Another account of this mode has the same connected account at Stripe."""

    code = "already_connected"


class TooManyAccounts(PaymentsError):
    """The merchant has the most accounts that are allowed in one mode."""

    code = "too_many_accounts"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets of an account. None of them is ever shown."""

    #: Stripe's secret key, or PayPal's client secret. None for a connected account,
    #: which uses the deployment's own.
    secret: str | None = field(default=None, repr=False)
    client_id: str | None = field(default=None, repr=False)  #: PayPal's
    #: The secrets that Stripe signs webhooks with; several while one is replaced.
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    webhook_id: str | None = field(default=None, repr=False)  #: PayPal's


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """One account of a merchant in one mode."""

    id: str  #: ``acct_01J…``, ours
    merchant: str
    mode: Mode
    provider: ProviderName
    created_at: datetime
    credentials: Credentials
    currencies: tuple[str, ...] = ()  #: ISO 4217; empty: any
    weight: int = 1  #: its share among the merchant's accounts
    #: The rate limit; 0: none; None: the deployment's setting.
    calls_per_second: int | None = None
    connected_account: str | None = None  #: Stripe's id of a connected account
    rolled_at: datetime | None = None
    retired_at: datetime | None = None  #: it gets no new payments from then on
    version: int = 1

    @property
    def account(self) -> Account:
        """The account, as payments refer to it."""
        return Account(self.id, self.provider)
