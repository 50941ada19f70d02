"""How a process reaches each account: adapters for each, by the newest credentials."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass

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
from persistence.encryption import FieldUnreadable
from runtime.accounts.adapters import AdapterFactory
from runtime.accounts.cache import MAX_CACHED, AccountCache
from runtime.provider_table import PROVIDERS, Adapters
from runtime.settings import Settings

log = logging.getLogger(__name__)


class AccountAdapters:
    """Gives each account its adapters. All of one provider share its connections."""

    def __init__(
        self, settings: Settings, accounts: AccountStore, *, connections: int
    ) -> None:
        self._rates = settings.rates()
        # The lowest limit of any provider, for an account that cannot be read.
        self._unknown_rate = min(filter(None, self._rates.values()), default=0)
        self._accounts = AccountCache(accounts.get)
        self._maker = AdapterFactory(settings, connections=connections)
        self._own = {name: self._maker.create_own(name) for name in PROVIDERS}
        self._lock = threading.Lock()
        self._made: OrderedDict[str, tuple[_Secrets, Adapters]] = OrderedDict()

    def provider_for(self, account: Account) -> Provider:
        """Asks nobody: credentials are read when a call needs them."""
        own = self._own[account.provider].provider
        return own if account.is_own else _AccountProvider(account, own, self)

    def dispute_reader_for(self, account: Account) -> DisputeReader:
        """Raises as ``of`` does."""
        return self.for_account(account).disputes

    def statement_for(self, account: Account) -> Statement:
        """Raises as ``of`` does."""
        return self.for_account(account).statement

    def rate_of(self, account_id: str) -> float:
        """Calls a second that the account takes, 0 for any number; never raises."""
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
        """By credentials that are KNOWN seconds old at most, or the last that could be
        read. Raises NotExecuted: without them no call is made, nor is one for a
        ``payment`` that somebody put at another merchant's account."""
        if account.is_own:
            return self._own[account.provider]
        try:
            stored = self._accounts.get(account.id)
        except AccountNotFound:
            raise Misconfigured(ErrorDetail.ACCOUNT_MISSING) from None
        except (FieldUnreadable, StoreUnavailable) as error:
            why = {"account": account.id, "error": error.code}
            log.error("credentials_unavailable", extra=why)
            raise NotExecuted(ErrorDetail.CREDENTIALS_UNAVAILABLE) from None
        if payment is not None and (stored.merchant, stored.mode) != (
            payment.merchant,
            payment.mode,
        ):
            log.error(
                "account_of_another_merchant",
                extra={"account": account.id, "payment": payment.id},
            )
            raise NotExecuted(ErrorDetail.ACCOUNT_OF_ANOTHER_MERCHANT)
        return self._adapters_for(stored)

    def _adapters_for(self, stored: StoredAccount) -> Adapters:
        """Made anew where what opens the account has changed."""
        opens = stored.credentials, stored.connected_account
        with self._lock:
            known = self._made.get(stored.id)
            if known is None or known[0] != opens:
                known = self._made[stored.id] = opens, self._maker.of(stored)
            self._made.move_to_end(stored.id)
            if len(self._made) > MAX_CACHED:
                self._made.popitem(last=False)
        return known[1]


#: What opens an account: its credentials, and Stripe's id of it below the key's.
_Secrets = tuple[Credentials, str | None]


@dataclass(frozen=True, slots=True)
class _AccountProvider:
    """A Provider whose credentials are looked up for each call."""

    account: Account
    template: Provider  #: prepares the same: no request names its account
    adapters: AccountAdapters

    def prepare(self, payment: Payment, operation: Operation) -> str:
        """See Provider."""
        return self.template.prepare(payment, operation)

    def send(self, payment: Payment) -> Answer:
        """See Provider."""
        return self.adapters.for_account(self.account, payment).provider.send(payment)

    def look_up(self, payment: Payment) -> Answer:
        """See Provider."""
        return self.adapters.for_account(self.account, payment).provider.look_up(
            payment
        )
