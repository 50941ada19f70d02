"""What a worker reads disputes with, and lays them over payments."""

from __future__ import annotations

from application.attempt import Tools
from application.dispute import Desk
from application.ports import OperatorView
from domain.submission import ProviderName
from providers.http import PooledSession
from providers.paypal_disputes import PayPalDisputes
from providers.stripe_disputes import StripeDisputes
from runtime import metrics
from runtime.settings import Settings


def dispute_desk(settings: Settings, view: OperatorView, tools: Tools) -> Desk:
    """By the worker's gates and clock; nothing connects before it is used."""
    return Desk(
        view=view,
        store=tools.store,
        disputes={
            ProviderName.STRIPE: StripeDisputes(
                api_base=settings.stripe_api_base,
                secret_key=settings.stripe_secret_key,
                session=_session(settings, ProviderName.STRIPE),
            ),
            ProviderName.PAYPAL: PayPalDisputes(
                api_base=settings.paypal_api_base,
                client_id=settings.paypal_client_id,
                client_secret=settings.paypal_client_secret,
                mode=settings.mode,
                session=_session(settings, ProviderName.PAYPAL),
            ),
        },
        gates=tools.gates,
        clock=tools.clock,
        told=_count,
    )


def _session(settings: Settings, provider: ProviderName) -> PooledSession:
    return PooledSession(
        connections=settings.worker_slots, observe=metrics.observer(provider)
    )


def _count(provider: ProviderName, event: str) -> None:
    metrics.DISPUTES.labels(provider, event).inc()
