"""How a worker reaches each account: an adapter for each, by the newest credentials."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from application.ports import Provider
from domain.account import Account
from domain.answer import Answer
from domain.errors import Misconfigured, NotExecuted, StoreUnavailable
from domain.operation import Operation
from domain.payment import Payment
from domain.submission import ProviderName
from persistence.accounts import AccountNotFound, Accounts, Credentials, StoredAccount
from persistence.vault import KeyMissing
from providers.http import PooledSession
from providers.paypal import PayPal
from providers.resilience import Patient
from providers.stripe import Stripe
from runtime import metrics
from runtime.settings import Settings

log = logging.getLogger(__name__)

#: Seconds until a worker goes by credentials that were changed.
KNOWN: Final = 5.0
#: Accounts that a worker remembers at once, each some kilobytes.
REMEMBERED: Final = 1_000


@dataclass(slots=True)
class _Known:
    """An account as it was read, and the adapter that its credentials made."""

    stored: StoredAccount
    provider: Provider
    until: float


class AccountProviders:
    """Gives each account its Provider. All of one provider share its connections."""

    def __init__(
        self,
        settings: Settings,
        accounts: Accounts,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._clock = clock
        self._rates: Mapping[str, float] = settings.rates()
        self._sessions = {
            name: PooledSession(
                connections=settings.worker_slots, observe=metrics.observer(name)
            )
            for name in ProviderName
        }
        self._own = {
            name: self._made(name, own_credentials(settings, name), None)
            for name in ProviderName
        }
        self._lock = threading.Lock()
        self._cache: OrderedDict[str, _Known] = OrderedDict()

    def __call__(self, account: Account) -> Provider:
        """Asks nobody: credentials are read when a call needs them."""
        own = self._own[account.provider]
        return own if account.is_own else _OfAccount(account.id, own, self)

    def rate(self, account_id: str) -> float:
        """Calls a second that the account takes, 0 for any number; never raises."""
        if account_id in self._rates:
            return self._rates[account_id]
        try:
            stored = self._known(account_id).stored
        except (AccountNotFound, KeyMissing, StoreUnavailable):
            return self._rates[ProviderName.STRIPE]
        return self._rates[stored.provider] if stored.rate is None else stored.rate

    def current(self, account_id: str) -> Provider:
        """By credentials that are KNOWN seconds old at most, or the last that could be
        read. Raises NotExecuted: without them no call is made."""
        try:
            return self._known(account_id).provider
        except AccountNotFound:
            raise Misconfigured("account_missing") from None
        except (KeyMissing, StoreUnavailable) as error:
            why = {"account": account_id, "error": error.code}
            log.error("credentials_unavailable", extra=why)
            raise NotExecuted("credentials_unavailable") from None

    def _known(self, account_id: str) -> _Known:
        now = self._clock()
        with self._lock:
            known = self._cache.get(account_id)
            if known is not None:
                self._cache.move_to_end(account_id)
                if now < known.until:
                    return known
                known.until = now + KNOWN  # others go on with it meanwhile
        try:
            stored = self._accounts.get(account_id)
        except (KeyMissing, StoreUnavailable):
            if known is not None:
                return known
            raise
        if known is not None and _opens_the_same(known.stored, stored):
            provider = known.provider
        else:
            its = stored.credentials
            provider = self._made(stored.provider, its, stored.connected)
        fresh = _Known(stored, provider, now + KNOWN)
        with self._lock:
            self._cache[account_id] = fresh
            if len(self._cache) > REMEMBERED:
                self._cache.popitem(last=False)
        return fresh

    def _made(
        self, name: ProviderName, its: Credentials, connected: str | None
    ) -> Provider:
        own, session = own_credentials(self._settings, name), self._sessions[name]
        if name is ProviderName.STRIPE:
            return Patient(
                Stripe(
                    api_base=self._settings.stripe_api_base,
                    secret_key=its.secret or own.secret or "",
                    session=session,
                    connected=connected,
                )
            )
        return Patient(
            PayPal(
                api_base=self._settings.paypal_api_base,
                client_id=its.client_id or "",
                client_secret=its.secret or "",
                mode=self._settings.mode,
                session=session,
            )
        )


@dataclass(frozen=True, slots=True)
class _OfAccount:
    """A Provider whose credentials are looked up for each call."""

    account: str
    like: Provider  #: prepares the same: no request names its account
    providers: AccountProviders

    def prepare(self, payment: Payment, operation: Operation) -> str:
        """See Provider."""
        return self.like.prepare(payment, operation)

    def send(self, payment: Payment) -> Answer:
        """See Provider."""
        return self.providers.current(self.account).send(payment)

    def look(self, payment: Payment) -> Answer:
        """See Provider."""
        return self.providers.current(self.account).look(payment)


def own_credentials(settings: Settings, provider: ProviderName) -> Credentials:
    """What opens the deployment's own account at ``provider``."""
    if provider is ProviderName.STRIPE:
        return Credentials(settings.stripe_secret_key)
    return Credentials(settings.paypal_client_secret, settings.paypal_client_id)


def _opens_the_same(one: StoredAccount, other: StoredAccount) -> bool:
    return (one.credentials, one.connected) == (other.credentials, other.connected)
