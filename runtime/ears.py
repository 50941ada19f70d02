"""What knows each provider's webhooks, by the deployment's settings."""

from __future__ import annotations

from collections.abc import Mapping

from application.inbox import Ear
from domain.submission import Mode, ProviderName
from providers import paypal_webhooks, stripe_webhooks
from providers.paypal_certificates import Certificates
from runtime import settings_checks as checks
from runtime.settings import Settings


def ears(settings: Settings) -> Mapping[ProviderName, Ear]:
    """One of each provider."""
    base = settings.paypal_api_base.rstrip("/")
    simulated = settings.mode is Mode.TEST and checks.is_loopback(base)
    certificates = Certificates(
        mode=settings.mode,
        hosts=checks.listed(settings.paypal_certificate_hosts),
        loopback=base if simulated else None,
        roots=settings.paypal_roots,
        # Not a call of a worker's; that it failed is counted where it matters.
        observe=lambda call, status_class, seconds: None,
    )
    return {
        ProviderName.STRIPE: stripe_webhooks.StripeWebhooks(
            secrets=checks.listed(settings.stripe_webhook_secrets), mode=settings.mode
        ),
        ProviderName.PAYPAL: paypal_webhooks.PayPalWebhooks(
            webhook_id=settings.paypal_webhook_id, certificates=certificates
        ),
    }
