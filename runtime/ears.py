"""What knows each account's webhooks from anybody else's."""

from __future__ import annotations

from application.inbox import Ear
from domain.account import Account
from domain.errors import WebhookDropped
from domain.submission import Mode, ProviderName
from persistence.accounts import AccountNotFound, Accounts, StoredAccount
from providers.paypal_certificates import Certificates
from providers.paypal_webhooks import PayPalWebhooks
from providers.stripe_webhooks import StripeWebhooks
from runtime import settings_checks as checks
from runtime.known_accounts import KnownAccounts
from runtime.settings import Settings


class Ears:
    """One of each account: the deployment's own by its settings, a merchant's by what
    is stored of it."""

    def __init__(self, settings: Settings, accounts: Accounts) -> None:
        self._mode = settings.mode
        self._stored = KnownAccounts(accounts.get)
        self._connected = KnownAccounts(
            lambda name: accounts.connected(name, settings.mode)
        )
        base = settings.paypal_api_base.rstrip("/")
        simulated = settings.mode is Mode.TEST and checks.is_loopback(base)
        self._certificates = Certificates(
            mode=settings.mode,
            hosts=checks.listed(settings.paypal_certificate_hosts),
            loopback=base if simulated else None,
            roots=settings.paypal_roots,
            proxy=settings.provider_proxy,
            # Not a call of a worker's; that it failed is counted where it matters.
            observe=lambda call, status_class, seconds: None,
        )
        self._own: dict[ProviderName, Ear] = {
            ProviderName.STRIPE: StripeWebhooks(
                self._named,
                secrets=checks.listed(settings.stripe_webhook_secrets),
                mode=settings.mode,
            ),
            ProviderName.PAYPAL: PayPalWebhooks(
                Account.own(ProviderName.PAYPAL),
                webhook_id=settings.paypal_webhook_id,
                certificates=self._certificates,
            ),
        }

    def of(self, provider: ProviderName, account_id: str | None = None) -> Ear:
        """That of a merchant's account at ``provider``, or of the deployment's own.

        Raises AccountNotFound, FieldUnreadable and StoreUnavailable.
        """
        if account_id is None:
            return self._own[provider]
        stored = self._stored.get(account_id)
        if (stored.provider, stored.mode) != (provider, self._mode):
            raise AccountNotFound
        its = stored.credentials
        if provider is ProviderName.PAYPAL:
            return PayPalWebhooks(
                stored.account,
                webhook_id=its.webhook_id or "",
                certificates=self._certificates,
            )
        return StripeWebhooks(
            lambda name: _only(stored, name),
            secrets=its.webhook_secrets,
            mode=self._mode,
        )

    def _named(self, name: str | None) -> Account:
        """Whose an event at the deployment's own address is: all connected accounts'
        come to one, and name theirs."""
        if name is None:
            return Account.own(ProviderName.STRIPE)
        try:
            return self._connected.get(name).account
        except AccountNotFound:
            raise WebhookDropped("another_account") from None


def _only(stored: StoredAccount, name: str | None) -> Account:
    if name != stored.connected:
        raise WebhookDropped("another_account")
    return stored.account
