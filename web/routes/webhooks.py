"""The calls under ``/v1/webhooks``: events of providers, stored before the answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask import Response, request

from application import webhooks
from application.logs import get_logger
from application.ports.webhooks import WebhookVerifier
from domain.account import AccountNotFound
from domain.errors import (
    CertificateUnavailable,
    WebhookDropped,
    WebhookNotTrusted,
    WebhookRefused,
)
from domain.payments.submission import ProviderName
from domain.provider_rules import RULES
from domain.webhook_refusals import WebhookRefusal
from runtime import metrics
from runtime.container import WebServices
from runtime.provider_table import PROVIDERS
from web import parsing, rendering
from web.call import CURRENT
from web.models import patterns, responses
from web.models.webhooks import AccountPath, ProviderEvent, describe_headers
from web.openapi import Endpoint, Route
from web.problem_codes import ProblemCode
from web.problems import PROBLEMS, Problem

#: Bytes of an event. The longest part of one is a dispute's evidence: 150,000
#: characters, each at most six bytes when escaped.
MAX_BODY: Final = 1024 * 1024

#: The summary and the description of a provider's calls.
_TEXTS: Final = """Receive an event from {name}.

Only for {name}, whose signature replaces an API key. The answer comes once the event is
durable. The event's object is looked up at {name} afterwards.
"""
_ACCOUNT_TEXTS: Final = """Receive an event from {name} for a merchant's account.

Each account has its own signing secrets or webhook id.
"""

_ACCOUNT: Final = re.compile(patterns.STORED_ACCOUNT_ID)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookRoutes:
    """The calls with their dependencies."""

    services: WebServices

    def list_endpoints(self) -> list[Endpoint]:
        """Lists the calls: for each provider one address, and one for each account."""
        return [
            Endpoint(
                _describe(provider, of_account), self._create_view(provider, of_account)
            )
            for provider in PROVIDERS
            for of_account in (False, True)
        ]

    def _create_view(
        self, provider: ProviderName, of_account: bool
    ) -> Callable[..., Response]:
        def view(account: str | None = None) -> Response:
            return self._receive(provider, account)

        texts = _ACCOUNT_TEXTS if of_account else _TEXTS
        view.__doc__ = texts.format(name=RULES[provider].name)
        view.__name__ = f"{provider}_account" if of_account else provider.value
        return view

    def _receive(self, provider: ProviderName, account: str | None = None) -> Response:
        verifier = self._find_verifier(provider, account)
        try:
            body = _body()
            headers = {name.lower(): value for name, value in request.headers}
            webhook = verifier.verify(
                headers, body, now=self.services.clock(), sender=CURRENT.get().sender
            )
        except (WebhookRefused, CertificateUnavailable) as error:
            raise _refused(provider, account, error) from None
        except WebhookDropped as error:
            metrics.WEBHOOKS_DROPPED.labels(provider, error.reason).inc()
            log.info("webhook_dropped", provider=provider.value, reason=error.reason)
            return rendering.json_response(responses.Received(received=True))
        new = webhooks.receive(
            webhook,
            event_types=verifier.event_types,
            inbox=self.services.inbox,
            queue=self.services.webhook_queue,
        )
        if new:
            kind = webhook.type if webhook.type in verifier.event_types else "other"
            metrics.WEBHOOKS.labels(provider, kind).inc()
        return rendering.json_response(responses.Received(received=True))

    def _find_verifier(
        self, provider: ProviderName, account: str | None
    ) -> WebhookVerifier:
        """Returns the account's verifier. Malformed ids do not reach the database.

        Raises Problem if the account does not exist.
        """
        try:
            if account is None or _ACCOUNT.fullmatch(account):
                return self.services.webhook_verifiers.for_account(provider, account)
        except AccountNotFound:
            pass
        _count_refused(provider, account, WebhookRefusal.ACCOUNT_UNKNOWN)
        raise Problem(ProblemCode.ACCOUNT_NOT_FOUND)


def _describe(provider: ProviderName, of_account: bool) -> Route:
    headers = describe_headers(PROVIDERS[provider].webhook_headers)
    return Route(
        "POST",
        f"/v1/webhooks/{provider}" + ("/<account>" if of_account else ""),
        answers={200: responses.Received},
        problems=(
            ProblemCode.WEBHOOK_REFUSED,
            ProblemCode.WEBHOOK_NOT_TRUSTED,
            ProblemCode.BODY_TOO_LARGE,
            ProblemCode.CERTIFICATE_UNAVAILABLE,
            ProblemCode.STORE_UNAVAILABLE,
            ProblemCode.TOO_MANY_REQUESTS,
            ProblemCode.WRITE_REFUSED,
            ProblemCode.DOCUMENT_UNREADABLE,
            *((ProblemCode.ACCOUNT_NOT_FOUND,) if of_account else ()),
        ),
        takes={
            "header": headers,
            "body": ProviderEvent,
            **({"path": AccountPath} if of_account else {}),
        },
        tag="webhooks",
        open=True,
    )


def _body() -> bytes:
    """Returns the request's body. Raises WebhookRefused if it is too long."""
    body = parsing.read_body(request, MAX_BODY)
    if len(body) > MAX_BODY:
        raise WebhookRefused(WebhookRefusal.TOO_LARGE)
    return body


def _refused(
    provider: ProviderName,
    account: str | None,
    error: WebhookRefused | CertificateUnavailable,
) -> Problem:
    why = (
        error.reason
        if isinstance(error, WebhookRefused)
        else WebhookRefusal.CERTIFICATE_UNAVAILABLE
    )
    _count_refused(provider, account, why)
    trusted = not isinstance(error, WebhookNotTrusted)
    challenge = {} if trusted else {"WWW-Authenticate": "Signature"}
    return Problem(PROBLEMS[type(error)], reason=why, headers=challenge)


def _count_refused(
    provider: ProviderName, account: str | None, reason: WebhookRefusal
) -> None:
    """Counts and logs a refused webhook.

    The id of an unknown account is not logged, because anybody can invent one.
    """
    metrics.WEBHOOKS_REFUSED.labels(provider, reason).inc()
    known = (
        {}
        if reason is WebhookRefusal.ACCOUNT_UNKNOWN
        else {"account": account or provider.value}
    )
    log.warning("webhook_refused", provider=provider.value, reason=reason, **known)
