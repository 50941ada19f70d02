"""Asks a server once whether it serves, which takes about a second.

``python -m runtime.stack.probe URL`` exits with 0 where it does: containers ask so.
"""

from __future__ import annotations

import sys
from ipaddress import ip_address
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

#: Seconds one question may take: on the loopback, an answer takes milliseconds.
TIMEOUT: Final = 1.0


def ready(url: str) -> bool:
    """Whether ``url`` serves: 2xx of HTTP, PONG of Redis, a primary of MongoDB.

    Never raises.
    """
    probes = {"http": _http, "redis": _redis, "rediss": _redis, "mongodb": _mongo}
    return probes[urlsplit(url).scheme](url)


def fetched(url: str) -> bytes:
    """What an HTTP server that is ready has there. Raises OSError, HTTPException."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        if not 200 <= answer.status < 300:
            raise HTTPException(answer.status)
        return answer.read()
    finally:
        connection.close()


def _http(url: str) -> bool:
    try:
        fetched(url)
    except (OSError, HTTPException):
        return False
    return True


def _redis(url: str) -> bool:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    with Redis.from_url(
        url,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def _mongo(url: str) -> bool:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    with MongoClient[dict[str, Any]](
        url, serverSelectionTimeoutMS=int(TIMEOUT * 1000), timeoutMS=int(TIMEOUT * 1000)
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


if __name__ == "__main__":
    sys.exit(not ready(sys.argv[1]))
