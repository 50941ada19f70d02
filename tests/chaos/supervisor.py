"""Keeps processes alive: restarts each that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime import processes

#: Seconds for the start on a busy machine.
START_WAIT: Final = 90.0
#: Seconds for the stop at the end of the run.
STOP_WAIT: Final = 10.0
#: Seconds between an end and the next start by default.
RESTART: Final = 0.3


@dataclass(slots=True)
class Child:
    """A program and its current run."""

    name: str
    kind: str  #: worker, web, beat, mongo, redis, …
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    ready: Callable[[], bool]
    run: subprocess.Popen[bytes] | None = None
    start_at: float | None = None  #: monotonic seconds; None while it runs
    paused_until: float | None = None  #: monotonic seconds; None if it is not paused
    starts: int = 0

    @property
    def is_up(self) -> bool:
        """Whether it runs and is not paused."""
        return self.start_at is None and self.paused_until is None


class Supervisor:
    """Use it from one lasting thread: the kernel kills the children with it."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def start(self, group: Sequence[Child], *, seconds: float = START_WAIT) -> None:
        """Starts ``group`` together and waits until all are ready.

        Raises ProcessFailed if one is not.
        """
        for child in group:
            self._children.append(child)
            _run(child)
        for child in group:
            if not processes.wait_until(child.ready, seconds=seconds):
                words = processes.tail(child.log)
                raise processes.ProcessFailed(f"{child.name} is not ready: {words}")

    def children_of(self, kind: str) -> list[Child]:
        """The children of one kind."""
        return [child for child in self._children if child.kind == kind]

    def kill(
        self,
        child: Child,
        *,
        down: float = RESTART,
        before_restart: Callable[[], None] | None = None,
    ) -> None:
        """Kills the child's session, and restarts it after ``down`` seconds."""
        assert child.run is not None
        processes.kill_session(child.run)
        child.start_at = time.monotonic() + down
        child.paused_until = None
        if before_restart is not None:
            before_restart()

    def pause(self, child: Child, *, seconds: float) -> None:
        """Sends STOP now, and CONT after ``seconds``."""
        _signal(child, signal.SIGSTOP)
        child.paused_until = time.monotonic() + seconds

    def supervise(self) -> None:
        """Restarts ended children and continues paused ones when due."""
        now = time.monotonic()
        for child in self._children:
            assert child.run is not None
            if child.start_at is None and child.run.poll() is not None:
                processes.kill_session(child.run)
                child.start_at = now + RESTART
            if child.start_at is not None and now >= child.start_at:
                _run(child)
            if child.paused_until is not None and now >= child.paused_until:
                self._resume(child)

    def heal(self, *, seconds: float) -> None:
        """Continues and restarts all children. Raises ProcessFailed if one is down."""
        for child in self._children:
            if child.paused_until is not None:
                self._resume(child)
            if child.start_at is not None:
                child.start_at = time.monotonic()

        def all_ready() -> bool:
            self.supervise()
            return all(child.is_up and child.ready() for child in self._children)

        if not processes.wait_until(all_ready, seconds=seconds):
            down = [child.name for child in self._children if not child.ready()]
            raise processes.ProcessFailed(f"not up again: {', '.join(down)}")

    def stop(self) -> None:
        """Sends TERM to all, the last one first, then KILL."""
        for child in reversed(self._children):
            if child.paused_until is not None:
                self._resume(child)
            if child.run is not None:
                processes.ask_to_stop(child.run)
        deadline = time.monotonic() + STOP_WAIT
        for child in reversed(self._children):
            if child.run is not None:
                left = max(deadline - time.monotonic(), 0.1)
                processes.stop(child.run, seconds=left)
        self._children.clear()

    def _resume(self, child: Child) -> None:
        _signal(child, signal.SIGCONT)
        child.paused_until = None


def _run(child: Child) -> None:
    child.run = processes.start(
        child.command, environment=child.environment, log=child.log
    )
    child.start_at = None
    child.starts += 1


def _signal(child: Child, number: int) -> None:
    """Signals the whole session, because a web process has a child process."""
    assert child.run is not None
    try:
        os.killpg(child.run.pid, number)
    except ProcessLookupError:
        pass  # it has ended, and will be restarted
