"""Which quotas a request counts against, and what its answer says of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

from flask import Flask, Request, Response, g, request

from domain.api_keys import ApiKey
from runtime import metrics
from runtime import settings_checks as checks
from runtime.container import WebServices
from runtime.quotas import QuotaName, Usage
from web.problem_codes import ProblemCode
from web import parsing
from web.problems import Problem

#: Hops of ``X-Forwarded-For`` that are looked at, from ours outwards.
_MAX_HOPS: Final = 8
#: An IPv6 customer has a network of this length, and any address in it.
_IPV6_PREFIX: Final = 64

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


def register(app: Flask, services: WebServices) -> None:
    """Has every call of ``app`` counted. Comes after the hooks that name a request."""

    @app.before_request
    def begin() -> None:
        _begin(request, services)

    @app.after_request
    def end(response: Response) -> Response:
        _end(response, services)
        return response


def count_key(key: ApiKey, services: WebServices) -> None:
    """Counts a request of a valid key, and not by its address. Raises Problem."""
    g.address = None
    _check(services.quotas.hit(QuotaName.KEY, key.id))
    # A key that is refused takes nothing from the merchant's other keys.
    _check(services.quotas.hit(QuotaName.MERCHANT, key.merchant))


def _begin(request: Request, services: WebServices) -> None:
    """Counts a webhook by its address before anything of it is read.

    An address that sent too much without a valid key is refused before its key is
    looked up, but for keys that were valid lately: others may share the address.
    Raises Problem.
    """
    g.usages, g.address = [], None
    address = client_address(
        request.remote_addr,
        request.headers.get("X-Forwarded-For"),
        _networks(services.settings.trusted_proxies),
    )
    if address is None:
        return
    if (request.endpoint or "").startswith("webhooks_"):
        g.sender = address
        _check(services.quotas.hit(QuotaName.WEBHOOKS, address))
        return
    usage = services.quotas.read_usage(QuotaName.ADDRESS, address)
    if usage is not None and not usage.remaining and not _is_known(request, services):
        g.usages.append(usage)
        raise _problem(usage)
    g.address = address


def _end(response: Response, services: WebServices) -> None:
    """Counts a request that had no valid key; tells what is left of the quotas."""
    if g.address is not None:
        usage = services.quotas.hit(QuotaName.ADDRESS, g.address)
        if usage is not None:
            g.usages.append(usage)
    if usages := g.usages:
        response.headers["RateLimit-Policy"] = ", ".join(map(_policy, usages))
        response.headers["RateLimit"] = ", ".join(map(_limit, usages))


def _check(usage: Usage | None) -> None:
    if usage is None:
        return
    g.usages.append(usage)
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
    """Whom a request is counted to: an IPv4 address, or the /64 of an IPv6 address.

    ``forwarded`` is believed as far as ``proxies`` have written it. None: the server
    does not say who asks.
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
    """An address, written with its port or without."""
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
    """draft-ietf-httpapi-ratelimit-headers, section 3: the quota and its window."""
    quota = usage.quota
    return f'"{quota.name}";q={quota.amount};w={quota.seconds}'


def _limit(usage: Usage) -> str:
    """Section 4 of it: what is left, and the seconds until all of it is there again."""
    return f'"{usage.quota.name}";r={usage.remaining};t={usage.resets_in}'
