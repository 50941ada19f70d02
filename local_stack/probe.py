"""Probes of a server: one request, with a time limit."""

from __future__ import annotations

from ipaddress import ip_address
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

#: Seconds of a probe at most; on the loopback, an answer takes milliseconds.
TIMEOUT: Final = 1.0


def is_ready(url: str, *, seconds: float = TIMEOUT) -> bool:
    """Whether ``url`` serves: 2xx of HTTP, PONG of Redis, a primary of MongoDB.

    Waits about ``seconds`` for the answer. Never raises.
    """
    probes = {"http": _http, "redis": _redis, "rediss": _redis, "mongodb": _mongo}
    return probes[urlsplit(url).scheme](url, seconds)


def fetch(url: str, *, seconds: float = TIMEOUT) -> bytes:
    """The body at ``url``. Raises OSError, and HTTPException unless it is a 2xx."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        if not 200 <= answer.status < 300:
            raise HTTPException(answer.status)
        return answer.read()
    finally:
        connection.close()


def _http(url: str, seconds: float) -> bool:
    try:
        fetch(url, seconds=seconds)
    except (OSError, HTTPException):
        return False
    return True


def _redis(url: str, seconds: float) -> bool:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    with Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def _mongo(url: str, seconds: float) -> bool:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    limit = int(seconds * 1000)
    with MongoClient[dict[str, Any]](
        url, serverSelectionTimeoutMS=limit, timeoutMS=limit
    ) as client:
        try:
            return bool(client.admin.command("hello").get("isWritablePrimary"))
        except PyMongoError:
            return False


def reachable(host: str) -> str:
    """The host for the URL of a server that listens on ``host``.

    For an address such as 0.0.0.0 it is the loopback. Raises ValueError if ``host`` is
    not an IP address.
    """
    address = ip_address(host)
    if address.version == 6:
        return "[::1]" if address.is_unspecified else f"[{address}]"
    return "127.0.0.1" if address.is_unspecified else str(address)
