"""WSGI middleware around every call: request id, headers, log line and metric."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from flask import Flask
from flask.globals import request_ctx
from prometheus_client import Histogram
from structlog.contextvars import bind_contextvars, clear_contextvars

from application.logs import get_logger
from runtime.metrics import REGISTRY
from web import parsing
from web.call import CURRENT, Call, new_request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Body = Iterable[bytes]

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


def register(app: Flask) -> None:
    """Wraps every call of ``app``, and what was registered for it before."""
    answer = app.wsgi_app

    def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Body:
        clear_contextvars()
        request_id = parsing.parse_request_id(environ) or new_request_id()
        bind_contextvars(request_id=request_id)
        call = Call(request_id, time.perf_counter())
        CURRENT.set(call)

        def start(
            status: str, headers: list[tuple[str, str]], error: Any = None, /
        ) -> Callable[[bytes], object]:
            _log_request(call, int(status[:3]))
            given = {name.lower() for name, _ in headers}
            missing = [one for one in HEADERS.items() if one[0].lower() not in given]
            complete = [*headers, ("Request-Id", request_id), *missing]
            return start_response(status, complete, error)

        return answer(environ, start)

    app.wsgi_app = wsgi_app  # type: ignore[method-assign]  # as Flask documents


def _log_request(call: Call, status: int) -> None:
    """Logs the route's rule instead of the path, which may hold any text."""
    request = request_ctx.request
    method = request.method if request.method in _METHODS else "other"
    route = request.url_rule.rule if request.url_rule else "unmatched"
    seconds = time.perf_counter() - call.began
    SECONDS.labels(method, route, status).observe(seconds)
    write = log.debug if status < 400 else log.info if status < 500 else log.error
    write(
        "request_answered",
        method=method,
        route=route,
        status=status,
        code=call.problem,
        milliseconds=round(seconds * 1000, 1),
    )
