"""Tests of trusted certificates and of the bounds on fetching them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from domain.errors import CertificateUnavailable, WebhookNotTrusted, WebhookRefused
from domain.payments.submission import Mode
from providers.paypal.certificates import (
    FAILURE_LIFETIME,
    FETCHES_A_MINUTE,
    FETCHES_A_MINUTE_EACH,
    KEY_LIFETIME,
    MAX_CHAIN,
    Certificates,
)
from runtime.processes import wait_until
from tests.support.signing_certificates import NAME, PATH, Authority, serving

DAY = timedelta(days=1)


def _now() -> datetime:
    return datetime.now(timezone.utc)


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The authority that the tests trust."""
    return Authority.new()


class _Observed:
    """Records the calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._now = 1000.0

    def clock(self) -> float:
        return self._now

    def pass_time(self, seconds: float) -> None:
        self._now += seconds

    def __call__(self, call: str, status: str, seconds: float) -> None:
        self.calls.append(status)


@contextmanager
def _certificates(
    authority: Authority,
    folder: Path,
    content: bytes,
    status: int = 200,
    mode: Mode = Mode.TEST,
    wait: float = 0.0,
    **headers: str,
) -> Iterator[tuple[Certificates, str, _Observed]]:
    roots, seen = folder / "roots.pem", _Observed()
    roots.write_bytes(authority.pem())
    with serving(content, status, wait=wait, **headers) as base:
        made = Certificates(
            mode=mode,
            hosts=(),
            loopback=base,
            roots=roots,
            observe=seen,
            clock=seen.clock,
        )
        yield made, base + PATH, seen


def test_a_chain_to_a_trusted_root_is_fetched_once_an_hour(
    authority: Authority, tmp_path: Path
) -> None:
    key, chain = authority.issue()
    with _certificates(authority, tmp_path, chain) as (certificates, url, seen):
        for at in (timedelta(), KEY_LIFETIME / 2, 1.01 * KEY_LIFETIME):
            found = certificates.fetch_key(url, now=_now() + at)
            assert found == key.public_key()
        assert seen.calls == ["2xx", "2xx"]


@pytest.mark.parametrize(
    "url",
    [
        f"http://api.sandbox.paypal.com{PATH}",
        f"https://api.sandbox.paypal.com.example{PATH}",
        f"https://user@api.sandbox.paypal.com{PATH}",
        f"https://api.sandbox.paypal.com:8443{PATH}",
        f"https://api.paypal.com{PATH}",
        f"http://127.0.0.1:1{PATH}",
        "https://api.sandbox.paypal.com/v1/notifications/certs/../../x",
        f"https://api.sandbox.paypal.com{PATH}?x=1",
        f"https://[{PATH}",
        "file:///etc/passwd",
    ],
)
def test_a_url_on_another_host_is_never_fetched(
    authority: Authority, tmp_path: Path, url: str
) -> None:
    with _certificates(authority, tmp_path, b"") as (certificates, _, seen):
        with pytest.raises(WebhookRefused) as refused:
            certificates.fetch_key(url, now=_now())
        assert refused.value.reason.startswith("certificate_")
        assert seen.calls == []


def test_a_url_with_extra_parts_is_never_fetched(
    authority: Authority, tmp_path: Path
) -> None:
    _, chain = authority.issue()
    with _certificates(authority, tmp_path, chain) as (certificates, url, seen):
        for more in "\t\n\r\x0b\x1f\x7f\x85 \u2028?#":
            for spoilt in (url + more, more + url, url.replace("CERT", f"CE{more}RT")):
                with pytest.raises(WebhookRefused):
                    certificates.fetch_key(spoilt, now=_now())
        assert seen.calls == []


def test_an_expired_certificate_is_not_trusted(
    authority: Authority, tmp_path: Path
) -> None:
    _, chain = authority.issue(until=-DAY)
    _refuses(authority, tmp_path, chain)


def test_a_certificate_of_another_host_is_not_trusted(
    authority: Authority, tmp_path: Path
) -> None:
    _, chain = authority.issue("api.sandbox.paypal.com")
    _refuses(authority, tmp_path, chain)


def test_a_test_certificate_is_not_trusted_in_live_mode(
    authority: Authority, tmp_path: Path
) -> None:
    _, chain = authority.issue(NAME)
    with _certificates(authority, tmp_path, chain, mode=Mode.LIVE) as (made, url, _):
        with pytest.raises(WebhookNotTrusted):
            made.fetch_key(url, now=_now())


def test_a_chain_to_another_root_is_not_trusted(
    authority: Authority, tmp_path: Path
) -> None:
    _, chain = Authority.new().issue()
    _refuses(authority, tmp_path, chain)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nx", b"\xff"])
def test_a_file_that_is_not_a_certificate_is_not_trusted(
    authority: Authority, tmp_path: Path, content: bytes
) -> None:
    _refuses(authority, tmp_path, content)


@pytest.mark.parametrize("status", [404, 500, 302])
def test_a_failed_certificate_is_fetched_again_later(
    authority: Authority, tmp_path: Path, status: int
) -> None:
    key, chain = authority.issue()
    with serving(chain) as elsewhere:
        with _certificates(
            authority, tmp_path, b"", status, Location=elsewhere + PATH
        ) as (made, url, seen):
            for _ in range(5):
                with pytest.raises(CertificateUnavailable):
                    made.fetch_key(url, now=_now())
            assert seen.calls == [f"{status // 100}xx"], "no redirect is followed"
            seen.pass_time(FAILURE_LIFETIME)
            with pytest.raises(CertificateUnavailable):
                made.fetch_key(url, now=_now())
            assert len(seen.calls) == 2


def test_an_untrusted_certificate_is_not_fetched_again_at_once(
    authority: Authority, tmp_path: Path
) -> None:
    with _certificates(authority, tmp_path, b"none") as (made, url, seen):
        for _ in range(5):
            with pytest.raises(WebhookNotTrusted):
                made.fetch_key(url, now=_now())
        assert len(seen.calls) == 1


def _forge(made: Certificates, url: str, count: int, sender: str) -> None:
    """Requests certificates at URLs that ``sender`` invented."""
    for number in range(count):
        with pytest.raises((WebhookNotTrusted, CertificateUnavailable)):
            address = f"{url}{sender}{number}"
            made.fetch_key(address, now=_now() - 2 * DAY * 100, sender=sender)


def test_made_up_addresses_are_fetched_at_a_bounded_rate(
    authority: Authority, tmp_path: Path
) -> None:
    key, chain = authority.issue()
    with _certificates(authority, tmp_path, chain) as (made, url, seen):
        made.fetch_key(url, now=_now(), sender="paypal")
        for sender in range(2 * FETCHES_A_MINUTE // FETCHES_A_MINUTE_EACH):
            _forge(made, url, 2 * FETCHES_A_MINUTE_EACH, f"x{sender}")
        assert len(seen.calls) == FETCHES_A_MINUTE
        for at in (timedelta(), 1.01 * KEY_LIFETIME):
            found = made.fetch_key(url, now=_now() + at, sender="paypal")
            assert (
                found == key.public_key()
            ), "good certificates are fetched again throughout"
        assert len(seen.calls) == FETCHES_A_MINUTE + 1
        seen.pass_time(60)
        assert made.fetch_key(f"{url}x", now=_now()) == key.public_key()


def test_a_sender_of_made_up_addresses_uses_up_only_its_own_fetches(
    authority: Authority, tmp_path: Path
) -> None:
    """No key is cached, so the provider's first webhook needs a fetch."""
    key, chain = authority.issue()
    with _certificates(authority, tmp_path, chain) as (made, url, seen):
        _forge(made, url, 2 * FETCHES_A_MINUTE, "forger")
        assert len(seen.calls) == FETCHES_A_MINUTE_EACH
        with pytest.raises(CertificateUnavailable):
            made.fetch_key(url, now=_now(), sender="forger")
        found = made.fetch_key(url, now=_now(), sender="paypal")
        assert found == key.public_key()


def test_a_sender_cannot_hold_all_fetches_and_waits_at_once(
    authority: Authority, tmp_path: Path
) -> None:
    key, chain = authority.issue()
    with (
        _certificates(authority, tmp_path, chain, wait=1.0) as (made, url, seen),
        ThreadPoolExecutor(32) as pool,
    ):

        def ask(address: str, sender: str) -> Future[rsa.RSAPublicKey]:
            return pool.submit(made.fetch_key, address, now=_now(), sender=sender)

        forged = [ask(f"{url}{number % 3}", "forger") for number in range(30)]
        assert wait_until(lambda: sum(one.done() for one in forged) >= 16, seconds=0.8)
        assert ask(f"{url}0", "paypal").result() == key.public_key()
        assert ask(url, "paypal").result() == key.public_key()
        held = [one for one in forged if one.exception() is None]
        assert len(held) <= 2 + 12, "the others were refused at once"


def test_the_number_of_counted_senders_is_bounded(
    authority: Authority, tmp_path: Path
) -> None:
    _, chain = authority.issue()
    with _certificates(authority, tmp_path, chain) as (made, url, _):
        for number in range(3_000):
            with suppress(CertificateUnavailable):
                made.fetch_key(f"{url}x", now=_now(), sender=f"10.0.{number}")
                made.fetch_key(f"{url}y{number}", now=_now(), sender=f"10.1.{number}")
        counted = sum(f"10.1.{number}" in made._senders for number in range(3_000))
        assert 0 < counted <= 1_024


def test_a_certificate_is_fetched_once_for_concurrent_callers(
    authority: Authority, tmp_path: Path
) -> None:
    key, chain = authority.issue()
    with _certificates(authority, tmp_path, chain, wait=0.5) as (made, url, seen):
        with ThreadPoolExecutor(12) as pool:
            asked = [pool.submit(made.fetch_key, url, now=_now()) for _ in range(12)]
            assert all(one.result() == key.public_key() for one in asked)
        assert len(seen.calls) == 1


def test_an_endless_answer_is_cut_off(authority: Authority, tmp_path: Path) -> None:
    _, chain = authority.issue()
    long = chain + b"x" * MAX_CHAIN
    with _certificates(authority, tmp_path, long) as (made, url, _):
        with pytest.raises(CertificateUnavailable):
            made.fetch_key(url, now=_now())


def _refuses(authority: Authority, folder: Path, content: bytes) -> None:
    with _certificates(authority, folder, content) as (certificates, url, _):
        with pytest.raises(WebhookNotTrusted):
            certificates.fetch_key(url, now=_now())
