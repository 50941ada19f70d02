"""The Flask application: the calls, the pages and their hooks."""

from __future__ import annotations

import os
from dataclasses import dataclass

from flask import Flask

from application.known_breakers import KnownBreakers
from runtime import logs
from runtime.container import WebServices, create_web_services
from runtime.settings import Settings
from web import docs, middleware, problems, quotas
from web.long_poll import LongPoll
from web.openapi import application, find_calls
from web.routes.accounts import AccountRoutes
from web.routes.follow_ups import FollowUpRoutes
from web.routes.payments import PaymentRoutes
from web.routes.replays import ReplayRoutes
from web.routes.webhooks import WebhookRoutes


@dataclass(frozen=True, slots=True)
class Web:
    """The application and its waiting requests, which end when the process stops."""

    app: Flask
    waiting: LongPoll


def from_environment() -> Flask:
    """Builds the application from ``PAYMENTS_*`` variables, for any WSGI server.

    ``python -m web`` serves it with time and size limits and with health checks.
    ``gunicorn "web.app:from_environment()"`` with threads serves only the API, and
    needs a proxy in front that buffers slow clients. Raises SettingsError.
    """
    settings = Settings.read(os.environ)
    logs.configure(settings, "web")
    return build(create_web_services(settings)).app


def build(services: WebServices) -> Web:
    """Builds the application. Nothing connects before the first request."""
    capacity = max(1, services.settings.web_threads // 2)
    waiting = LongPoll(services.store, capacity=capacity)
    breakers = KnownBreakers(services.breakers)
    calls = find_calls(
        PaymentRoutes(services, waiting, breakers),
        FollowUpRoutes(services),
        ReplayRoutes(services),
        AccountRoutes(services),
    )
    calls += WebhookRoutes(services).list_endpoints()
    app, document = application(calls)
    # A redirect would repeat the path in the answer; inexact addresses are not found.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.register_blueprint(docs.pages(document))
    problems.register(app)
    quotas.register(app, services)
    middleware.register(app)
    return Web(app, waiting)
