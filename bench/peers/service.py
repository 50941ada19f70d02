"""Runs a peer: its servers, its web side under gunicorn, and its workers.

All peers share this. A peer names its package, whose ``web:app`` is a WSGI application,
and the command of its workers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import requests
from pymongo import MongoClient

from bench import servers
from bench.children import LOOPBACK, free_port, running
from bench.sides import Running, Stored

#: Two processes for two cores, with one thread per connection in total.
WEB_PROCESSES: Final = 2
WEB_THREADS: Final = 32
#: Seconds a connection stays open between requests.
KEEP_ALIVE: Final = 75
#: Seconds for one check of the web side.
TIMEOUT: Final = 1.0
#: Milliseconds for a read of the stored payments.
MONGO_TIMEOUT: Final = 30_000
#: The database of a durable peer, and its collection.
DATABASE: Final = "peer"
COLLECTION: Final = "payments"


@dataclass(frozen=True, slots=True)
class Peer:
    """A service for comparison."""

    package: str
    #: Arguments of Python for one worker; ``{number}`` is its number.
    worker: tuple[str, ...]
    workers: int
    durable: bool  #: whether it stores its payments in MongoDB

    @contextmanager
    def serving(self, home: Path, stripe_url: str) -> Iterator[Running]:
        """The peer with data and logs in ``home``; it calls Stripe at ``stripe_url``.

        Its workers may still be starting: the first payments wait for them.
        """
        web_port = free_port()
        url = f"http://{LOOPBACK}:{web_port}"
        with ExitStack() as stack:
            found = stack.enter_context(servers.serving(home, mongo=self.durable))
            variables = environment(found.redis_url, stripe_url, found.mongo_url)
            start = partial(running, environment=variables)
            processes = {
                f"worker{number}": stack.enter_context(
                    start(
                        self.worker_command(number),
                        log=home / f"worker{number}.log",
                        ready=lambda: True,
                    )
                )
                for number in range(1, self.workers + 1)
            }
            processes["web"] = stack.enter_context(
                start(
                    self.web_command(web_port),
                    log=home / "web.log",
                    ready=partial(_serves, url),
                )
            )
            yield Running(
                url=f"{url}/payments",
                headers={},
                processes={**processes, **found.processes},
                counts=found.counts,
                stored=(
                    partial(_stored, found.mongo_url)
                    if found.mongo_url is not None
                    else None
                ),
            )

    def web_command(self, port: int) -> tuple[str, ...]:
        """The command of the web side, on ``port`` of the loopback."""
        return (
            *(sys.executable, "-m", "gunicorn", f"{self.package}.web:app"),
            *("--bind", f"{LOOPBACK}:{port}", "--worker-class", "gthread"),
            *("--workers", str(WEB_PROCESSES), "--threads", str(WEB_THREADS)),
            *("--keep-alive", str(KEEP_ALIVE), "--no-control-socket"),
        )

    def worker_command(self, number: int = 1) -> tuple[str, ...]:
        """The command of one worker."""
        words = (word.format(number=number) for word in self.worker)
        return (sys.executable, *words)


def environment(
    redis_url: str, stripe_url: str, mongo_url: str | None = None
) -> dict[str, str]:
    """The environment of a peer's processes."""
    found = {
        "PEER_REDIS_URL": redis_url,
        "PEER_STRIPE_API_BASE": stripe_url,
        "PEER_STRIPE_KEY": "sk_test_simulator",
        # Milliseconds between polls of an idle dramatiq worker; a shorter interval
        # wakes all its threads as often.
        "dramatiq_worker_timeout": "100",
    }
    return found if mongo_url is None else {**found, "PEER_MONGO_URL": mongo_url}


def _stored(mongo_url: str) -> dict[str, Stored]:
    """The outcome of each payment in a durable peer's database, by reference."""
    fields = {"reference": 1, "status": 1, "updated_at": 1}
    client: MongoClient[dict[str, Any]] = MongoClient(
        mongo_url, tz_aware=True, timeoutMS=MONGO_TIMEOUT
    )
    with client:
        return {
            row["reference"]: Stored(row["status"], row["updated_at"].timestamp())
            for row in client[DATABASE][COLLECTION].find({}, fields)
        }


def _serves(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=TIMEOUT).ok
    except requests.RequestException:
        return False
