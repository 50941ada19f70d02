"""Asks a server once whether it serves."""

from __future__ import annotations

from ipaddress import ip_address
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

#: Seconds one question may take: on the loopback, an answer takes milliseconds.
TIMEOUT: Final = 1.0


def is_ready(url: str, *, seconds: float = TIMEOUT) -> bool:
    """Whether ``url`` serves: 2xx of HTTP, PONG of Redis, a primary of MongoDB.

    The answer has about so many ``seconds``. Never raises.
    """
    probes = {"http": _http, "redis": _redis, "rediss": _redis, "mongodb": _mongo}
    return probes[urlsplit(url).scheme](url, seconds)


def fetch(url: str, *, seconds: float = TIMEOUT) -> bytes:
    """What an HTTP server that is ready has there. Raises OSError, HTTPException."""
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
    """The host, as in a URL, of a server that listens on ``host`` or everywhere.

    Raises ValueError where it is no IP address.
    """
    address = ip_address(host)
    if address.version == 6:
        return "[::1]" if address.is_unspecified else f"[{address}]"
    return "127.0.0.1" if address.is_unspecified else str(address)
