"""The two services that are compared: what a round needs to know of each."""

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
    """A payment as its service shows it."""

    status: str
    at: float  #: when it got there, in seconds since the epoch


@dataclass(frozen=True, slots=True)
class Running:
    """A side that serves."""

    url: str  #: takes a payment by POST
    headers: Mapping[str, str]
    processes: Mapping[str, int]  #: name to pid: all that it costs
    #: What it says of each payment, by reference; None where it cannot say.
    stored: Callable[[], dict[str, Stored]] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Side:
    """``start`` takes a folder of the side's own and Stripe's base URL."""

    name: str
    title: str
    start: Callable[[Path, str], AbstractContextManager[Running]]
