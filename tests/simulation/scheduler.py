"""Actors that alternate: each stops at every port call, and a crash ends it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NoReturn

from greenlet import getcurrent, greenlet


class Crash(BaseException):
    """The process has ended; none of its code runs any more."""


class Violation(BaseException):
    """A promise was broken. No handler of the product may catch it."""


@dataclass(slots=True, eq=False)
class Process:
    """A worker, a web process, recovery or an operator; its actors crash together."""

    name: str
    dead: bool = False
    held: set[str] = field(default_factory=set)  #: ids that the worker holds
    skew: float = 0.0  #: seconds by which its clock is ahead of the database's


@dataclass(slots=True, eq=False)
class Actor:
    """One task of a process, stopped at a boundary."""

    name: str
    process: Process
    execution: greenlet


class Scheduler:
    """Runs actors one at a time, each up to its next boundary.

    ``crash_at`` has the numbers of the boundaries at which the process crashes.
    """

    def __init__(self, crash_at: Collection[int] = ()) -> None:
        self.actors: list[Actor] = []
        self.passed = 0  #: boundaries reached so far
        self.log: list[tuple[str, ...]] = []  #: actor and step, in order
        self._crash_at = crash_at
        self._main = getcurrent()
        self._current: Actor | None = None

    @property
    def current(self) -> Actor:
        """The running actor."""
        assert self._current is not None, "only an actor may pass a boundary"
        return self._current

    def start(self, name: str, process: Process, task: Callable[[], object]) -> Actor:
        """Adds an actor, which has not begun yet."""

        def run_task() -> None:
            try:
                task()
            except Crash:
                pass

        actor = Actor(name, process, greenlet(run_task, self._main))
        self.actors.append(actor)
        return actor

    def boundary(self, step: str) -> None:
        """Stops the actor, for any time or for ever. Raises Crash."""
        actor = self.current
        if actor.process.dead:
            raise Crash
        self.passed += 1
        self.log.append((actor.name, step))
        if self.passed in self._crash_at:
            self._die(actor, step)
        self._main.switch()
        if actor.process.dead:
            raise Crash

    def resume(self, actor: Actor) -> None:
        """Runs ``actor`` to its next boundary, or to its end."""
        self._current = actor
        actor.execution.switch()
        self._current = None
        if actor.process.dead:
            self.crash(actor.process)
        elif actor.execution.dead:
            self.actors.remove(actor)

    def crash(self, process: Process) -> None:
        """Ends ``process`` and all of its actors."""
        process.dead = True
        dying = [actor for actor in self.actors if actor.process is process]
        self.actors = [actor for actor in self.actors if actor.process is not process]
        self.log.append((process.name, "CRASHES"))
        for actor in dying:
            if actor.execution:  # an actor that has not begun needs no clean-up
                self._current = actor
                actor.execution.throw(Crash)
                self._current = None

    def _die(self, actor: Actor, step: str) -> NoReturn:
        actor.process.dead = True
        self.log.append((actor.name, f"dies at {step}"))
        raise Crash
