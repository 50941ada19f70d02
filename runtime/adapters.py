"""What speaks with one account, made from the credentials that open it."""

from __future__ import annotations

from dataclasses import dataclass

from application.inbox import Disputes
from application.ports import Provider
from application.statement import Statement
from domain.submission import ProviderName
from providers.http import PooledSession
from providers.paypal import PayPal
from providers.paypal_api import PayPalApi
from providers.paypal_disputes import PayPalDisputes
from providers.paypal_statement import PayPalStatement
from providers.resilience import Patient
from providers.rights import Rights, paypal_rights, stripe_rights
from providers.stripe import Stripe
from providers.stripe_client import client_of
from providers.stripe_disputes import StripeDisputes
from providers.stripe_statement import StripeStatement
from runtime import metrics
from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Adapters:
    """All by the same credentials."""

    provider: Provider
    disputes: Disputes
    statement: Statement
    rights: Rights


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
            for name in ProviderName
        }

    def own(self, provider: ProviderName) -> Adapters:
        """Of the account that the settings describe."""
        its = self._settings
        if provider is ProviderName.STRIPE:
            return self.stripe(None, None)
        return self.paypal(its.paypal_client_id, its.paypal_client_secret)

    def stripe(self, secret_key: str | None, connected: str | None) -> Adapters:
        """By the deployment's own key where there is none."""
        client = client_of(
            api_base=self._settings.stripe_api_base,
            secret_key=secret_key or self._settings.stripe_secret_key,
            session=self._sessions[ProviderName.STRIPE],
            connected=connected,
        )
        return Adapters(
            Patient(Stripe(client)),
            StripeDisputes(client),
            StripeStatement(client),
            stripe_rights(client),
        )

    def paypal(self, client_id: str, client_secret: str) -> Adapters:
        """By an app's credentials."""
        api = PayPalApi(
            endpoint=self._settings.paypal_api_base,
            client_id=client_id,
            client_secret=client_secret,
            mode=self._settings.mode,
            session=self._sessions[ProviderName.PAYPAL],
        )
        return Adapters(
            Patient(PayPal(api)),
            PayPalDisputes(api),
            PayPalStatement(api),
            paypal_rights(api),
        )
