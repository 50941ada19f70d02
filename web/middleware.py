"""Hooks around every call: request id, headers, log line and metric."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from flask import Flask, Response, g, request
from prometheus_client import Histogram
from structlog.contextvars import bind_contextvars, clear_contextvars

from application.logs import get_logger
from runtime.metrics import REGISTRY
from web import parsing

#: Seconds. An insert takes milliseconds, a long poll up to 30 seconds.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SECONDS: Final = Histogram(
    "payments_http_seconds",
    "Duration of an HTTP request to this API, by route",
    ["method", "route", "status"],
    buckets=_BUCKETS,
    registry=REGISTRY,
)
#: Methods with their own label; a client may send any other.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS"})

#: Answers are data: a browser must not run, frame or cache them.
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

log = get_logger(__name__)


def register(app: Flask, new_id: Callable[[str], str]) -> None:
    """Registers the hooks of every call of ``app``."""

    @app.before_request
    def begin() -> None:
        clear_contextvars()
        g.began = time.perf_counter()
        g.request_id = parsing.parse_request_id(request) or new_id("req")
        bind_contextvars(request_id=g.request_id)

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["Request-Id"] = g.request_id
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        _log_request(response.status_code)
        return response


def _log_request(status: int) -> None:
    """Logs the route's rule instead of the path, which may hold any text."""
    method = request.method if request.method in _METHODS else "other"
    route = request.url_rule.rule if request.url_rule else "unmatched"
    seconds = time.perf_counter() - g.began
    SECONDS.labels(method, route, status).observe(seconds)
    write = log.debug if status < 400 else log.info if status < 500 else log.error
    write(
        "request_answered",
        method=method,
        route=route,
        status=status,
        code=g.get("problem"),
        milliseconds=round(seconds * 1000, 1),
    )
