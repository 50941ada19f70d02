"""Keeps children running until it is told to stop, and then leaves none behind.

A child that ends is started again, and so is one that runs and does not answer.
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

from local_stack import probe
from local_stack.process_table import Process
from runtime import processes
from runtime.logs import get_logger

log = get_logger()

#: Seconds before a dead child is started again: doubled each time, up to the longest.
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0
#: A child that lived this many seconds has recovered: its next wait is the first.
RECOVERED_AFTER: Final = 60.0
#: Seconds between two looks at the children.
TICK: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLimits:
    """How long a running child may give no answer before it is started again.

    A busy machine makes answers slow, and a restart makes it busier.
    """

    interval: float = 5.0  #: seconds between two probes
    answer: float = 5.0  #: seconds that an answer may take
    failures: int = 6  #: probes in a row: half a minute, or a whole one
    #: The same before the first answer, such as that of a MongoDB which recovers.
    first_failures: int = 24


class Interrupted(Exception):
    """A signal asked the stack to stop."""


@dataclass(slots=True)
class Child:
    """A process, its current run, and when it is to run again."""

    process: Process
    run: subprocess.Popen[bytes]
    started: float  #: monotonic seconds
    ends: int = 0  #: deaths since it last recovered
    restart_at: float | None = None  #: monotonic seconds; None while it runs
    has_answered: bool = False  #: in its current run
    failures: int = 0  #: probes in a row that it did not answer

    @property
    def pid(self) -> int | None:
        """Of the current run; None while it is down."""
        return self.run.pid if self.restart_at is None else None


class Supervisor:
    """Groups of children, one started after another; use from one lasting thread.

    ``changed`` is called whenever a child's pid is another.
    """

    def __init__(
        self, changed: Callable[[], None], *, patience: ProbeLimits = ProbeLimits()
    ) -> None:
        self._patience = patience
        self._stopping = threading.Event()
        self._groups: list[list[Child]] = []
        self._changed = changed
        self._signals = 0

    @property
    def children(self) -> list[Child]:
        """All of them, in the order of their start."""
        return [child for group in self._groups for child in group]

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Take TERM, INT and HUP as the wish to stop; a second one hurries."""
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
        """Raises Interrupted once a signal came."""
        if self._signals:
            raise Interrupted

    def start(self, group: Sequence[Process], *, seconds: float) -> None:
        """Start ``group`` together and wait until all are ready.

        Raises ProcessFailed where one ends or stays unready, and Interrupted.
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

    def tend(self) -> None:
        """Keep the children alive until a signal comes; then raise Interrupted."""
        for child in self.children:
            if child.process.live_url is not None:
                # Probes wait for answers; the children are started from this thread.
                threading.Thread(target=self._probe, args=[child], daemon=True).start()
        while True:
            self.check()
            for child in self.children:
                self._look_after(child)
            time.sleep(TICK)

    def stop(self) -> None:
        """Stop all, the last group first; KILL who does not stop in time."""
        self._stopping.set()
        # Whoever asks again, while we stop, does not want to wait.
        patience = max(self._signals, 1)
        for group in reversed(self._groups):
            for child in group:
                processes.ask_to_stop(child.run)
            deadline = time.monotonic()
            deadline += max((child.process.stop_seconds for child in group), default=0)
            left = list(group)
            while left and self._signals <= patience and time.monotonic() < deadline:
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
        """Asks a child again and again, and counts what it does not answer."""
        url, patience = child.process.live_url or "", self._patience
        while not self._stopping.wait(patience.interval):
            if child.restart_at is not None:
                continue
            run = child.run
            answered = probe.is_ready(url, seconds=patience.answer)
            if child.run is not run:
                continue  # it was another run that was asked
            child.failures = 0 if answered else child.failures + 1
            child.has_answered |= answered

    def _is_silent(self, child: Child) -> bool:
        patience = self._patience
        if child.has_answered:
            return child.failures >= patience.failures
        return child.failures >= patience.first_failures

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.restart_at is None and self._is_silent(child):
            log.error(
                "process_silent",
                process_name=child.process.name,
                pid=child.run.pid,
                attempts=child.failures,
            )
            # Frozen, it would not hear TERM; all of ours survive KILL.
            processes.kill_session(child.run)
        if child.restart_at is None and child.run.poll() is not None:
            if now - child.started > RECOVERED_AFTER:
                child.ends = 0
            wait = restart_wait(child.ends)
            child.ends += 1
            child.restart_at = now + wait
            # Its helpers may still hold its port.
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
    """Seconds to wait after a child that had ended ``ends`` times before ended."""
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
