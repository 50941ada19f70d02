"""A row for each provider: the parts of a process that are specific to it.

Its rules are in ``domain.provider_rules``, its settings in ``runtime.settings``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from application.ports.provider import Provider
from application.ports.reconciliation import Statement
from application.ports.webhooks import DisputeReader, WebhookVerifier
from application.webhooks import ParseWebhook
from domain.account import Account, AccountNotFound, StoredAccount
from domain.errors import WebhookDropped
from domain.payments.submission import Mode
from domain.provider_rules import ProviderName
from domain.webhook_refusals import WebhookRefusal
from providers.credential_checks import (
    PermissionChecks,
    paypal_permission_checks,
    stripe_permission_checks,
)
from providers.http import PooledSession
from providers.paypal import webhooks as paypal_webhooks
from providers.paypal.adapter import PayPal
from providers.paypal.certificates import Certificates
from providers.paypal.client import PayPalApi
from providers.paypal.disputes import PayPalDisputeReader
from providers.paypal.transactions import PayPalStatement
from providers.paypal.webhooks import PayPalWebhooks
from providers.retry_unsent import RetryUnsent
from providers.stripe import webhooks as stripe_webhooks
from providers.stripe.adapter import Stripe
from providers.stripe.balance import StripeStatement
from providers.stripe.client import PooledClient, create_client, connection_pools
from providers.stripe.disputes import StripeDisputeReader
from providers.stripe.webhooks import StripeWebhooks
from runtime import metrics, settings_checks as checks
from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Adapters:
    """The adapters of one account, all by the same credentials."""

    provider: Provider
    disputes: DisputeReader
    statement: Statement
    permission_checks: PermissionChecks


#: Finds a connected account by its id at the provider. Raises AccountNotFound.
FindConnected = Callable[[str], StoredAccount]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderParts:
    """One provider's row. The account None is the deployment's own."""

    #: Makes the adapters of an account. The number is the pool size of the
    #: connections, which all accounts of the provider share.
    adapters: Callable[[Settings, int], Callable[[StoredAccount | None], Adapters]]
    #: Makes the verifier of an account's webhooks.
    verifiers: Callable[
        [Settings, FindConnected], Callable[[StoredAccount | None], WebhookVerifier]
    ]
    #: The headers that the verifier reads, each with the pattern of its value.
    webhook_headers: Mapping[str, str]
    #: Reads a verified webhook. Raises UnreadableWebhook.
    read_webhook: ParseWebhook


def _stripe_adapters(
    settings: Settings, connections: int
) -> Callable[[StoredAccount | None], Adapters]:
    """Uses the deployment's own key for an account without a key."""
    transport = PooledClient(
        connection_pools(connections=connections, proxy=settings.provider_proxy),
        observe=metrics.create_observer(ProviderName.STRIPE),
    )

    def adapters(stored: StoredAccount | None) -> Adapters:
        secret = stored and stored.credentials.secret
        client = create_client(
            api_base=settings.stripe_api_base,
            secret_key=secret or settings.stripe_secret_key,
            transport=transport,
            connected=stored.connected_account if stored else None,
        )
        return Adapters(
            RetryUnsent(Stripe(client)),
            StripeDisputeReader(client),
            StripeStatement(client),
            stripe_permission_checks(client),
        )

    return adapters


def _paypal_adapters(
    settings: Settings, connections: int
) -> Callable[[StoredAccount | None], Adapters]:
    """Uses the credentials of the account's app."""
    session = PooledSession(
        connections=connections,
        observe=metrics.create_observer(ProviderName.PAYPAL),
        proxy=settings.provider_proxy,
    )

    def adapters(stored: StoredAccount | None) -> Adapters:
        client_id, secret = settings.paypal_client_id, settings.paypal_client_secret
        if stored is not None:
            credentials = stored.credentials
            client_id, secret = credentials.client_id or "", credentials.secret or ""
        api = PayPalApi(
            endpoint=settings.paypal_api_base,
            client_id=client_id,
            client_secret=secret,
            mode=settings.mode,
            session=session,
        )
        return Adapters(
            RetryUnsent(PayPal(api)),
            PayPalDisputeReader(api),
            PayPalStatement(api),
            paypal_permission_checks(api),
        )

    return adapters


def _stripe_verifiers(
    settings: Settings, find_connected: FindConnected
) -> Callable[[StoredAccount | None], WebhookVerifier]:
    """Stripe sends the events of all connected accounts to the deployment's own
    address; each event names its account."""

    def find(name: str | None) -> Account:
        if name is None:
            return Account.own(ProviderName.STRIPE)
        try:
            return find_connected(name).account
        except AccountNotFound:
            raise WebhookDropped(WebhookRefusal.ANOTHER_ACCOUNT) from None

    def verifier(stored: StoredAccount | None) -> WebhookVerifier:
        if stored is None:
            secrets = checks.listed(settings.stripe_webhook_secrets)
            return StripeWebhooks(find, secrets=secrets, mode=settings.mode)
        return StripeWebhooks(
            lambda name: _check_same(stored, name),
            secrets=stored.credentials.webhook_secrets,
            mode=settings.mode,
        )

    return verifier


def _check_same(stored: StoredAccount, name: str | None) -> Account:
    if name != stored.connected_account:
        raise WebhookDropped(WebhookRefusal.ANOTHER_ACCOUNT)
    return stored.account


def _paypal_verifiers(
    settings: Settings, find_connected: FindConnected
) -> Callable[[StoredAccount | None], WebhookVerifier]:
    """PayPal signs the events of all accounts with one certificate."""
    base = settings.paypal_api_base.rstrip("/")
    simulated = settings.mode is Mode.TEST and checks.is_loopback(base)
    certificates = Certificates(
        mode=settings.mode,
        hosts=checks.listed(settings.paypal_certificate_hosts),
        loopback=base if simulated else None,
        roots=settings.paypal_roots,
        proxy=settings.provider_proxy,
        # Not measured: no worker makes this call, and a failure refuses the webhook.
        observe=lambda call, status_class, seconds: None,
    )

    def verifier(stored: StoredAccount | None) -> WebhookVerifier:
        account, webhook_id = (
            Account.own(ProviderName.PAYPAL),
            settings.paypal_webhook_id,
        )
        if stored is not None:
            account, webhook_id = stored.account, stored.credentials.webhook_id or ""
        return PayPalWebhooks(account, webhook_id=webhook_id, certificates=certificates)

    return verifier


#: The registry: each provider's parts, by its name.
PROVIDERS: Final[dict[ProviderName, ProviderParts]] = {
    ProviderName.STRIPE: ProviderParts(
        adapters=_stripe_adapters,
        verifiers=_stripe_verifiers,
        webhook_headers=stripe_webhooks.HEADERS,
        read_webhook=stripe_webhooks.parse_event,
    ),
    ProviderName.PAYPAL: ProviderParts(
        adapters=_paypal_adapters,
        verifiers=_paypal_verifiers,
        webhook_headers=paypal_webhooks.HEADERS,
        read_webhook=paypal_webhooks.parse_event,
    ),
}
