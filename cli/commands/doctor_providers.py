"""Checks of `payments doctor` on the providers and our credentials there."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from functools import partial
from urllib.parse import urlsplit

from cli.commands import account_credentials
from cli.findings import FAIL, OK, TIMEOUT, WARN, Finding, unset
from persistence.codec import Document
from runtime.accounts.registry import AdapterFactory
from runtime.settings import PROVIDER_SETTINGS, Settings
from runtime.settings_checks import hosts_of, without_credentials


def providers(settings: Settings) -> Iterator[Finding]:
    """Checks the deployment's own accounts."""
    maker = AdapterFactory(settings, connections=1)
    for name, row in PROVIDER_SETTINGS.items():
        url: str = getattr(settings, row.api_base)
        variable = f"PAYMENTS_{row.api_base.upper()}"
        if not url:
            yield unset(name, variable)
            continue
        first, place = url, url
        if settings.provider_proxy:
            first, variable = settings.provider_proxy, "PAYMENTS_PROVIDER_PROXY"
            place = f"the proxy {hosts_of(first)} before {url}"
        try:
            _connect(first)
        except OSError as error:
            yield Finding(
                name,
                FAIL,
                f"{place} cannot be reached ({error.strerror or error})",
                f"Check the network and {variable}; payments wait and are retried",
            )
        else:
            yield Finding(name, OK, f"{place} can be reached")
            own = partial(maker.create_own, name)
            yield from account_credentials.findings(name, own)


def worker_proxies(
    workers: Iterable[Document], settings: Settings
) -> Iterator[Finding]:
    """Checks the proxies that live workers report, unless it is this command's own.

    The proxy's credentials are not known here, so the check only connects.
    """
    ours = without_credentials(settings.provider_proxy)
    theirs = {one["proxy"] for one in workers if "proxy" in one}
    for proxy in sorted(theirs - {ours}):
        shown = f"by the proxy {proxy}" if proxy else "without a proxy"
        words = f"workers call providers {shown}, and this command does not"
        verdict = WARN
        advice = "Set PAYMENTS_PROVIDER_PROXY here as it is set for the service"
        if proxy:
            try:
                _connect(proxy)
            except OSError as error:
                verdict = FAIL
                words = (
                    f"workers call providers {shown}, which cannot be reached"
                    f" ({error.strerror or error})"
                )
                advice = (
                    "Start the proxy, or correct PAYMENTS_PROVIDER_PROXY of the"
                    " service; payments wait and are retried"
                )
        yield Finding("worker proxy", verdict, words, advice)


def _connect(url: str) -> None:
    """Raises OSError if nothing listens at the host and port of ``url``."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    socket.create_connection((parts.hostname, port), TIMEOUT).close()
