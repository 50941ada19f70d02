"""One pooled HTTP session a provider, with timeouts on every call."""

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
#: within a second or two; at ten a call is lost rather than slow.
TIMEOUT: Final = (3.0, 10.0)
Timeout = tuple[float, float]

#: A provider that wants a longer rest than this is asked again all the same.
_MAX_RETRY_AFTER: Final = timedelta(hours=1)

#: Raised before a request is written: no address, no connection, no trust. urllib3's
#: ProxyError says nothing of that: it is raised for a proxy that took a whole request
#: and went away as well.
_NOT_CONNECTED: Final = (
    NewConnectionError,
    ConnectTimeoutError,
    SSLCertVerificationError,
)
#: How the standard library begins where a proxy makes no connection for us.
_NO_TUNNEL: Final = "Tunnel connection failed"

#: Told of each call: what was called, ``2xx`` or the like, seconds.
Observe = Callable[[str, str, float], None]


class PooledSession(requests.Session):
    """Connections are kept and shared by all threads; nothing is retried here.

    The environment (proxies, .netrc) is not read: reading it costs as much as the
    rest of a call, and a proxy between us and a provider is not to be had by accident.
    ``proxy`` is the URL of one that is wanted, credentials included.
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
        # Accounts share it; nothing that one is given shall come with another's calls.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._observe = observe
        self.timeout = timeout
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=connections)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(  # type: ignore[override]  # its twenty parameters are options
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        """One call, observed; ``timeout`` is ours where none is given.

        An answer that is not streamed has no text that could not be stored or printed.
        """
        if options.get("timeout") is None:
            options["timeout"] = self.timeout
        options.setdefault("allow_redirects", False)
        start, status_class = time.perf_counter(), "none"
        try:
            response = super().request(method, url, **options)
            status_class = f"{response.status_code // 100}xx"
            if not options.get("stream"):
                # The SDKs parse it themselves, so it is made safe before they do.
                response._content = clean_json(response.content)
            return response
        finally:
            seconds = time.perf_counter() - start
            self._observe(route_of(method, url), status_class, seconds)


def parse_retry_after(text: str | None) -> timedelta | None:
    """What a ``Retry-After`` header asks for, an hour at most; dates are ignored."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    return min(timedelta(seconds=int(text[:9])), _MAX_RETRY_AFTER)


def detail_of_status(status: int) -> str:
    """The detail of an error with an HTTP status that says nothing of the call."""
    return ErrorDetail.IN_FLIGHT if status == 409 else f"http_{status}"


def is_unsent(error: BaseException) -> bool:
    """Whether no connection came about, so that no byte of ours can have arrived."""
    return any(
        isinstance(cause, _NOT_CONNECTED)
        or (isinstance(cause, OSError) and str(cause).startswith(_NO_TUNNEL))
        for cause in _iter_causes(error)
    )


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    """The errors inside an error: raised from, wrapped as an argument, as a reason.

    Not ``__context__``: that may be another call's failure, which somebody was
    handling when this one was made.
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
    """``POST /v1/payment_intents``: a label without ids."""
    parts = urlsplit(url).path.split("/")
    named = [
        "{id}" if len(part) > 8 and any(map(str.isdigit, part)) else part
        for part in parts
    ]
    return f"{method.upper()} {'/'.join(named)}"
