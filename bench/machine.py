"""The machine and software of a measurement."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

#: The packages with the most influence on the figures, by PyPI name.
PACKAGES: Final = (
    "celery",
    "dramatiq",
    "flask",
    "httptools",
    "gunicorn",
    "pymongo",
    "redis",
    "stripe",
    "urllib3",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Its size and software; ``date`` is the day of the run in UTC."""

    date: str
    cores: int
    memory_gib: float
    python: str
    packages: dict[str, str]

    def describe(self) -> str:
        """The machine in one line."""
        packages = ", ".join(map(" ".join, self.packages.items()))
        return (
            f"{self.date}, {self.cores} cores, {self.memory_gib:.0f} GiB of memory,"
            f" Python {self.python}, {packages}"
        )


def this_machine() -> Machine:
    """This machine; its cores are those available to this process."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Machine(
        date=datetime.now(UTC).date().isoformat(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=pages * size / 2**30,
        python=platform.python_version(),
        packages={name: version(name) for name in PACKAGES},
    )
