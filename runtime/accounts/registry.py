"""The adapters of each account, with its current credentials."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from application.cache import Cache
from application.logs import get_logger
from application.ports.accounts import AccountStore
from application.ports.provider import Provider
from application.ports.reconciliation import Statement
from application.ports.webhooks import DisputeReader
from domain.account import Account, AccountNotFound, Credentials, StoredAccount
from domain.error_details import ErrorDetail
from domain.errors import Misconfigured, NotExecuted, StoreUnavailable
from domain.payments.answer import Answer
from domain.payments.operation import Operation
from domain.payments.payment import Payment
from domain.provider_rules import ProviderName
from persistence.encryption import FieldUnreadable
from runtime.accounts.cache import MAX_CACHED, AccountCache
from runtime.provider_table import PROVIDERS, Adapters
from runtime.settings import Settings

log = get_logger(__name__)


class AdapterFactory:
    """Makes an account's adapters. A provider's accounts share its connections."""

    def __init__(self, settings: Settings, *, connections: int) -> None:
        self._makers = {
            name: row.adapters(settings, connections) for name, row in PROVIDERS.items()
        }

    def create_own(self, provider: ProviderName) -> Adapters:
        """Makes the adapters of the account in the settings."""
        return self._makers[provider](None)

    def create(self, stored: StoredAccount) -> Adapters:
        """Makes the adapters of a merchant's account."""
        return self._makers[stored.provider](stored)


class AccountAdapters:
    """Makes and keeps the adapters of each account."""

    def __init__(
        self, settings: Settings, accounts: AccountStore, *, connections: int
    ) -> None:
        self._rates = settings.rates()
        # The lowest limit of any provider, for unreadable accounts.
        self._unknown_rate = min(filter(None, self._rates.values()), default=0)
        self._accounts = AccountCache(accounts.get)
        self._factory = AdapterFactory(settings, connections=connections)
        self._own = {name: self._factory.create_own(name) for name in PROVIDERS}
        self._lock = threading.Lock()  # one thread makes an account's adapters
        self._made = Cache[str, tuple[_Secrets, Adapters]](size=MAX_CACHED)

    def provider_for(self, account: Account) -> Provider:
        """Reads nothing: each call of the provider reads the credentials."""
        own = self._own[account.provider].provider
        return own if account.is_own else _AccountProvider(account, own, self)

    def dispute_reader_for(self, account: Account) -> DisputeReader:
        """Raises NotExecuted, as ``for_account`` does."""
        return self.for_account(account).disputes

    def statement_for(self, account: Account) -> Statement:
        """Raises NotExecuted, as ``for_account`` does."""
        return self.for_account(account).statement

    def rate_of(self, account_id: str) -> float:
        """The account's limit of calls a second; 0 is no limit. Never raises."""
        if account_id in self._rates:
            return self._rates[account_id]
        try:
            stored = self._accounts.get(account_id)
        except (AccountNotFound, FieldUnreadable, StoreUnavailable):
            return self._unknown_rate
        return (
            self._rates[stored.provider]
            if stored.calls_per_second is None
            else stored.calls_per_second
        )

    def for_account(self, account: Account, payment: Payment | None = None) -> Adapters:
        """Returns adapters with credentials at most CACHE_SECONDS old, or the last
        ones that were read.

        Raises NotExecuted without credentials, and for a ``payment`` of another
        merchant or mode than the account's: the database was tampered with.
        """
        if account.is_own:
            return self._own[account.provider]
        try:
            stored = self._accounts.get(account.id)
        except AccountNotFound:
            raise Misconfigured(ErrorDetail.ACCOUNT_MISSING) from None
        except (FieldUnreadable, StoreUnavailable) as error:
            fields = {"account": account.id, "error": error.code}
            log.error("credentials_unavailable", **fields)
            raise NotExecuted(ErrorDetail.CREDENTIALS_UNAVAILABLE) from None
        if payment is not None and (stored.merchant, stored.mode) != (
            payment.merchant,
            payment.mode,
        ):
            log.error(
                "account_of_another_merchant",
                account=account.id,
                payment=payment.id,
            )
            raise NotExecuted(ErrorDetail.ACCOUNT_OF_ANOTHER_MERCHANT)
        return self._adapters_for(stored)

    def _adapters_for(self, stored: StoredAccount) -> Adapters:
        """Makes new adapters if the account's secrets have changed."""
        secrets = stored.credentials, stored.connected_account
        with self._lock:
            known = self._made.find(stored.id)
            if known is None or known[0] != secrets:
                known = secrets, self._factory.create(stored)
            self._made.put(stored.id, known)  # those used longest ago make room
        return known[1]


#: An account's credentials, and the id of a Stripe account connected to the key's.
_Secrets = tuple[Credentials, str | None]


@dataclass(frozen=True, slots=True)
class _AccountProvider:
    """A Provider that reads its credentials for each call."""

    account: Account
    template: Provider  #: prepares requests, which are the same for every account
    adapters: AccountAdapters

    def prepare(self, payment: Payment, operation: Operation) -> str:
        """Writes a request, which needs no credentials."""
        return self.template.prepare(payment, operation)

    def send(self, payment: Payment) -> Answer:
        """Sends the claimed operation's request."""
        return self.adapters.for_account(self.account, payment).provider.send(payment)

    def look_up(self, payment: Payment) -> Answer:
        """Reads the claimed operation's state at the provider."""
        return self.adapters.for_account(self.account, payment).provider.look_up(
            payment
        )
