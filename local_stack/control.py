"""A stack in the background: start it, stop it, ask how it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from local_stack import api_port, demo_keys, folders, probe
from local_stack.state import (
    READY,
    Ready,
    StackError,
    StackTaken,
    State,
    is_taken,
    read_state,
)
from runtime import processes
from runtime.settings import Settings

#: Seconds a stack has to start: two groups of processes and an empty database.
START_WAIT: Final = 150.0
#: Seconds a stack has to stop: its programs drain, then its servers stop.
STOP_WAIT: Final = 60.0


def start(settings: Settings, *, workers: int) -> Ready:
    """Start a stack in the background; returns once it serves.

    Raises StackError, with the end of the stack's log, where it does not. The log of
    the run before is kept beside it.
    """
    home = settings.home.resolve()
    if is_taken(home):
        raise StackTaken(home)
    api_port.check(settings)
    log = folders.folder(home, "logs") / "stack.log"
    if log.exists():  # its end must not be an older run's
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
    child.returncode = 0  # it lives on without us, so nobody need wait for it
    return Ready(state.urls, demo_keys.read(home), home)


def stop(home: Path) -> bool:
    """Stop the stack of ``home``; False where none runs.

    Raises StackError where it does not stop in time.
    """
    state = read_state(home)
    if state is None:
        return False
    # The lock is held, so this process is the stack's and no other's.
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
    """What runs in ``home``, each process asked now; None where nothing does."""
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
    """TERM and HUP are heard as Ctrl-C is, for the child has to be stopped first."""
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
    """The state of a child that became ready, or None."""
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
