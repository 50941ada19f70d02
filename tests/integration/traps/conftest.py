"""Fixtures: one web process for all tests; a shop and providers for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.running_web import RunningWeb, prepared_web
from tests.support.workbench import Workbench, workbench


@pytest.fixture(scope="package")
def web(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str, redis_url: str
) -> Iterator[RunningWeb]:
    """A running web process on a database of its own."""
    home = tmp_path_factory.mktemp("traps")
    with prepared_web(home, mongo_url, redis_url) as running:
        yield running


@pytest.fixture
def bench(web: RunningWeb) -> Iterator[Workbench]:
    """A shop, a worker and providers of its own."""
    with workbench(web) as made:
        yield made


@pytest.fixture(params=["stripe", "paypal"])
def provider(request: pytest.FixtureRequest) -> str:
    """Each provider in turn."""
    return str(request.param)
