"""One shop, one worker and one pair of providers for all rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.running_web import prepared_web
from tests.support.workbench import Workbench, workbench


@pytest.fixture(scope="package")
def open_bench(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str, redis_url: str
) -> Iterator[Workbench]:
    """One workbench for all tests of the package."""
    home = tmp_path_factory.mktemp("answers")
    with prepared_web(home, mongo_url, redis_url) as web, workbench(web) as made:
        yield made


@pytest.fixture
def bench(open_bench: Workbench) -> Iterator[Workbench]:
    """The workbench; its simulators are healed after the test."""
    yield open_bench
    open_bench.stripe.heal()
    open_bench.paypal.heal()
