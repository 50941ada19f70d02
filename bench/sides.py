"""The interface between a round and the two compared services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
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
class Running:
    """A side that is running and ready."""

    url: str  #: accepts payments by POST
    headers: Mapping[str, str]
    processes: Mapping[str, int]  #: name to pid of all its processes
    #: Its payments, by reference; None for a service that stores none.
    stored: Callable[[], dict[str, Stored]] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Side:
    """``start`` takes the side's folder and Stripe's base URL."""

    name: str
    title: str
    start: Callable[[Path, str], AbstractContextManager[Running]]
