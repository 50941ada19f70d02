"""A web process for all tests of accounts; each test has a new shop and providers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from runtime import container
from tests.support.account_shop import AccountsShop
from tests.support.running_web import RunningWeb
from tests.support.web_fixtures import web
from tests.support.workbench import workbench

__all__ = ["web"]


@pytest.fixture
def shop(web: RunningWeb) -> Iterator[AccountsShop]:
    """An AccountsShop whose worker uses breakers."""
    with workbench(web) as bench, ExitStack() as stack:
        services = container.create_worker_services(bench.settings)
        stack.callback(services.database.client.close)
        for pool in services.attempt_context.executors.values():
            stack.callback(pool.shutdown)
        bench.context = replace(services.attempt_context, clock=bench.now)
        bench.database.circuit_breakers.delete_many({})
        yield AccountsShop(bench)
