"""Each test has a shop, the web application and providers of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.initialise import initialise
from runtime import container
from runtime.settings import Settings
from tests.support.webhook_workbench import WebhookWorkbench, webhook_workbench


@pytest.fixture(scope="package")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str, redis_url: str
) -> Iterator[Settings]:
    """Settings of a database with indexes; building them takes longer than any test."""
    settings = Settings(
        home=tmp_path_factory.mktemp("webhooks"),
        mongo_url=mongo_url,
        redis_url=redis_url,
        database=f"test_{uuid.uuid4().hex[:16]}",
        log_format="json",
    )
    initialise(settings)
    yield settings
    database = container.open_database(settings)
    database.client.drop_database(settings.database)
    database.client.close()


@pytest.fixture
def bench(prepared: Settings, tmp_path: Path) -> Iterator[WebhookWorkbench]:
    """A workbench with an empty inbox."""
    with webhook_workbench(prepared, tmp_path) as made:
        made.work.database.webhooks.delete_many({})
        yield made
