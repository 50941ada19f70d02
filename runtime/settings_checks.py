"""Readers of variables.

Each raises ValueError with the predicate of a sentence; the variable's name is its
subject. A reader of secrets never repeats them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

PREFIX: Final = "PAYMENTS_"
#: A secret for `payments accounts`.
ACCOUNT_SECRET: Final = "PAYMENTS_ACCOUNT_SECRET"
#: Read by the command line and by the examples, not by a process of the service.
OTHERS: Final = frozenset(
    {"PAYMENTS_URL", "PAYMENTS_API_KEY", "PAYMENTS_SPECS", ACCOUNT_SECRET}
)
#: Variables that Kubernetes sets in every pod beside a service named ``payments…``;
#: see "Discovering services" in its documentation of services.
_SERVICE_LINK: Final = re.compile(
    r"PAYMENTS_(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT_\d+_(TCP|UDP|SCTP)\w*)"
)
#: 32 bytes in URL-safe base64.
_ENCRYPTION_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}=")
#: Names that MongoDB takes on every platform, up to its limit of 63 bytes.
_DATABASE: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
#: The largest quota: requests, and seconds of its window.
_MOST_REQUESTS: Final = 100_000_000
_LONGEST_WINDOW: Final = 3600
#: Characters. A shorter pepper can be guessed from stolen hashes.
_SHORTEST_PEPPER: Final = 16


def number(low: int, high: int) -> Callable[[str], int]:
    """Reads a whole number from ``low`` to ``high``."""

    def read(text: str) -> int:
        wrong = f"must be a whole number from {low} to {high}, not {text!r}"
        try:
            value = int(text)
        except ValueError:
            raise ValueError(wrong) from None
        if not low <= value <= high:
            raise ValueError(wrong)
        return value

    return read


port = number(0, 65535)


def one_of(*values: str) -> Callable[[str], str]:
    """Reads one of ``values``; case is ignored."""

    def read(text: str) -> str:
        for value in values:
            if value.lower() == text.lower():
                return value
        raise ValueError(f"must be {', '.join(values)}, not {text!r}")

    return read


def host(text: str) -> str:
    """Reads an IP address to listen on, or localhost."""
    if text == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"must be an IP address or localhost, not {text!r}") from None


def hosts_of(url: str) -> str:
    """The hosts in a URL, for display; the rest may be secret."""
    parts = urlsplit(url)
    # An @ in the path comes from a password with a slash, which ended the hosts early.
    return "" if "@" in parts.path else parts.netloc.rpartition("@")[2]


def without_credentials(url: str) -> str:
    """The scheme and the hosts of a URL; "" for a URL without hosts."""
    place = hosts_of(url)
    return f"{urlsplit(url).scheme}://{place}" if place else ""


def url(*schemes: str) -> Callable[[str], str]:
    """Reads a URL with a host. Errors do not repeat it: it may hold a password."""

    def read(text: str) -> str:
        wrong = f"must be a URL: {' or '.join(f'{one}://…' for one in schemes)}"
        try:
            parts = urlsplit(text)
            # A database's URL may name several hosts, each with a port.
            several = parts.scheme.startswith("mongodb")
            _ = None if several else parts.port
        except ValueError:
            raise ValueError(wrong) from None
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(wrong)
        return text

    return read


def proxy(text: str) -> str:
    """Reads a forward proxy's URL. Errors do not repeat it: it may hold a password."""
    parts = urlsplit(url("http", "https")(text))
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must be a proxy's URL, with nothing after its host and port")
    return text


def database(text: str) -> str:
    """Reads a name of a database that is not MongoDB's own."""
    if not _DATABASE.fullmatch(text) or text in ("admin", "config", "local"):
        raise ValueError(
            "must be 1 to 63 letters, digits, _ or -, and none of MongoDB's own"
            f" databases; not {text!r}"
        )
    return text


def encryption_keys(text: str) -> str:
    """Reads encryption keys separated by commas."""
    keys = [key.strip() for key in text.split(",") if key.strip()]
    if not keys or not all(map(_ENCRYPTION_KEY.fullmatch, keys)):
        raise ValueError(
            "must be keys of 32 bytes (44 characters of URL-safe base64 each),"
            " separated by commas"
        )
    return text


def pepper(text: str) -> str:
    """Reads a secret that is too long to be guessed."""
    if len(text) < _SHORTEST_PEPPER:
        raise ValueError(f"must have {_SHORTEST_PEPPER} characters or more")
    return text


def folder(text: str) -> Path:
    """Reads a folder that exists or can be made."""
    path = Path(text)
    for part in (path, *path.parents):
        try:
            if part.exists() and not part.is_dir():
                raise ValueError(f"must be a folder, but {part} is a file")
        except OSError as error:
            raise ValueError(f"cannot be {text!r} ({error.strerror})") from None
    return path


def listed(text: str) -> list[str]:
    """The parts of a text, separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def is_loopback(url: str) -> bool:
    """Whether a URL has a loopback IP address; a name could be another machine's."""
    try:
        return ip_address(urlsplit(url).hostname or "").is_loopback
    except ValueError:
        return False


def file(text: str) -> Path:
    """Reads the name of a file that exists."""
    if not Path(text).is_file():
        raise ValueError(f"must be a file, not {text!r}")
    return Path(text)


def parse_quota(text: str) -> tuple[int, int] | None:
    """The requests and the seconds of a quota; None means off.

    Raises ValueError.
    """
    if text.lower() == "off":
        return None
    # Slow to import, and needed only for a quota.
    from limits import parse_many

    wrong = f"must be off, or like 1000/10 seconds or 5000/minute, not {text!r}"
    try:
        [found] = parse_many(text)
    except ValueError:
        raise ValueError(wrong) from None
    seconds = found.get_expiry()
    if not (0 < found.amount <= _MOST_REQUESTS and 0 < seconds <= _LONGEST_WINDOW):
        raise ValueError(f"{wrong}; at most {_MOST_REQUESTS:,} in at most an hour")
    return found.amount, seconds


def quota(text: str) -> str:
    """Reads a quota of requests."""
    parse_quota(text)
    return text


def networks(text: str) -> str:
    """Reads networks separated by commas."""
    for part in listed(text):
        try:
            ip_network(part)
        except ValueError:
            raise ValueError(
                f"must be networks such as 10.0.0.0/8, separated by commas, not"
                f" {part!r}"
            ) from None
    return text


def find_unknown(environment: Mapping[str, str], known: Iterable[str]) -> str | None:
    """An error about the first unknown variable with the prefix of settings."""
    names = {*known, *OTHERS}
    for name, value in sorted(environment.items()):
        if not name.startswith(PREFIX) or name in names:
            continue
        if _SERVICE_LINK.fullmatch(name) or value.startswith(("tcp://", "udp://")):
            continue
        near = get_close_matches(name, names, n=1)
        hint = f"Did you mean {near[0]}?" if near else "docs/operating.md lists them"
        return f"{name} is not a setting. {hint}"
    return None
