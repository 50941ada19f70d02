"""Fixtures: one web process for all tests; a shop and providers for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.running_web import RunningWeb
from tests.support.web_fixtures import web
from tests.support.workbench import Workbench, workbench

__all__ = ["web"]


@pytest.fixture
def bench(web: RunningWeb) -> Iterator[Workbench]:
    """A shop, a worker and providers of its own."""
    with workbench(web) as made:
        yield made


@pytest.fixture(params=["stripe", "paypal"])
def provider(request: pytest.FixtureRequest) -> str:
    """Each provider in turn."""
    return str(request.param)
