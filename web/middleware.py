"""What happens around every call: its name, its headers, its log line, its metric."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from flask import Flask, Response, g, request
from prometheus_client import Histogram
from structlog.contextvars import bind_contextvars, clear_contextvars

from runtime import logs
from runtime.metrics import REGISTRY
from web import parsing

#: Seconds; an insert takes milliseconds, a read that waits up to thirty.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SECONDS: Final = Histogram(
    "payments_http_seconds",
    "One HTTP request to this API, by route",
    ["method", "route", "status"],
    buckets=_BUCKETS,
    registry=REGISTRY,
)
#: A client may name any method; these are told apart.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS"})

#: Answers are data: no page may run, frame or keep them.
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

log = logs.get_logger()


def register(app: Flask, new_id: Callable[[str], str]) -> None:
    """Puts the hooks around every call of ``app``."""

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
    """By the route's rule, never the path: a path may hold anything."""
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
