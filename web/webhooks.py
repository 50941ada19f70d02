"""The calls under ``/v1/webhooks``: what providers tell us, kept before the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask import Response, request
from pydantic import BaseModel

from application import notice
from domain.errors import CertificateUnavailable, WebhookNotTrusted, WebhookRefused
from domain.submission import ProviderName
from runtime import logs, metrics
from runtime.container import WebServices
from web import answers, rendering
from web.openapi import Call
from web.problems import Problem
from web.webhook_models import PayPalHeaders, ProviderEvent, StripeHeaders

#: Bytes of an event. Evidence of a dispute, 150,000 characters, is the longest thing
#: in one; an escape may make six bytes of a character.
MAX_BODY: Final = 1024 * 1024

log = logs.get_logger()


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The calls, with what they need."""

    services: WebServices

    def stripe(self) -> Response:
        """Take an event of Stripe's.

        For Stripe alone: its signature takes the place of an API key. The answer comes
        once the event is durable; what it tells is looked up at Stripe afterwards.
        """
        return self._heard(ProviderName.STRIPE)

    def paypal(self) -> Response:
        """Take an event of PayPal's.

        For PayPal alone: its signature takes the place of an API key. The answer comes
        once the event is durable; what it tells is looked up at PayPal afterwards.
        """
        return self._heard(ProviderName.PAYPAL)

    def _heard(self, provider: ProviderName) -> Response:
        ear, now = self.services.ears[provider], self.services.clock()
        request.max_content_length = MAX_BODY + 1
        body = request.get_data(cache=False)
        if len(body) > MAX_BODY:
            raise Problem("webhook_too_large")
        try:
            headers = {name.lower(): value for name, value in request.headers}
            webhook = ear.heard(headers, body, now=now)
        except (WebhookRefused, CertificateUnavailable) as error:
            raise _refused(provider, error) from None
        new = notice.receive(
            webhook,
            known=ear.types,
            inbox=self.services.inbox,
            queue=self.services.webhook_bell,
        )
        if new:
            kind = webhook.type if webhook.type in ear.types else "other"
            metrics.WEBHOOKS.labels(provider, kind).inc()
        return rendering.answer({"received": True})


def _refused(
    provider: ProviderName, error: WebhookRefused | CertificateUnavailable
) -> Problem:
    why = error.why if isinstance(error, WebhookRefused) else error.code
    metrics.WEBHOOKS_REFUSED.labels(provider, why).inc()
    log.warning("webhook_refused", provider=provider.value, why=why)
    trusted = not isinstance(error, WebhookNotTrusted)
    challenge = {} if trusted else {"WWW-Authenticate": "Signature"}
    return Problem(error.code, more={"reason": why}, headers=challenge)


def calls(webhooks: Webhooks) -> list[Call]:
    """What is served, for each provider."""
    views: dict[str, tuple[Callable[[], Response], type[BaseModel]]] = {
        "stripe": (webhooks.stripe, StripeHeaders),
        "paypal": (webhooks.paypal, PayPalHeaders),
    }
    return [
        Call(
            "POST",
            f"/v1/webhooks/{name}",
            view,
            answers={200: answers.Received},
            problems=(
                *("webhook_refused", "webhook_not_trusted", "webhook_too_large"),
                *("certificate_unavailable", "store_unavailable"),
            ),
            takes={"header": headers, "body": ProviderEvent},
            tag="webhooks",
            open=True,
        )
        for name, (view, headers) in views.items()
    ]
