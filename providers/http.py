"""A pooled HTTP session with timeouts on every call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLCertVerificationError
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from domain.error_details import ErrorDetail
from providers.sanitize import clean_json

#: Seconds to connect, and between two bytes of an answer. Stripe and PayPal answer
#: within two seconds; after ten a call is more likely lost than slow.
TIMEOUT: Final = (3.0, 10.0)
Timeout = tuple[float, float]

#: Longest ``Retry-After`` that is followed.
_MAX_RETRY_AFTER: Final = timedelta(hours=1)

#: Raised before a request is written: no address, no connection, no trusted
#: certificate. urllib3's ProxyError is not among them: it is also raised for a proxy
#: that received a whole request before it failed.
_NOT_CONNECTED: Final = (
    NewConnectionError,
    ConnectTimeoutError,
    SSLCertVerificationError,
)
#: Beginning of the standard library's message when a proxy cannot connect.
_NO_TUNNEL: Final = "Tunnel connection failed"

#: Receives each call's route, status class (``2xx``; ``none`` without an answer) and
#: seconds.
Observe = Callable[[str, str, float], None]


class PooledSession(requests.Session):
    """Keeps connections for all threads and retries nothing.

    The environment (proxies, .netrc) is not read: reading it costs as much as the
    rest of a call, and a proxy in front of a provider must be a deliberate choice.
    ``proxy`` is the URL of that proxy, credentials included.
    """

    def __init__(
        self,
        *,
        connections: int,
        observe: Observe,
        timeout: Timeout = TIMEOUT,
        proxy: str = "",
    ) -> None:
        super().__init__()
        self.trust_env = False
        self.proxies = {"http": proxy, "https": proxy} if proxy else {}
        # Accounts share the session, so it must not carry cookies between them.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._observe = observe
        self.timeout = timeout
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=connections)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(  # type: ignore[override]  # its twenty parameters are options
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        """Makes one observed call, by default with the session's timeout.

        The texts of an answer that is not streamed are safe to store and to print.
        """
        if options.get("timeout") is None:
            options["timeout"] = self.timeout
        options.setdefault("allow_redirects", False)
        start, status_class = time.perf_counter(), "none"
        try:
            response = super().request(method, url, **options)
            status_class = f"{response.status_code // 100}xx"
            if not options.get("stream"):
                # The SDKs parse the body themselves, so it is cleaned before that.
                response._content = clean_json(response.content)
            return response
        finally:
            seconds = time.perf_counter() - start
            self._observe(route_of(method, url), status_class, seconds)


def parse_retry_after(text: str | None) -> timedelta | None:
    """The wait of a ``Retry-After`` header, at most an hour. Dates are ignored."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    return min(timedelta(seconds=int(text[:9])), _MAX_RETRY_AFTER)


def detail_of_status(status: int) -> str:
    """The detail of an error whose HTTP status leaves the outcome unknown."""
    return ErrorDetail.IN_FLIGHT if status == 409 else f"http_{status}"


def is_unsent(error: BaseException) -> bool:
    """Whether no connection was made, so no byte of the request can have arrived."""
    return any(
        isinstance(cause, _NOT_CONNECTED)
        or (isinstance(cause, OSError) and str(cause).startswith(_NO_TUNNEL))
        for cause in _iter_causes(error)
    )


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes: ``__cause__``, ``reason`` and exception arguments.

    ``__context__`` is left out: it may be the failure of another call, handled while
    this one was made.
    """
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = (cause.__cause__, getattr(cause, "reason", None), *cause.args)
        waiting += [one for one in inner if _is_error(one)]


def _is_error(value: object) -> bool:
    return isinstance(value, BaseException)


def route_of(method: str, url: str) -> str:
    """A metric label without ids, like ``POST /v1/payment_intents``."""
    parts = urlsplit(url).path.split("/")
    named = [
        "{id}" if len(part) > 8 and any(map(str.isdigit, part)) else part
        for part in parts
    ]
    return f"{method.upper()} {'/'.join(named)}"
