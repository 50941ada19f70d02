"""Counts requests against quotas and reports the quotas in answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Request
from flask.globals import request_ctx

from domain.api_keys import ApiKey
from runtime import metrics
from runtime import settings_checks as checks
from runtime.container import WebServices
from runtime.quotas import QuotaName, Usage
from web import parsing
from web.call import CURRENT
from web.problem_codes import ProblemCode
from web.problems import Problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: Hops of ``X-Forwarded-For`` that are read, from the nearest one outwards.
_MAX_HOPS: Final = 8
#: One IPv6 customer usually has all addresses of such a network.
_IPV6_PREFIX: Final = 64

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


def register(app: Flask, services: WebServices) -> None:
    """Counts every call of ``app``. ``middleware.register`` must come after it."""
    answer = app.wsgi_app

    @app.before_request
    def begin() -> None:
        _begin(request_ctx.request, services)

    def wsgi_app(
        environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        def start(
            status: str, headers: list[tuple[str, str]], error: Any = None, /
        ) -> Callable[[bytes], object]:
            return start_response(status, [*headers, *_end(services)], error)

        return answer(environ, start)

    app.wsgi_app = wsgi_app  # type: ignore[method-assign]  # as Flask documents


def count_key(key: ApiKey, services: WebServices) -> None:
    """Counts a request by its valid key instead of its address.

    Raises Problem if a quota is exceeded.
    """
    CURRENT.get().address = None
    _check(services.quotas.hit(QuotaName.KEY, key.id))
    # The key's quota comes first, so that a refused key does not use up the merchant's.
    _check(services.quotas.hit(QuotaName.MERCHANT, key.merchant))


def _begin(request: Request, services: WebServices) -> None:
    """Checks the quota of the client's address before the request is read.

    Webhooks are counted here. Other requests from an address over its quota are
    refused before their key is looked up, except for keys that were valid lately:
    several clients may share an address. Raises Problem.
    """
    call = CURRENT.get()
    address = client_address(
        request.remote_addr,
        request.headers.get("X-Forwarded-For"),
        _networks(services.settings.trusted_proxies),
    )
    if address is None:
        return
    if (request.endpoint or "").startswith("webhooks_"):
        call.sender = address
        _check(services.quotas.hit(QuotaName.WEBHOOKS, address))
        return
    usage = services.quotas.read_usage(QuotaName.ADDRESS, address)
    if usage is not None and not usage.remaining and not _is_known(request, services):
        call.usages.append(usage)
        raise _problem(usage)
    call.address = address


def _end(services: WebServices) -> list[tuple[str, str]]:
    """Counts a request without a valid key and returns the ``RateLimit`` headers."""
    call = CURRENT.get()
    if call.address is not None:
        usage = services.quotas.hit(QuotaName.ADDRESS, call.address)
        if usage is not None:
            call.usages.append(usage)
    if not call.usages:
        return []
    return [
        ("RateLimit-Policy", ", ".join(map(_policy, call.usages))),
        ("RateLimit", ", ".join(map(_limit, call.usages))),
    ]


def _check(usage: Usage | None) -> None:
    if usage is None:
        return
    CURRENT.get().usages.append(usage)
    if usage.is_exceeded:
        raise _problem(usage)


def _problem(usage: Usage) -> Problem:
    name = usage.quota.name
    metrics.REQUESTS_LIMITED.labels(name).inc()
    return Problem(
        ProblemCode.TOO_MANY_REQUESTS,
        headers={"Retry-After": str(usage.resets_in)},
        quota=name,
    )


def _is_known(request: Request, services: WebServices) -> bool:
    secret = parsing.parse_bearer(request)
    return secret is not None and services.keys.is_cached(secret)


@lru_cache(1)
def _networks(text: str) -> tuple[_Network, ...]:
    return tuple(map(ip_network, checks.listed(text)))


def client_address(
    remote: str | None, forwarded: str | None, proxies: Sequence[_Network]
) -> str | None:
    """Returns the address that a request counts for: IPv4, or the /64 of an IPv6.

    Entries of ``forwarded`` are trusted as far as ``proxies`` have written them. None
    means that the address is unknown.
    """
    hops = [remote or ""]
    if proxies and forwarded:
        hops += reversed(forwarded.rsplit(",", _MAX_HOPS)[-_MAX_HOPS:])
    found: _Address | None = None
    for hop in hops:
        address = _parse(hop.strip())
        if address is None:
            break
        found = address
        if not any(address in network for network in proxies):
            break
    return None if found is None else _counted(found)


@lru_cache(4096)
def _parse(text: str) -> _Address | None:
    """Parses an address with or without a port."""
    if len(text) > 64:
        return None
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(4096)
def _counted(address: _Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), _IPV6_PREFIX), strict=False))


def _policy(usage: Usage) -> str:
    """Renders a quota and its window (draft-ietf-httpapi-ratelimit-headers, 3)."""
    quota = usage.quota
    return f'"{quota.name}";q={quota.amount};w={quota.seconds}'


def _limit(usage: Usage) -> str:
    """Renders the remaining requests and the seconds to the reset (section 4)."""
    return f'"{usage.quota.name}";r={usage.remaining};t={usage.resets_in}'
