"""Real servers as fixtures: Valkey, MongoDB, the simulators.

Each starts once a session, on a free port, in its own folder, and is stopped at the
end. Each test has its own MongoDB database and Redis number.
"""

from __future__ import annotations

import itertools
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pymongo import MongoClient
from redis import Redis

from local_stack import embedded_servers
from runtime import processes
from runtime.settings import Settings
from tests.support.running_stack import RunningStack, running_stack

#: Seconds for a simulator to open its port; the start of Python takes most of it.
SIMULATOR_WAIT = 20.0
#: Redis has 16 numbered databases; number 0 stays unused.
_redis_numbers = itertools.cycle(range(1, 16))


@pytest.fixture(scope="session")
def servers_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data and logs of the session's servers."""
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def redis_url(servers_home: Path) -> Iterator[str]:
    """A running Redis; per-test numbers are in ``settings.redis_url``."""
    with embedded_servers.running(
        embedded_servers.redis(servers_home, processes.free_port())
    ) as url:
        yield url


@pytest.fixture(scope="session")
def mongo_url(servers_home: Path) -> Iterator[str]:
    """A running MongoDB: the primary of a replica set of one.

    Its deletion by age is off, because tests store documents with fixed dates, which
    would expire during a test.
    """
    with embedded_servers.running(
        embedded_servers.mongo(servers_home, processes.free_port())
    ) as url:
        with MongoClient[dict[str, object]](url) as client:
            client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
        yield url


@pytest.fixture(scope="session")
def stripe_url(servers_home: Path) -> Iterator[str]:
    """The base URL of a running Stripe simulator, shared by the session."""
    yield from _simulator("stripe", servers_home)


@pytest.fixture(scope="session")
def paypal_url(servers_home: Path) -> Iterator[str]:
    """The base URL of a running PayPal simulator, shared by the session."""
    yield from _simulator("paypal", servers_home)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The session's own stack, started by `payments up --detach`."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def database(mongo_url: str) -> Iterator[str]:
    """The name of this test's own database, dropped after it."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    yield name
    with MongoClient[dict[str, object]](mongo_url) as client:
        client.drop_database(name)


@pytest.fixture
def redis_database(redis_url: str) -> str:
    """The URL of this test's own empty Redis database."""
    url = redis_url.removesuffix("/0") + f"/{next(_redis_numbers)}"
    with Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def settings(
    tmp_path: Path,
    mongo_url: str,
    redis_database: str,
    database: str,
    stripe_url: str,
    paypal_url: str,
) -> Settings:
    """Settings of this test's own: real servers, the simulators, a fresh home."""
    return Settings(
        home=tmp_path / "home",
        redis_url=redis_database,
        mongo_url=mongo_url,
        database=database,
        stripe_api_base=stripe_url,
        paypal_api_base=paypal_url,
        log_format="json",
    )


def _simulator(name: str, home: Path) -> Iterator[str]:
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return requests.get(f"{url}/_ledger", timeout=1).ok
        except requests.RequestException:
            return False

    with processes.running(
        f"{name} simulator",
        [sys.executable, "-m", "simulators", name, "--port", str(port)],
        environment=os.environ,
        log=home / f"{name}.log",
        ready=ready,
        seconds=SIMULATOR_WAIT,
    ):
        yield url
