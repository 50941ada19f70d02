"""Actors that take turns: every port call gives the turn back, and a crash ends one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NoReturn

from greenlet import getcurrent, greenlet


class Crash(BaseException):
    """The process is gone; nothing of it happens any more."""


class Violation(BaseException):
    """A promise was broken; no handler of the product may take it for an error."""


@dataclass(slots=True, eq=False)
class Process:
    """What dies together: a worker, a web process, recovery, an operator's tool."""

    name: str
    dead: bool = False
    held: set[str] = field(default_factory=set)  #: ids that a worker works on
    skew: float = 0.0  #: seconds by which its clock is ahead of the database's


@dataclass(slots=True, eq=False)
class Actor:
    """One task of a process, stopped at a boundary."""

    name: str
    process: Process
    turns: greenlet


class Scheduler:
    """Whoever holds it decides who goes on; an actor stops at every boundary.

    ``crash_at`` numbers the boundaries at which the process that comes there dies.
    """

    def __init__(self, crash_at: Collection[int] = ()) -> None:
        self.actors: list[Actor] = []
        self.passed = 0  #: boundaries that were reached so far
        self.log: list[tuple[str, ...]] = []  #: who did what, in order
        self._crash_at = crash_at
        self._main = getcurrent()
        self._current: Actor | None = None

    @property
    def current(self) -> Actor:
        """Whose turn it is."""
        assert self._current is not None, "only an actor may pass a boundary"
        return self._current

    def start(self, name: str, process: Process, task: Callable[[], object]) -> Actor:
        """A new actor, which has not begun yet."""

        def turns() -> None:
            try:
                task()
            except Crash:
                pass

        actor = Actor(name, process, greenlet(turns, self._main))
        self.actors.append(actor)
        return actor

    def boundary(self, what: str) -> None:
        """Where an actor may be left waiting for long, or die. Raises Crash."""
        actor = self.current
        if actor.process.dead:
            raise Crash
        self.passed += 1
        self.log.append((actor.name, what))
        if self.passed in self._crash_at:
            self._die(actor, what)
        self._main.switch()
        if actor.process.dead:
            raise Crash

    def resume(self, actor: Actor) -> None:
        """Lets ``actor`` go on to its next boundary, or to its end."""
        self._current = actor
        actor.turns.switch()
        self._current = None
        if actor.process.dead:
            self.crash(actor.process)
        elif actor.turns.dead:
            self.actors.remove(actor)

    def crash(self, process: Process) -> None:
        """Ends ``process`` and every task of it; whatever they still do is lost."""
        process.dead = True
        dying = [actor for actor in self.actors if actor.process is process]
        self.actors = [actor for actor in self.actors if actor.process is not process]
        self.log.append((process.name, "CRASHES"))
        for actor in dying:
            if actor.turns:  # one that has not begun has nothing to clean up
                self._current = actor
                actor.turns.throw(Crash)
                self._current = None

    def _die(self, actor: Actor, what: str) -> NoReturn:
        actor.process.dead = True
        self.log.append((actor.name, f"dies at {what}"))
        raise Crash
