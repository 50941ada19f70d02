"""Tests that every call to a provider goes through the configured proxy alone."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import requests
import stripe
from cryptography.hazmat.primitives import serialization

from cli.commands import doctor_providers
from domain.errors import CertificateUnavailable, NotSent, ProviderError
from domain.payments.answer import Verdict
from domain.payments.submission import ProviderName
from providers.credential_checks import Permission
from providers.http import PooledSession, is_unsent
from providers.paypal.certificates import Certificates
from providers.stripe.client import PooledClient, connection_pools
from runtime.accounts.registry import AdapterFactory
from runtime.processes import free_port
from runtime.settings import Settings, SettingsError
from tests.suites.samples import payment, sending, submission
from tests.support.forward_proxy import ForwardProxy, forward_proxy
from tests.support.signing_certificates import PATH, Authority, serving

#: Each transport's error for a call without an answer.
NO_ANSWER: Final = (requests.RequestException, stripe.APIConnectionError)
METHODS: Final = {"stripe": "pm_card_visa", "paypal": "vault_ada"}


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    """A proxy that asks for credentials."""
    with forward_proxy() as made:
        yield made


@pytest.fixture
def settings(stripe_url: str, paypal_url: str) -> Settings:
    """The settings of a deployment at the simulators."""
    return Settings(stripe_api_base=stripe_url, paypal_api_base=paypal_url)


def use_everything(settings: Settings, provider: ProviderName) -> None:
    """A charge, its lookup, and reads of payments, disputes and statements."""
    adapters = AdapterFactory(settings, connections=2).create_own(provider)
    asked = submission(provider=provider, payment_method=METHODS[provider])
    new = payment(submitted=asked)
    body = adapters.provider.prepare(new, new.first_operation)
    answer = adapters.provider.send(sending(new, body=body))
    assert answer.verdict is Verdict.SUCCEEDED
    for right in Permission:
        adapters.permission_checks[right]()
    now = datetime.now(timezone.utc)
    adapters.statement.list_page(now - timedelta(minutes=1), now, None)


@pytest.mark.parametrize("provider", ProviderName)
def test_every_call_goes_through_the_configured_proxy(
    settings: Settings, proxy: ForwardProxy, provider: ProviderName
) -> None:
    base = {"stripe": settings.stripe_api_base, "paypal": settings.paypal_api_base}
    answered = _answered(base[provider])
    use_everything(replace(settings, provider_proxy=proxy.url), provider)
    assert len(proxy.asked) == _answered(base[provider]) - answered >= 5
    assert all(f" {base[provider]}/" in one for one in proxy.asked)
    paths = {urlsplit(one.partition(" ")[2]).path for one in proxy.asked}
    wanted = {
        "stripe": {"/v1/payment_intents", "/v1/disputes", "/v1/balance_transactions"},
        "paypal": {
            "/v1/oauth2/token",
            "/v2/checkout/orders",
            "/v1/customer/disputes",
            "/v1/reporting/transactions",
        },
    }
    assert wanted[provider] <= {path.rstrip("/") for path in paths}


@pytest.mark.parametrize("provider", ProviderName)
def test_a_proxy_of_the_environment_is_ignored(
    settings: Settings,
    proxy: ForwardProxy,
    provider: ProviderName,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv(name.lower(), proxy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    use_everything(settings, provider)
    assert proxy.asked == [] and proxy.refused == 0


def test_no_proxy_variables_do_not_bypass_the_configured_proxy(
    settings: Settings, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    use_everything(replace(settings, provider_proxy=proxy.url), ProviderName.STRIPE)
    assert proxy.asked


def test_certificates_are_fetched_through_the_proxy(
    settings: Settings, proxy: ForwardProxy, tmp_path: Path
) -> None:
    authority, roots = Authority.new(), tmp_path / "roots.pem"
    roots.write_bytes(authority.pem())
    with serving(authority.issue()[1]) as base:
        certificates = Certificates(
            mode=settings.mode,
            hosts=(),
            loopback=base,
            roots=roots,
            observe=lambda call, status_class, seconds: None,
            proxy=proxy.url,
        )
        certificates.fetch_key(base + PATH, now=datetime.now(timezone.utc))
        assert proxy.asked == [f"GET {base}{PATH}"]
        with pytest.raises(CertificateUnavailable):
            replaced = Certificates(
                mode=settings.mode,
                hosts=(),
                loopback=base,
                roots=roots,
                observe=lambda call, status_class, seconds: None,
                proxy=f"http://127.0.0.1:{free_port()}",
            )
            replaced.fetch_key(base + PATH, now=datetime.now(timezone.utc))


@pytest.mark.parametrize("provider", ProviderName)
def test_a_provider_with_https_is_reached_by_a_tunnel(
    proxy: ForwardProxy, tmp_path: Path, provider: ProviderName
) -> None:
    with _tls_server(tmp_path) as (port, roots):
        post = poster(provider, proxy.url, roots)
        for _ in range(3):
            assert post(f"https://localhost:{port}/v1/refunds") == "POST /v1/refunds"
        assert proxy.asked == [f"CONNECT localhost:{port}"], "and it is kept"


@pytest.mark.parametrize(
    "proxied",
    [
        lambda proxy: proxy.url.replace("p%40ss", "wrong"),
        lambda proxy: f"http://127.0.0.1:{free_port()}",
    ],
    ids=["refuses us", "is away"],
)
@pytest.mark.parametrize("provider", ProviderName)
def test_a_call_without_a_tunnel_was_not_sent(
    proxy: ForwardProxy,
    tmp_path: Path,
    proxied: Callable[[ForwardProxy], str],
    provider: ProviderName,
) -> None:
    with _tls_server(tmp_path) as (port, roots):
        post = poster(provider, proxied(proxy), roots)
        with pytest.raises(NO_ANSWER) as caught:
            post(f"https://localhost:{port}/v1/refunds")
        assert is_unsent(caught.value)
        assert proxy.asked == []


@pytest.mark.parametrize("provider", ProviderName)
def test_a_server_with_another_name_gets_no_request(
    proxy: ForwardProxy, tmp_path: Path, provider: ProviderName
) -> None:
    with _tls_server(tmp_path) as (port, roots):
        post = poster(provider, proxy.url, roots)
        with pytest.raises(NO_ANSWER) as caught:
            post(f"https://127.0.0.1:{port}/v1/refunds")
        assert is_unsent(caught.value)


@pytest.mark.parametrize("provider", ProviderName)
def test_a_proxy_that_stops_after_a_whole_request_leaves_the_outcome_unknown(
    provider: ProviderName,
) -> None:
    read = list[bytes]()
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def take_one() -> None:
            connection, _ = proxy.accept()
            with connection:
                while not b"".join(read).endswith(b"amount=100"):
                    read.append(connection.recv(65536))

        thread = threading.Thread(target=take_one)
        thread.start()
        port = proxy.getsockname()[1]
        post = poster(provider, f"http://127.0.0.1:{port}")
        with pytest.raises(NO_ANSWER) as caught:
            post("http://stripe.test/v1/refunds")
        thread.join()
    assert b"".join(read).startswith(b"POST http://stripe.test/v1/refunds")
    assert not is_unsent(caught.value)


@pytest.mark.parametrize("provider", ProviderName)
def test_a_call_through_an_unreachable_proxy_is_not_sent(
    settings: Settings, provider: ProviderName
) -> None:
    away = replace(settings, provider_proxy=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ProviderError) as caught:
        use_everything(away, provider)
    assert type(caught.value) is NotSent


def test_the_doctor_names_the_proxy_without_its_credentials(
    settings: Settings, proxy: ForwardProxy
) -> None:
    well = replace(settings, provider_proxy=proxy.url)
    found = list(doctor_providers.providers(well))
    place = f"the proxy 127.0.0.1:{proxy.port} before {settings.stripe_api_base}"
    assert found[0].words == f"{place} can be reached"
    assert {one.verdict for one in found} == {"ok"} and len(proxy.asked) >= 6
    gone = f"http://egress:p%40ss@127.0.0.1:{free_port()}"
    ill = list(doctor_providers.providers(replace(settings, provider_proxy=gone)))
    assert {one.verdict for one in ill} == {"fail"}
    assert "PAYMENTS_PROVIDER_PROXY" in (ill[0].advice or "")
    assert "p%40ss" not in f"{found} {ill} {well!r}"


@pytest.mark.parametrize(
    "text",
    [
        "proxy.example:3128",
        "socks5://proxy.example:1080",
        "http://",
        "http://proxy.example:port",
        "http://user:secret@proxy.example:3128/path",
        "http://proxy.example:3128?user=secret",
    ],
)
def test_an_invalid_proxy_url_stops_the_process_and_is_not_repeated(
    text: str,
) -> None:
    with pytest.raises(SettingsError, match="PAYMENTS_PROVIDER_PROXY must") as caught:
        Settings.read({"PAYMENTS_PROVIDER_PROXY": text})
    assert "secret" not in str(caught.value)


def _answered(base: str) -> int:
    """The number of API calls answered by a simulator, tokens included."""
    text = requests.get(f"{base}/metrics", timeout=10).text
    rows = (
        line
        for line in text.splitlines()
        if line.startswith("simulator_requests_total{")
    )
    return sum(int(float(line.rpartition(" ")[2])) for line in rows)


def poster(
    provider: ProviderName, proxy: str, roots: Path | None = None
) -> Callable[[str], str]:
    """Posts to a URL over a provider's transport, and returns the answer's text."""
    trusted = str(roots) if roots else stripe.ca_bundle_path
    if provider is ProviderName.STRIPE:
        pools = connection_pools(connections=1, proxy=proxy, roots=trusted)
        client = PooledClient(pools, observe=_ignore)
        return lambda url: client.request("post", url, {}, "amount=100")[0]
    session = PooledSession(connections=1, observe=_ignore, proxy=proxy)
    session.verify = trusted
    return lambda url: session.request("POST", url, data="amount=100").text


def _ignore(call: str, status_class: str, seconds: float) -> None:
    """Observes nothing."""


@contextmanager
def _tls_server(folder: Path) -> Iterator[tuple[int, Path]]:
    """The port of an https server that echoes the request, and its authority."""
    authority = Authority.new()
    key, chain = authority.issue("localhost")
    roots, certificate = folder / "roots.pem", folder / "server.pem"
    roots.write_bytes(authority.pem())
    certificate.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + chain
    )

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            said = f"POST {self.path}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port, roots
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
