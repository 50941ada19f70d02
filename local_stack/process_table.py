"""The programs of the stack: a row each, for `payments up`, Procfile and compose."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_stack import probe

#: Seconds for the stop of a program: longer than the slowest provider call (13 s) and
#: the settle after it (4 s).
DRAIN: Final = 20.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the service, as in the Procfile."""

    name: str
    command: tuple[str, ...]
    #: Answers 200 once the program works. All paths are at the address of its metrics.
    ready_path: str = "/metrics"
    live_path: str = "/metrics"  #: answers 200 unless only a restart can help


PROGRAMS: Final = (
    Program("web", ("python", "-m", "web"), "/readyz", "/healthz"),
    Program("worker", ("python", "-m", "workers")),
    Program("beat", ("python", "-m", "workers.beat")),
    Program("exporter", ("python", "-m", "workers.exporter")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One child of a stack: a program of the service, a simulator or a server."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready_url: str
    live_url: str | None = None  #: None: a frozen process is not detected
    metrics_url: str | None = None
    log: Path | None = None  #: its output; None: the stack's output
    stop_seconds: float = DRAIN
    #: Makes it ready and returns whether it is; None: ``ready_url`` is probed.
    prepare: Callable[[], bool] | None = None

    def ready(self) -> bool:
        """Whether the process serves now."""
        return self.prepare() if self.prepare else probe.is_ready(self.ready_url)


def program_process(
    program: Program,
    *,
    name: str,
    environment: Mapping[str, str],
    address: str,
) -> Process:
    """``program`` with its metrics at ``address`` (a URL)."""
    return Process(
        name=name,
        command=(sys.executable, *program.command[1:]),
        environment=environment,
        ready_url=f"{address}{program.ready_path}",
        live_url=f"{address}{program.live_path}",
        metrics_url=f"{address}/metrics",
    )
