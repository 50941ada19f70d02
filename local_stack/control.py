"""Starts, stops and inspects a stack in the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from local_stack import demo_keys, probe
from local_stack.folders import make_folder
from local_stack.state import (
    READY,
    Ready,
    StackError,
    StackTaken,
    State,
    check_port,
    is_taken,
    read_state,
)
from runtime import processes
from runtime.settings import Settings

#: Seconds for a start: two groups of processes and an empty database.
START_WAIT: Final = 150.0
#: Seconds for a stop: programs finish their work, then servers stop.
STOP_WAIT: Final = 60.0


def start(settings: Settings, *, workers: int) -> Ready:
    """Starts a stack in the background and returns once it serves.

    Raises StackError with the end of the stack's log if it does not start. The previous
    run's log is kept beside the new one.
    """
    home = settings.home.resolve()
    if is_taken(home):
        raise StackTaken(home)
    check_port(settings)
    log = make_folder(home, "logs") / "stack.log"
    if log.exists():  # an error shows the end of this run's log only
        log.replace(log.with_name(f"{log.name}.1"))
    with _interruptible():
        with open(log, "ab") as file:
            child = subprocess.Popen(
                [sys.executable, "-m", "cli", "up", "--workers", str(workers)],
                env={**os.environ, "PAYMENTS_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        state = _wait_for(child, home)
    if state is None:
        processes.stop(child, seconds=STOP_WAIT)
        raise StackError(
            f"the stack did not start. The end of {log}:\n{processes.tail(log)}"
        )
    child.returncode = 0  # it outlives this process, so subprocess must not warn
    return Ready(state.urls, demo_keys.read(home), home)


def stop(home: Path) -> bool:
    """Stops the stack of ``home``; returns False if none runs.

    Raises StackError if it does not stop in time.
    """
    state = read_state(home)
    if state is None:
        return False
    # The lock is held, so no other process has reused the stack's pid.
    os.kill(state.pid, signal.SIGTERM)

    def stopped() -> bool:
        return not is_taken(home)

    if not processes.wait_until(stopped, seconds=STOP_WAIT):
        raise StackError(
            f"the stack (process {state.pid}) has not stopped after {STOP_WAIT:g} s."
            " Run `payments down` again to stop it at once"
        )
    return True


def status(home: Path) -> dict[str, Any] | None:
    """The running stack of ``home`` with a fresh probe of each process, or None."""
    state = read_state(home)
    if state is None:
        return None
    return {
        "home": state.home,
        "urls": dict(state.urls),
        "processes": [
            {
                "name": row.name,
                "pid": row.pid,
                "ready": row.pid is not None and probe.is_ready(row.ready_url),
                "metrics_url": row.metrics_url,
            }
            for row in state.processes
        ],
    }


@contextmanager
def _interruptible() -> Iterator[None]:
    """Handles TERM and HUP like Ctrl-C, so that the child is stopped first."""
    caught = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in caught}
    for number in caught:
        if before[number] != signal.SIG_IGN:  # as nohup sets HUP
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for(child: subprocess.Popen[bytes], home: Path) -> State | None:
    """The state of the child once it is ready; None if it ends or is too slow."""
    found: list[State] = []

    def settled() -> bool:
        if child.poll() is not None:
            return True
        state = read_state(home)
        if state is None or (state.pid, state.phase) != (child.pid, READY):
            return False
        found.append(state)
        return True

    try:
        processes.wait_until(settled, seconds=START_WAIT)
    except KeyboardInterrupt:
        processes.stop(child, seconds=STOP_WAIT)
        raise
    return found[0] if found else None
