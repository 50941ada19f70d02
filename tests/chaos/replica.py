"""Three MongoDB servers as one replica set, and the ways to unseat their primary."""

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
from tests.chaos.keeper import Child

#: Gigabytes of cache each: the whole run fits.
CACHE: Final = "0.25"
#: Milliseconds without a word from the primary until the others elect one, and
#: between two words; MongoDB's own 10 s would make a run of ten elections long.
#: https://www.mongodb.com/docs/v6.0/reference/replica-configuration/
ELECTION: Final = 2000
HEARTBEAT: Final = 500
#: Milliseconds for one question to a member, which may be paused.
ASK: Final = 1000
#: Seconds a primary that stepped down may not be elected again.
STEPPED_DOWN: Final = 5
#: Seconds for the first election.
INITIATE: Final = 60.0


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """Its members, each with a client that talks to that member alone."""

    ports: Sequence[int]
    clients: Sequence[MongoClient[dict[str, Any]]] = field(repr=False)

    @property
    def url(self) -> str:
        """For programs: any member leads to the primary."""
        hosts = ",".join(f"{embedded_servers.HOST}:{port}" for port in self.ports)
        return f"mongodb://{hosts}/?replicaSet={embedded_servers.REPLICA_SET}"

    def initiate(self) -> None:
        """Makes the set, and waits for its primary."""
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
        """The place of the member that a majority follows, or None."""
        found: list[tuple[ObjectId, int]] = []
        for place, client in enumerate(self.clients):
            try:
                hello = client.admin.command("hello")
            except PyMongoError:
                continue
            if hello.get("isWritablePrimary"):
                found.append((hello["electionId"], place))
        # One that was paused may not know yet that another was elected after it.
        return max(found)[1] if found else None

    def step_down(self, place: int) -> bool:
        """Whether the member gave its office up."""
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
        """How many elections there were since the set was made; 0 where none says."""
        terms = [0]
        for client in self.clients:
            try:
                terms.append(int(client.admin.command("replSetGetStatus")["term"]))
            except PyMongoError:
                continue
        return max(terms)

    def ready(self, place: int) -> bool:
        """Whether the member takes part again."""
        try:
            hello = self.clients[place].admin.command("hello")
        except PyMongoError:
            return False
        return bool(hello.get("isWritablePrimary") or hello.get("secondary"))

    def close(self) -> None:
        """Lets the connections to the members go."""
        for client in self.clients:
            client.close()

    def answers(self, place: int) -> bool:
        """Whether the member answers at all, in a set or not."""
        try:
            return bool(self.clients[place].admin.command("ping"))
        except PyMongoError:
            return False


def members(home: Path) -> tuple[ReplicaSet, list[Child]]:
    """The set and its servers, which are not started yet, with data below ``home``."""
    ports = [processes.free_port() for _ in range(3)]
    clients = [
        MongoClient[dict[str, Any]](
            embedded_servers.HOST,
            port,
            directConnection=True,
            serverSelectionTimeoutMS=ASK,
            socketTimeoutMS=3 * ASK,
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
    """The embedded server's command, with a cache for one of three."""
    changed = list(command)
    changed[changed.index("--wiredTigerCacheSizeGB") + 1] = CACHE
    return changed
