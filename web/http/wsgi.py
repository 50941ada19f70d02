"""Calls a WSGI application (PEP 3333) with a completely read request."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from application.logs import get_logger
from web import middleware, problems
from web.call import new_request_id
from web.problem_catalogue import CATALOGUE
from web.problem_codes import ProblemCode

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

log = get_logger(__name__)

#: Statuses without a body (RFC 9110, section 6.4.1).
_BODILESS: Final = ("204", "304")
_BASE: Final[dict[str, Any]] = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}


@dataclass(slots=True)
class Request:
    """A request as it was received; complete once the listener handles it."""

    server: tuple[str, int]
    client: tuple[str, int]
    method: str = ""
    version: str = ""
    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    closes: bool = False  #: the connection ends with the answer
    refused_as: ProblemCode | None = None  #: set if the application must not see it


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it is sent; ``head`` lacks the empty line at its end."""

    head: bytes
    body: bytes


def call(app: WSGIApplication, request: Request) -> Answer:
    """Returns the answer of ``app``. Never raises: an error is logged and gives 500."""
    try:
        return _call(app, _environ(request))
    except Exception:
        log.exception("request_failed")
        return refusal(ProblemCode.INTERNAL_ERROR)


def refusal(code: ProblemCode) -> Answer:
    """Returns the answer to a request that never reached the application."""
    request_id = new_request_id()
    body = problems.encode(problems.document(code, request_id=request_id))
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("Request-Id", request_id),
        *middleware.HEADERS.items(),
    ]
    status, title, _ = CATALOGUE[code]
    if status == 503:
        headers.append(("Retry-After", str(problems.RETRY_AFTER)))
    return Answer(_head(f"{status} {title}", headers), body)


def _call(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    parts: list[bytes] = []

    def start(
        status: str, headers: list[tuple[str, str]], error: object = None, /
    ) -> Callable[[bytes], object]:
        started.append((status, headers))
        return parts.append

    found: Iterable[bytes] = app(environ, start)
    try:
        parts.extend(found)
    finally:
        close = getattr(found, "close", None)
        if close is not None:
            close()
    # An application may start a second answer after an error (PEP 3333).
    status, headers = started[-1]
    body = b"".join(parts)
    if not any(name.lower() == "content-length" for name, _ in headers):
        if not status.startswith(_BODILESS) and environ["REQUEST_METHOD"] != "HEAD":
            headers = [*headers, ("Content-Length", str(len(body)))]
    return Answer(_head(status, headers), body)


def _environ(request: Request) -> WSGIEnvironment:
    path, _, query = request.target.partition(b"?")
    environ: WSGIEnvironment = {
        **_BASE,
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "SERVER_NAME": request.server[0],
        "SERVER_PORT": str(request.server[1]),
        "REMOTE_ADDR": request.client[0],
        "REMOTE_PORT": str(request.client[1]),
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.input": io.BytesIO(request.body),
    }
    for name, value in request.headers:
        key = _environ_key(name)
        if key is not None:
            text = value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


@lru_cache(maxsize=512)
def _environ_key(name: bytes) -> str | None:
    """Returns the WSGI name of a header; None hides it from the application.

    Framing headers no longer describe the body. In WSGI, a name with an underscore
    would look like the hyphenated header that a proxy sets or removes.
    """
    key = name.decode("latin-1").upper()
    if "_" in key or key in ("CONTENT-LENGTH", "TRANSFER-ENCODING"):
        return None
    if key == "CONTENT-TYPE":
        return "CONTENT_TYPE"
    return "HTTP_" + key.replace("-", "_")


def _head(status: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    start = f"HTTP/1.1 {status}\r\nDate: {_format_date(int(time.time()))}\r\n"
    return (start + "".join(lines)).encode("latin-1")


@lru_cache(maxsize=1)
def _format_date(second: int) -> str:
    return formatdate(second, usegmt=True)
