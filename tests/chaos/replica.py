"""Three MongoDB servers as one replica set, and ways to replace its primary."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from local_stack import embedded_servers
from runtime import processes
from tests.chaos.supervisor import Child

#: Gigabytes of cache per server: enough for the whole run.
CACHE: Final = "0.25"
#: Milliseconds without a heartbeat of the primary until an election, and between two
#: heartbeats. MongoDB's default of 10 s would make a run with ten elections long.
#: https://www.mongodb.com/docs/v6.0/reference/replica-configuration/
ELECTION: Final = 2000
HEARTBEAT: Final = 500
#: Milliseconds for a command to a member, which may be paused.
COMMAND: Final = 1000
#: Seconds in which a primary that stepped down is not elected again.
STEPPED_DOWN: Final = 5
#: Seconds for the first election.
INITIATE: Final = 60.0


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """The members, each with a client connected to it alone."""

    ports: Sequence[int]
    clients: Sequence[MongoClient[dict[str, Any]]] = field(repr=False)

    @property
    def url(self) -> str:
        """The URL for programs."""
        hosts = ",".join(f"{embedded_servers.HOST}:{port}" for port in self.ports)
        return f"mongodb://{hosts}/?replicaSet={embedded_servers.REPLICA_SET}"

    def initiate(self) -> None:
        """Makes the set and waits for its primary."""
        members = [
            {"_id": place, "host": f"{embedded_servers.HOST}:{port}"}
            for place, port in enumerate(self.ports)
        ]
        settings = {
            "electionTimeoutMillis": ELECTION,
            "heartbeatIntervalMillis": HEARTBEAT,
        }
        config = {
            "_id": embedded_servers.REPLICA_SET,
            "members": members,
            "settings": settings,
        }
        self.clients[0].admin.command("replSetInitiate", config)
        assert processes.wait_until(
            lambda: self.primary() is not None, seconds=INITIATE
        )

    def primary(self) -> int | None:
        """The place of the latest elected primary, or None."""
        found: list[tuple[ObjectId, int]] = []
        for place, client in enumerate(self.clients):
            try:
                hello = client.admin.command("hello")
            except PyMongoError:
                continue
            if hello.get("isWritablePrimary"):
                found.append((hello["electionId"], place))
        # A member that was paused may not know of a later election yet.
        return max(found)[1] if found else None

    def step_down(self, place: int) -> bool:
        """Makes the member step down; returns whether it did."""
        try:
            self.clients[place].admin.command(
                "replSetStepDown",
                STEPPED_DOWN,
                force=True,
                secondaryCatchUpPeriodSecs=1,
            )
        except PyMongoError:
            return False
        return True

    def term(self) -> int:
        """The number of elections so far; 0 if no member answers."""
        terms = [0]
        for client in self.clients:
            try:
                terms.append(int(client.admin.command("replSetGetStatus")["term"]))
            except PyMongoError:
                continue
        return max(terms)

    def ready(self, place: int) -> bool:
        """Whether the member is a primary or a secondary."""
        try:
            hello = self.clients[place].admin.command("hello")
        except PyMongoError:
            return False
        return bool(hello.get("isWritablePrimary") or hello.get("secondary"))

    def close(self) -> None:
        """Closes the clients."""
        for client in self.clients:
            client.close()

    def answers(self, place: int) -> bool:
        """Whether the member answers, in a set or not."""
        try:
            return bool(self.clients[place].admin.command("ping"))
        except PyMongoError:
            return False


def members(home: Path) -> tuple[ReplicaSet, list[Child]]:
    """The set and its servers, not started yet, with data in ``home``."""
    ports = [processes.free_port() for _ in range(3)]
    clients = [
        MongoClient[dict[str, Any]](
            embedded_servers.HOST,
            port,
            directConnection=True,
            serverSelectionTimeoutMS=COMMAND,
            socketTimeoutMS=3 * COMMAND,
        )
        for port in ports
    ]
    replicas = ReplicaSet(ports, clients)
    children = []
    for place, port in enumerate(ports):
        server = embedded_servers.mongo(home / f"mongo-{place + 1}", port)
        children.append(
            Child(
                name=f"mongo-{place + 1}",
                kind="mongo",
                command=_smaller(server.command),
                environment=os.environ,
                log=server.log,
                ready=partial(replicas.answers, place),
            )
        )
    return replicas, children


def _smaller(command: Sequence[str]) -> list[str]:
    """The embedded server's command with a smaller cache."""
    changed = list(command)
    changed[changed.index("--wiredTigerCacheSizeGB") + 1] = CACHE
    return changed
