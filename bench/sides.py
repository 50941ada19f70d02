"""The interface between a round and the compared services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

#: Processes that are databases and brokers; all others are Python.
SERVERS: Final = frozenset({"redis", "mongo"})


@dataclass(frozen=True, slots=True)
class Stored:
    """A payment as its service stores it."""

    status: str
    at: float  #: the time of that status, in seconds since the epoch


@dataclass(frozen=True, slots=True)
class Counts:
    """Commands that a side's servers have carried out so far."""

    messages: int = 0  #: pushes to lists in Redis
    redis: int = 0  #: commands of Redis, those within scripts included
    mongo: int = 0  #: reads and writes of MongoDB; a bulk write is one

    def since(self, before: Counts) -> Counts:
        """The commands after ``before``."""
        return Counts(
            self.messages - before.messages,
            self.redis - before.redis,
            self.mongo - before.mongo,
        )


@dataclass(frozen=True, slots=True)
class Running:
    """A side that is running and ready."""

    url: str  #: accepts payments by POST
    headers: Mapping[str, str]
    processes: Mapping[str, int]  #: name to pid of all its processes
    counts: Callable[[], Counts]
    #: Its payments, by reference; None for a service that stores none.
    stored: Callable[[], dict[str, Stored]] | None = field(default=None)


class Role(Enum):
    """The part of a side in the comparison."""

    OURS = "ours"
    NO_DATABASE = "no database"  #: a peer that stores nothing
    DURABLE = "durable"  #: a peer whose writes are as durable as ours
    FLOOR = "floor"  #: the least code that does the same writes and calls


@dataclass(frozen=True, slots=True)
class Side:
    """``start`` takes the side's folder and Stripe's base URL."""

    name: str
    title: str
    role: Role
    start: Callable[[Path, str], AbstractContextManager[Running]]
