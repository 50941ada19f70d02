"""The displayed part of a server's address."""

from __future__ import annotations

import pytest

from runtime.settings_checks import hosts_of


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://127.0.0.1:6379/0", "127.0.0.1:6379"),
        ("rediss://ada:secret@redis.example:6380/1?password=x", "redis.example:6380"),
        ("mongodb://ada:s%40c@a:1,b:2/?replicaSet=rs0", "a:1,b:2"),
        ("mongodb://ada:pa@ss@a:1/", "a:1"),
        ("mongodb://ada:pa/ss@a:1/", ""),
    ],
)
def test_hosts_are_shown_without_secrets(url: str, place: str) -> None:
    assert hosts_of(url) == place
