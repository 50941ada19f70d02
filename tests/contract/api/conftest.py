"""One web process for the API's contract tests; each test has a merchant of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.running_web import Client, RunningWeb, prepared_web


@pytest.fixture(scope="session")
def web(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str, redis_url: str
) -> Iterator[RunningWeb]:
    """A running web process."""
    home = tmp_path_factory.mktemp("api")
    with prepared_web(home, mongo_url, redis_url) as running:
        yield running


@pytest.fixture
def merchant(web: RunningWeb) -> Client:
    """A client whose merchant has no payments yet."""
    return web.client()
