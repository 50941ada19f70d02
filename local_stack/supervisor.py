"""Keeps child processes running until a signal, and then stops all of them.

A child that ends or stops answering is restarted.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

from application.logs import get_logger
from local_stack import probe
from local_stack.process_table import Process
from runtime import processes

log = get_logger(__name__)

#: Seconds before a restart: doubled each time, up to the longest.
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0
#: After a run of this many seconds, the next wait is the first again.
RECOVERED_AFTER: Final = 60.0
#: Seconds between two checks of the children.
TICK: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLimits:
    """Limits of probes, after which a running child is restarted.

    They are generous: on a busy machine answers are slow, and restarts add load.
    """

    interval: float = 5.0  #: seconds between two probes
    answer: float = 5.0  #: seconds for an answer
    failures: int = 6  #: failed probes in a row: half a minute to a whole one
    #: The same before the first answer: MongoDB may have to recover first.
    first_failures: int = 24


class Interrupted(Exception):
    """The stack received a signal to stop."""


@dataclass(slots=True)
class Child:
    """A process, its current run, and the time of its restart."""

    process: Process
    run: subprocess.Popen[bytes]
    started: float  #: monotonic seconds
    ends: int = 0  #: ends since it last recovered
    restart_at: float | None = None  #: monotonic seconds; None while it runs
    has_answered: bool = False  #: in its current run
    failures: int = 0  #: failed probes in a row

    @property
    def pid(self) -> int | None:
        """The pid of the current run; None before a restart."""
        return self.run.pid if self.restart_at is None else None


class Supervisor:
    """Groups of children, started one after another.

    Use it from one thread that lasts as long as the process. It calls ``changed`` after
    each change of a child's pid.
    """

    def __init__(
        self, changed: Callable[[], None], *, limits: ProbeLimits = ProbeLimits()
    ) -> None:
        self._limits = limits
        self._stopping = threading.Event()
        self._groups: list[list[Child]] = []
        self._changed = changed
        self._signals = 0

    @property
    def children(self) -> list[Child]:
        """All children, in the order of their start."""
        return [child for group in self._groups for child in group]

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Handles TERM, INT and HUP: the first stops, the second skips the waits."""
        caught = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup sets it
            caught.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._signal) for number in caught}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Raises Interrupted after a signal."""
        if self._signals:
            raise Interrupted

    def start(self, group: Sequence[Process], *, seconds: float) -> None:
        """Starts the processes of ``group`` together and waits until all are ready.

        Raises Interrupted, and ProcessFailed if one ends or stays unready.
        """
        fresh: list[Child] = []
        self._groups.append(fresh)
        for process in group:
            self.check()
            fresh.append(Child(process, _run(process), time.monotonic()))
        self._changed()
        unready = list(fresh)

        def all_ready() -> bool:
            self.check()
            for child in fresh:
                _check_started(child)
            unready[:] = [child for child in unready if not child.process.ready()]
            return not unready

        if not processes.wait_until(all_ready, seconds=seconds):
            names = ", ".join(child.process.name for child in unready)
            raise processes.ProcessFailed(f"{names}: not ready after {seconds:g} s")
        for child in fresh:
            child.has_answered = child.process.prepare is None

    def tend(self) -> None:
        """Restarts children until a signal; then raises Interrupted."""
        for child in self.children:
            if child.process.live_url is not None:
                # Probes block, and only this thread may start children.
                threading.Thread(target=self._probe, args=[child], daemon=True).start()
        while True:
            self.check()
            for child in self.children:
                self._restart_if_needed(child)
            time.sleep(TICK)

    def stop(self) -> None:
        """Stops all children, the last group first; kills those that are too slow."""
        self._stopping.set()
        # A further signal during the stop skips the waits.
        signals = max(self._signals, 1)
        for group in reversed(self._groups):
            for child in group:
                processes.ask_to_stop(child.run)
            deadline = time.monotonic()
            deadline += max((child.process.stop_seconds for child in group), default=0)
            left = list(group)
            while left and self._signals <= signals and time.monotonic() < deadline:
                time.sleep(processes.POLL)
                left = [child for child in left if child.run.poll() is None]
            for child in left:
                log.warning("process_killed", process_name=child.process.name)
            for child in group:
                processes.kill_session(child.run)
        self._groups.clear()

    def _signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _probe(self, child: Child) -> None:
        """Probes a child at intervals, and counts its failures in a row."""
        url, limits = child.process.live_url or "", self._limits
        while not self._stopping.wait(limits.interval):
            if child.restart_at is not None:
                continue
            run = child.run
            answered = probe.is_ready(url, seconds=limits.answer)
            if child.run is not run:
                continue  # the answer was a previous run's
            child.failures = 0 if answered else child.failures + 1
            child.has_answered |= answered

    def _is_silent(self, child: Child) -> bool:
        limits = self._limits
        if child.has_answered:
            return child.failures >= limits.failures
        return child.failures >= limits.first_failures

    def _restart_if_needed(self, child: Child) -> None:
        now = time.monotonic()
        if child.restart_at is None and self._is_silent(child):
            log.error(
                "process_silent",
                process_name=child.process.name,
                pid=child.run.pid,
                attempts=child.failures,
            )
            # A frozen process ignores TERM, and every program here survives KILL.
            processes.kill_session(child.run)
        if child.restart_at is None and child.run.poll() is not None:
            if now - child.started > RECOVERED_AFTER:
                child.ends = 0
            wait = restart_wait(child.ends)
            child.ends += 1
            child.restart_at = now + wait
            # Its own children may still hold its port.
            processes.kill_session(child.run)
            log.error(
                "process_ended",
                process_name=child.process.name,
                exit_code=child.run.returncode,
                seconds=round(now - child.started, 1),
                wait=wait,
            )
            self._changed()
        elif child.restart_at is not None and now >= child.restart_at:
            child.run, child.started = _run(child.process), now
            child.restart_at = None
            child.has_answered, child.failures = False, 0
            log.warning(
                "process_restarted", process_name=child.process.name, pid=child.run.pid
            )
            self._changed()


def restart_wait(ends: int) -> float:
    """Seconds before a restart after ``ends`` earlier ends."""
    return float(min(FIRST_WAIT * 2 ** min(ends, 10), LONGEST_WAIT))


def _run(process: Process) -> subprocess.Popen[bytes]:
    return processes.start(
        process.command, environment=process.environment, log=process.log
    )


def _check_started(child: Child) -> None:
    code = child.run.poll()
    if code is None:
        return
    words = processes.tail(child.process.log) if child.process.log else "see above"
    raise processes.ProcessFailed(
        f"{child.process.name} ended with code {code} while starting: {words}"
    )
