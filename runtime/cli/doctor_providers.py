"""What `payments doctor` says of the providers, and of our credentials there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from runtime.adapters import AdapterMaker
from runtime.cli import account_rights
from runtime.cli.findings import FAIL, OK, TIMEOUT, Finding, unset
from runtime.settings import PROVIDER_SETTINGS, Settings
from runtime.settings_checks import place_of


def providers(settings: Settings) -> Iterator[Finding]:
    """Of the deployment's own accounts."""
    maker = AdapterMaker(settings, connections=1)
    for name, row in PROVIDER_SETTINGS.items():
        url: str = getattr(settings, row.api_base)
        variable = f"PAYMENTS_{row.api_base.upper()}"
        if not url:
            yield unset(name, variable)
            continue
        first, place = url, url
        if settings.provider_proxy:
            first, variable = settings.provider_proxy, "PAYMENTS_PROVIDER_PROXY"
            place = f"the proxy {place_of(first)} before {url}"
        parts = urlsplit(first)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname, port), TIMEOUT).close()
        except OSError as error:
            yield Finding(
                name,
                FAIL,
                f"{place} cannot be reached ({error.strerror or error})",
                f"Check the network and {variable}; payments wait and are retried",
            )
        else:
            yield Finding(name, OK, f"{place} can be reached")
            own = partial(maker.own, name)
            yield from account_rights.findings(name, own)
