"""Stripe's SDK client for an account, over connections shared by all accounts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlsplit

import stripe
from stripe import APIConnectionError, HTTPClient, StripeClient
from urllib3 import PoolManager, ProxyManager, Timeout, make_headers
from urllib3.exceptions import HTTPError

from providers import http
from providers.http import Observe, route_of
from providers.sanitize import clean_json

#: The version of Stripe's API that the adapter is written for.
API_VERSION: Final = "2026-10-28.endive"


def connection_pools(
    *,
    connections: int,
    timeout: http.Timeout = http.TIMEOUT,
    proxy: str = "",
    roots: str = stripe.ca_bundle_path,
) -> PoolManager:
    """Creates pools that keep connections for all threads and retry nothing.

    ``timeout`` is in seconds, to connect and between two bytes. ``proxy`` is a URL,
    credentials included. ``roots`` is the file of trusted authorities. Proxies of the
    environment are not used.
    """
    options: dict[str, Any] = {
        "maxsize": connections,
        "timeout": Timeout(*timeout),
        "retries": False,
        "cert_reqs": "CERT_REQUIRED",
        "ca_certs": roots,
    }
    if not proxy:
        return PoolManager(num_pools=2, **options)
    url, headers = urlsplit(proxy), None
    if url.username is not None:
        credentials = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers = make_headers(proxy_basic_auth=credentials)
    return ProxyManager(proxy, num_pools=2, proxy_headers=headers, **options)


class PooledClient(HTTPClient):
    """The transport of Stripe's client, on urllib3 at half the cost of requests.

    Each call is observed once. The texts of an answer are safe to store and to print.
    """

    name = "urllib3"

    def __init__(self, pools: PoolManager, *, observe: Observe) -> None:
        super().__init__()
        self._pools = pools
        self._observe = observe

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Makes one call and follows no redirect. Raises APIConnectionError."""
        body = post_data.encode() if isinstance(post_data, str) else post_data
        start, status_class = time.perf_counter(), "none"
        try:
            response = self._pools.urlopen(
                method.upper(), url, redirect=False, body=body, headers=headers or {}
            )
            status_class = f"{response.status // 100}xx"
            text = clean_json(response.data).decode()
            return text, response.status, response.headers
        except (HTTPError, OSError, ValueError) as error:
            failed: Any = APIConnectionError  # the SDK does not type its errors
            raise failed(f"no answer: {type(error).__name__}") from error
        finally:
            seconds = time.perf_counter() - start
            self._observe(route_of(method, url), status_class, seconds)


class PostClient(StripeClient):
    """Stripe's SDK client, with a ``post`` of its own for the calls that move money.

    The SDK's ``raw_request`` costs six times as much: it collects headers and formats
    log lines for every call. It still maps the errors.
    """

    def __init__(
        self,
        secret_key: str,
        *,
        api_base: str,
        transport: PooledClient,
        connected: str | None,
    ) -> None:
        self._transport = transport
        self._api_base = api_base
        self._headers = {
            "Authorization": f"Bearer {secret_key}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Stripe-Version": API_VERSION,
            "User-Agent": f"Stripe/v1 PythonBindings/{stripe.VERSION}",
        }
        if connected:
            self._headers["Stripe-Account"] = connected
        super().__init__(
            secret_key,
            stripe_account=connected,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base},
            max_network_retries=0,
            http_client=transport,
        )

    def post(self, path: str, params: Mapping[str, Any], *, key: str) -> Any:
        """Posts under an idempotency key; returns a StripeObject.

        Raises StripeError.
        """
        received = self._transport.request(
            "post",
            self._api_base + path,
            {**self._headers, "Idempotency-Key": key},
            encode_form(params),
        )
        text, status, headers = received
        if 200 <= status < 300:
            with suppress(ValueError, RecursionError):
                request_id = headers.get("Request-Id")
                return StripeObject(
                    json.loads(text), SimpleNamespace(request_id=request_id)
                )
        untyped: Any = StripeClient("unused", http_client=_Received(received))
        return untyped.raw_request("post", path)  # raises the error


class _Received(HTTPClient):
    """Gives the SDK an answer that was received before."""

    name = "received"

    def __init__(self, received: tuple[str, int, Mapping[str, str]]) -> None:
        super().__init__()
        self._received = received

    def request(self, *_: Any, **__: Any) -> tuple[str, int, Mapping[str, str]]:
        return self._received


def encode_form(params: Mapping[str, Any]) -> str:
    """Encodes parameters as Stripe's forms: ``metadata[order]=7&expand[0]=customer``.

    Parameters that are None are left out.
    """
    return urlencode(list(_flatten(params.items())), safe="[]")


def _flatten(
    items: Iterable[tuple[object, Any]], parent: str = ""
) -> Iterator[tuple[str, object]]:
    for name, value in items:
        path = f"{parent}[{name}]" if parent else str(name)
        if isinstance(value, dict):
            yield from _flatten(value.items(), path)
        elif isinstance(value, list):
            yield from _flatten(enumerate(value), path)
        elif isinstance(value, bool):
            yield path, "true" if value else "false"
        elif value is not None:
            yield path, value


def create_client(
    *,
    api_base: str,
    secret_key: str,
    transport: PooledClient,
    connected: str | None = None,
) -> PostClient:
    """Creates Stripe's client over ``transport``; it retries nothing."""
    # Telemetry stores an id in the home folder and sends it with every call.
    stripe.enable_telemetry = False
    return PostClient(
        secret_key,
        api_base=api_base.rstrip("/"),
        transport=transport,
        connected=connected,
    )


class StripeObject:
    """A Stripe object with the attribute access of the SDK's objects.

    The SDK converts every nested value to an object, whether it is read or not. For an
    intent with its charge and balance transaction that costs as much as the call.
    """

    __slots__ = ("_fields", "last_response")

    def __init__(self, fields: Mapping[str, Any], last_response: Any = None) -> None:
        self._fields = fields
        self.last_response = last_response

    def __getattr__(self, name: str) -> Any:
        """The field ``name``. Raises AttributeError if the answer has none."""
        try:
            value = self._fields[name]
        except KeyError:
            raise AttributeError(name) from None
        return StripeObject(value) if isinstance(value, dict) else value

    def to_dict(self) -> Mapping[str, Any]:
        """The fields as Stripe wrote them."""
        return self._fields
