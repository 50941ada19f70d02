"""Fixtures of one web process for a package, and of a new merchant for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.running_web import Client, RunningWeb, prepared_web


@pytest.fixture(scope="package")
def web(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str, redis_url: str
) -> Iterator[RunningWeb]:
    """A running web process on a new database."""
    home = tmp_path_factory.mktemp("web")
    with prepared_web(home, mongo_url, redis_url) as running:
        yield running


@pytest.fixture
def merchant(web: RunningWeb) -> Client:
    """A client whose merchant has no payments yet."""
    return web.client()
