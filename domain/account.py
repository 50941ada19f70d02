"""Accounts at providers: the deployment's own, and those of merchants."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from domain.errors import PaymentsError
from domain.payments.submission import Mode, ProviderName


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


class AccountNotFound(PaymentsError):
    """There is no such account."""

    code = "account_not_found"


class AlreadyConnected(PaymentsError):
    """Another account of this mode is the same connected account of Stripe's."""

    code = "already_connected"


class TooManyAccounts(PaymentsError):
    """The merchant has as many accounts in this mode as can be chosen between."""

    code = "too_many_accounts"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens an account. Nothing here is ever shown."""

    #: Stripe's secret key, or PayPal's client secret; None: the deployment's own, for
    #: a connected account.
    secret: str | None = field(default=None, repr=False)
    client_id: str | None = field(default=None, repr=False)  #: PayPal's
    #: What Stripe signs its webhooks with; several while one rolls.
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
    currencies: tuple[str, ...] = ()  #: ISO 4217; none: any
    weight: int = 1  #: its share beside the merchant's others
    calls_per_second: int | None = (
        None  #: calls a second, 0 for any number; None: as the setting
    )
    connected_account: str | None = None  #: Stripe's id of it, below the key's account
    rolled_at: datetime | None = None
    retired_at: datetime | None = None  #: no new payments from then on
    version: int = 1

    @property
    def account(self) -> Account:
        """As payments name it."""
        return Account(self.id, self.provider)
