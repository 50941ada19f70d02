"""Whose certificates are believed, and what fetching them may cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from domain.errors import CertificateUnavailable, WebhookNotTrusted, WebhookRefused
from domain.submission import Mode
from providers.paypal_certificates import KEPT, MAX_CHAIN, Certificates
from tests.integration.webhooks.signers import NAME, PATH, Authority, serving

DAY = timedelta(days=1)


def _now() -> datetime:
    return datetime.now(timezone.utc)


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Whom the tests trust."""
    return Authority.new()


class _Observed:
    """Remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, call: str, status: str, seconds: float) -> None:
        self.calls.append(status)


@contextmanager
def _certificates(
    authority: Authority,
    folder: Path,
    content: bytes,
    status: int = 200,
    mode: Mode = Mode.TEST,
    **headers: str,
) -> Iterator[tuple[Certificates, str, _Observed]]:
    roots, seen = folder / "roots.pem", _Observed()
    roots.write_bytes(authority.pem())
    with serving(content, status, **headers) as base:
        made = Certificates(
            mode=mode, hosts=(), loopback=base, roots=roots, observe=seen
        )
        yield made, base + PATH, seen


def test_a_chain_to_a_root_that_we_trust_is_fetched_once_an_hour(
    authority: Authority, tmp_path: Path
) -> None:
    key, chain = authority.vouches()
    with _certificates(authority, tmp_path, chain) as (certificates, url, seen):
        for at in (timedelta(), KEPT / 2, 1.01 * KEPT):
            found = certificates.key_at(url, now=_now() + at)
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
def test_no_other_address_is_ever_asked(
    authority: Authority, tmp_path: Path, url: str
) -> None:
    with _certificates(authority, tmp_path, b"") as (certificates, _, seen):
        with pytest.raises(WebhookRefused) as refused:
            certificates.key_at(url, now=_now())
        assert refused.value.why.startswith("certificate_")
        assert seen.calls == []


def test_an_address_with_more_in_it_than_an_address_is_never_asked(
    authority: Authority, tmp_path: Path
) -> None:
    _, chain = authority.vouches()
    with _certificates(authority, tmp_path, chain) as (certificates, url, seen):
        for more in "\t\n\r\x0b\x1f\x7f\x85 \u2028?#":
            for spoilt in (url + more, more + url, url.replace("CERT", f"CE{more}RT")):
                with pytest.raises(WebhookRefused):
                    certificates.key_at(spoilt, now=_now())
        assert seen.calls == []


def test_an_expired_one_is_not_believed(authority: Authority, tmp_path: Path) -> None:
    _, chain = authority.vouches(until=-DAY)
    _refuses(authority, tmp_path, chain)


def test_one_of_another_host_is_not_believed(
    authority: Authority, tmp_path: Path
) -> None:
    _, chain = authority.vouches("api.sandbox.paypal.com")
    _refuses(authority, tmp_path, chain)


def test_one_of_test_mode_is_not_believed_in_live_mode(
    authority: Authority, tmp_path: Path
) -> None:
    _, chain = authority.vouches(NAME)
    with _certificates(authority, tmp_path, chain, mode=Mode.LIVE) as (made, url, _):
        with pytest.raises(WebhookNotTrusted):
            made.key_at(url, now=_now())


def test_a_chain_to_another_root_is_not_believed(
    authority: Authority, tmp_path: Path
) -> None:
    _, chain = Authority.new().vouches()
    _refuses(authority, tmp_path, chain)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nx", b"\xff"])
def test_what_is_no_certificate_is_not_believed(
    authority: Authority, tmp_path: Path, content: bytes
) -> None:
    _refuses(authority, tmp_path, content)


@pytest.mark.parametrize("status", [404, 500, 302])
def test_one_that_cannot_be_fetched_may_be_later(
    authority: Authority, tmp_path: Path, status: int
) -> None:
    key, chain = authority.vouches()
    with serving(chain) as elsewhere:
        with _certificates(
            authority, tmp_path, b"", status, Location=elsewhere + PATH
        ) as (made, url, seen):
            for _ in range(2):
                with pytest.raises(CertificateUnavailable):
                    made.key_at(url, now=_now())
            assert seen.calls == [f"{status // 100}xx"] * 2, "no redirect is followed"


def test_an_answer_without_an_end_is_cut_off(
    authority: Authority, tmp_path: Path
) -> None:
    _, chain = authority.vouches()
    long = chain + b"x" * MAX_CHAIN
    with _certificates(authority, tmp_path, long) as (made, url, _):
        with pytest.raises(CertificateUnavailable):
            made.key_at(url, now=_now())


def _refuses(authority: Authority, folder: Path, content: bytes) -> None:
    with _certificates(authority, folder, content) as (certificates, url, _):
        with pytest.raises(WebhookNotTrusted):
            certificates.key_at(url, now=_now())
