"""The application: the calls, the pages, and what happens around them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from flask import Flask

from runtime import logs
from runtime.container import WebServices, web_services
from runtime.settings import Settings
from web import docs, middleware, problems, quotas
from web.long_poll import Waiting
from web.open_breakers import OpenGates
from web.openapi import application, find_calls
from web.parsing import MAX_BODY
from web.routes.accounts import Gates
from web.routes.follow_ups import FollowUps
from web.routes.payments import Payments
from web.routes.replays import Replays
from web.routes.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Web:
    """The application, and what must be told when its process stops."""

    app: Flask
    waiting: Waiting


def from_environment() -> Flask:
    """The application that ``PAYMENTS_*`` variables describe, for any WSGI server.

    ``python -m web`` serves it with deadlines and bounds, and its health beside it.
    ``gunicorn "web.app:from_environment()"`` with threads serves the API alone, and
    needs a proxy before it that holds slow clients back. Raises SettingsError.
    """
    settings = Settings.read(os.environ)
    logs.configure(settings, "web")
    return build(web_services(settings)).app


def build(services: WebServices) -> Web:
    """The application on ``services``. Nothing connects before the first request."""
    capacity = max(1, services.settings.web_threads // 2)
    waiting = Waiting(services.store, capacity=capacity)
    gates = OpenGates(services.breakers, clock=services.clock)
    calls = find_calls(
        Payments(services, waiting, gates),
        FollowUps(services),
        Replays(services),
        Gates(services),
        Webhooks(services),
    )
    app, document = application(calls)
    # Flask cuts a chunked body off at this length without a word; one more tells.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY + 1
    # A redirect would repeat the path; an address that is not exact is not found.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.register_blueprint(docs.pages(document))
    middleware.register(app, services.new_id)
    quotas.register(app, services)
    problems.register(app)
    return Web(app, waiting)
