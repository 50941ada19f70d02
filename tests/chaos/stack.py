"""The stack under test: three MongoDBs, Redis, two simulators and the programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from local_stack import embedded_servers, initialise, probe
from local_stack.folders import make_folder
from local_stack.process_table import PROGRAMS, program_process
from runtime import processes
from runtime.settings import Settings
from tests.chaos import replica
from tests.chaos.supervisor import Child, Supervisor
from tests.chaos.replica import ReplicaSet

LOOPBACK: Final = "127.0.0.1"
#: The number of processes of each program.
COUNTS: Final = {"web": 2, "worker": 3, "beat": 2, "exporter": 1}
#: Seconds of a call to a provider.
LATENCY: Final = 0.08
SIMULATORS: Final = ("stripe", "paypal")
#: The rate limit of a live Stripe account. The load exceeds the default of 25, and the
#: run would only measure a queue.
STRIPE_RATE: Final = 100


@dataclass(frozen=True, slots=True)
class Redis:
    """The broker and its folder."""

    url: str
    folder: Path

    def set_aside(self) -> None:
        """Replaces the data folder with an empty one, and keeps it for the search."""
        number = len(list(self.folder.parent.glob(f"{self.folder.name}.lost-*")))
        self.folder.rename(self.folder.with_name(f"{self.folder.name}.lost-{number}"))
        self.folder.mkdir(mode=0o700)


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    home: Path
    supervisor: Supervisor
    webs: Sequence[str]  #: base URLs
    key: str  #: the demo merchant's API key
    providers: Mapping[str, str]  #: base URLs by name
    redis: Redis
    mongo: ReplicaSet
    database: str

    @property
    def logs(self) -> Path:
        """The folder of all logs."""
        return self.home / "logs"


@contextmanager
def running(home: Path) -> Iterator[Stack]:
    """A ready stack, which is stopped when the block ends."""
    supervisor = Supervisor()
    replicas, mongods = replica.members(home)
    try:
        redis, broker = redis_server(home)
        simulators = {name: simulator(name, home) for name in SIMULATORS}
        providers = {name: url for name, (url, _) in simulators.items()}
        supervisor.start(
            [*mongods, broker, *(child for _, child in simulators.values())]
        )
        replicas.initiate()
        for place, member in enumerate(mongods):
            member.ready = partial(replicas.ready, place)
        settings = Settings(
            home=home.resolve(),
            mongo_url=replicas.url,
            redis_url=redis.url,
            stripe_api_base=providers["stripe"],
            paypal_api_base=providers["paypal"],
            stripe_rate=STRIPE_RATE,
            log_format="json",
        )
        initialise.initialise(settings)
        key = initialise.ensure_demo_keys(settings)
        assert key is not None
        programs, webs = _programs(settings)
        supervisor.start(programs)
        yield Stack(
            home, supervisor, webs, key, providers, redis, replicas, settings.database
        )
    finally:
        supervisor.stop()
        replicas.close()


def redis_server(home: Path) -> tuple[Redis, Child]:
    """A Redis that keeps every command of the run in its file."""
    server = embedded_servers.redis(home, processes.free_port())
    child = Child(
        name="redis",
        kind="redis",
        command=(*server.command, "--auto-aof-rewrite-percentage", "0"),
        environment=os.environ,
        log=server.log,
        ready=server.ready,
    )
    return Redis(server.url, home / "redis"), child


def simulator(name: str, home: Path) -> tuple[str, Child]:
    """A provider's simulator: its base URL and its process."""
    port = processes.free_port()
    url = f"http://{LOOPBACK}:{port}"
    where = ("--host", LOOPBACK, "--port", str(port), "--latency", str(LATENCY))
    child = Child(
        name=name,
        kind="simulator",
        command=(sys.executable, "-m", "simulators", name, *where),
        environment=os.environ,
        log=make_folder(home, "logs") / f"{name}.log",
        ready=partial(probe.is_ready, f"{url}/_health"),
    )
    return url, child


def _programs(settings: Settings) -> tuple[list[Child], list[str]]:
    """The product's programs, and the URLs of its web processes."""
    found, webs = [], []
    for program in PROGRAMS:
        for number in range(1, COUNTS[program.name] + 1):
            port, name = processes.free_port(), f"{program.name}-{number}"
            address = f"http://{LOOPBACK}:{port}"
            own = replace(settings, metrics_port=port)
            if program.name == "web":
                own = replace(own, port=processes.free_port())
                webs.append(f"http://{LOOPBACK}:{own.port}")
            process = program_process(
                program,
                name=name,
                environment={**os.environ, **own.environment()},
                address=address,
            )
            found.append(
                Child(
                    name=name,
                    kind=program.name,
                    command=process.command,
                    environment=process.environment,
                    log=make_folder(settings.home, "logs") / f"{name}.log",
                    ready=process.ready,
                )
            )
    return found, webs
