"""Fetches, verifies and caches the certificates of PayPal's webhook signatures."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import certifi
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from application.cache import Cache
from domain.errors import (
    CertificateUnavailable,
    PaymentsError,
    WebhookNotTrusted,
    WebhookRefused,
)
from domain.payments.submission import Mode
from domain.webhook_refusals import WebhookRefusal
from providers.http import Observe, PooledSession

#: The hosts of PayPal's certificates and the subject name in them, by mode.
HOSTS: Final = {
    Mode.LIVE: ("api.paypal.com", "api-m.paypal.com"),
    Mode.TEST: ("api.sandbox.paypal.com", "api-m.sandbox.paypal.com"),
}
_NAMES: Final = {
    Mode.LIVE: "messageverificationcerts.paypal.com",
    Mode.TEST: "messageverificationcerts.sandbox.paypal.com",
}
_PATH: Final = re.compile(r"/v1/notifications/certs/CERT-[A-Za-z0-9-]{1,64}")

#: How long a verified key is used before it is fetched again. A revoked key is trusted
#: for at most as long.
KEY_LIFETIME: Final = timedelta(hours=1)
#: Keys kept; PayPal uses one or two at a time.
MAX_KEPT: Final = 16
#: Failed URLs that are remembered.
MAX_FAILED: Final = 256
#: Longest certificate chain in bytes; PayPal's has five thousand.
MAX_CHAIN: Final = 64 * 1024
#: Seconds to connect and between two bytes, and for a whole fetch. The sender of the
#: webhook waits meanwhile.
_TIMEOUT: Final = (2.0, 3.0)
_FETCH_TIMEOUT: Final = 5.0
#: Concurrent fetches, webhooks that wait for one, and fetches per minute: for all
#: senders together and for each. Anyone can invent URLs at PayPal. The bounds keep them
#: from occupying a web process's threads, from flooding PayPal with requests, and from
#: using up the share of other senders. A URL with a good certificate is not counted.
_FETCHES: Final = 4
_FETCHES_EACH: Final = 2
_WAITING: Final = 24
_WAITING_EACH: Final = 12
FETCHES_A_MINUTE: Final = 60
FETCHES_A_MINUTE_EACH: Final = 5
#: Latest senders whose fetches are counted.
_SENDERS: Final = 1_024
#: Seconds until a failed URL is fetched again.
FAILURE_LIFETIME: Final = 30.0
#: Shortest secure RSA key, in bits.
_SHORTEST: Final = 2048


@dataclass(slots=True)
class _Sender:
    """Counts of the fetches caused by one client address."""

    fetching: int = 0
    waiting: int = 0
    fetched_at: deque[float] = field(
        default_factory=lambda: deque(maxlen=FETCHES_A_MINUTE_EACH)
    )


class Certificates:
    """A cache of verified keys that is safe to use from threads.

    ``hosts`` are the https hosts that certificates may come from. ``loopback`` is the
    http address of a simulator, or None. ``roots`` is a PEM file of trusted
    authorities, or None for the public ones. ``proxy`` is a URL.
    """

    def __init__(
        self,
        *,
        mode: Mode,
        hosts: Collection[str],
        loopback: str | None,
        roots: Path | None,
        observe: Observe,
        proxy: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = x509.DNSName(_NAMES[mode])
        self._hosts = frozenset(hosts or HOSTS[mode])
        self._loopback = loopback
        self._roots = roots or Path(certifi.where())
        self._session = PooledSession(
            connections=_FETCHES, observe=observe, timeout=_TIMEOUT, proxy=proxy
        )
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows
        #: Keys, and when each is fetched again.
        self._kept = Cache[str, tuple[rsa.RSAPublicKey, datetime]](size=MAX_KEPT)
        self._failed = Cache[str, PaymentsError](
            size=MAX_FAILED, seconds=FAILURE_LIFETIME, clock=clock
        )
        self._fetching: dict[str, Future[rsa.RSAPublicKey]] = {}
        self._waiting = 0
        self._fetched_at: deque[float] = deque(maxlen=FETCHES_A_MINUTE)
        self._senders = Cache[str | None, _Sender](size=_SENDERS)

    def fetch_key(
        self, url: str, *, now: datetime, sender: str | None = None
    ) -> rsa.RSAPublicKey:
        """The key of the certificate at ``url``.

        ``sender`` is the client address of the webhook, or None if unknown.

        Raises WebhookRefused if the URL is not one of PayPal's certificate URLs,
        WebhookNotTrusted if the certificate is not PayPal's, and CertificateUnavailable
        if it cannot be fetched.
        """
        kept = self._kept.find(url)
        if kept is not None and now < kept[1]:
            return kept[0]
        self._check_url(url)
        fetch, is_first, counts = self._join_fetch(url, sender)
        try:
            if is_first:
                self._run_fetch(fetch, url, now)
            return fetch.result(_FETCH_TIMEOUT)
        except FutureTimeout:
            raise CertificateUnavailable from None
        finally:
            with self._lock:
                if is_first:
                    counts.fetching -= 1
                else:
                    self._waiting -= 1
                    counts.waiting -= 1

    def _join_fetch(
        self, url: str, sender: str | None
    ) -> tuple[Future[rsa.RSAPublicKey], bool, _Sender]:
        """The fetch of ``url``, whether the caller runs it, and the sender's counts.

        Raises the error of a recent failed fetch, and CertificateUnavailable if there
        are too many fetches.
        """
        with self._lock:
            now, was_good = self._clock(), url in self._kept
            error = self._failed.find(url)
            if error is not None:
                raise error.with_traceback(None)
            counts = self._senders.find(sender) or _Sender()
            self._senders.put(sender, counts)
            fetch = self._fetching.get(url)
            if fetch is not None:
                if self._waiting >= _WAITING or counts.waiting >= _WAITING_EACH:
                    raise CertificateUnavailable
                self._waiting += 1
                counts.waiting += 1
                return fetch, False, counts
            if not was_good:
                if len(self._fetching) >= _FETCHES or counts.fetching >= _FETCHES_EACH:
                    raise CertificateUnavailable
                for times in (self._fetched_at, counts.fetched_at):
                    if len(times) == times.maxlen and now < times[0] + 60:
                        raise CertificateUnavailable
                self._fetched_at.append(now)
                counts.fetched_at.append(now)
            counts.fetching += 1
            self._fetching[url] = fetch = Future()
            return fetch, True, counts

    def _run_fetch(
        self, fetch: Future[rsa.RSAPublicKey], url: str, now: datetime
    ) -> None:
        """Fetches the key and ends the future that other threads wait for."""
        try:
            key, until = self._verify(self._fetch(url), now)
        except (CertificateUnavailable, WebhookNotTrusted) as error:
            self._end_fetch(url, failed=error)
            fetch.set_exception(error)
        except BaseException as error:
            self._end_fetch(url)
            fetch.set_exception(error)
        else:
            self._end_fetch(url, good=(key, until))
            fetch.set_result(key)

    def _end_fetch(
        self,
        url: str,
        *,
        good: tuple[rsa.RSAPublicKey, datetime] | None = None,
        failed: PaymentsError | None = None,
    ) -> None:
        with self._lock:
            del self._fetching[url]
            if good is not None:
                self._kept.put(url, good)
            if failed is not None:
                self._failed.put(url, failed)

    def _check_url(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise WebhookRefused(WebhookRefusal.CERTIFICATE_ADDRESS) from None
        base = f"{parts.scheme}://{parts.netloc}"
        ours = parts.scheme == "https" and parts.hostname in self._hosts
        plain = parts.username is None and port in (None, 443)
        if not (ours and plain) and base != self._loopback:
            raise WebhookRefused(WebhookRefusal.CERTIFICATE_HOST)
        # ``urlsplit`` drops characters such as tabs; a fetch does not.
        if not _PATH.fullmatch(parts.path) or url != base + parts.path:
            raise WebhookRefused(WebhookRefusal.CERTIFICATE_ADDRESS)

    def _fetch(self, url: str) -> bytes:
        """A PEM chain, leaf first. No redirect is followed."""
        deadline, found = time.monotonic() + _FETCH_TIMEOUT, b""
        try:
            # ``get`` follows redirects by default.
            with self._session.get(url, stream=True, allow_redirects=False) as answer:
                if answer.status_code != 200:
                    raise CertificateUnavailable
                for part in answer.iter_content(4096):
                    found += part
                    if len(found) > MAX_CHAIN or time.monotonic() > deadline:
                        raise CertificateUnavailable
        except requests.RequestException:
            raise CertificateUnavailable from None
        return found

    def _verify(self, chain: bytes, now: datetime) -> tuple[rsa.RSAPublicKey, datetime]:
        """The leaf's key and the time until which it may be used."""
        roots = x509.load_pem_x509_certificates(self._roots.read_bytes())
        try:
            leaf, *between = x509.load_pem_x509_certificates(chain)
            verifier = (
                PolicyBuilder()
                .store(Store(roots))
                .time(now)
                .build_server_verifier(self._name)
            )
            path = verifier.verify(leaf, between)
        except (ValueError, VerificationError):
            raise WebhookNotTrusted(WebhookRefusal.CERTIFICATE) from None
        key = leaf.public_key()
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _SHORTEST:
            raise WebhookNotTrusted(WebhookRefusal.CERTIFICATE)
        return key, min(now + KEY_LIFETIME, *(one.not_valid_after_utc for one in path))
