"""The address that a request counts for."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from web.quotas import client_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("remote", "forwarded", "counted"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, garbage, 10.9.9.9", "10.9.9.9"),
        ("10.0.0.1", ",".join(["10.1.1.1"] * 5_000), "10.1.1.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1:4711", "[2001:db8::1]:4711", "2001:db8::/64"),
        ("2001:db8:0:1:ffff::2", None, "2001:db8:0:1::/64"),
        ("2001:db8:0:1::3", None, "2001:db8:0:1::/64"),
        ("::ffff:203.0.113.7", None, "203.0.113.7"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", None),
        (None, None, None),
        ("x" * 10_000, None, None),
    ],
)
def test_the_counted_address_is_the_last_that_a_trusted_proxy_names(
    remote: str | None, forwarded: str | None, counted: str | None
) -> None:
    assert client_address(remote, forwarded, PROXIES) == counted


def test_a_forwarded_address_is_ignored_without_trusted_proxies() -> None:
    assert client_address("10.0.0.1", "198.51.100.1", ()) == "10.0.0.1"
