"""Child processes that end with their parent and stop within a time limit."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: From <linux/prctl.h>: the signal a process gets when its parent dies.
PR_SET_PDEATHSIG: Final = 1
#: Seconds between two checks of a condition; short compared with any start or stop.
POLL: Final = 0.05
#: Seconds in which a killed process ends; only a hung disk takes longer.
KILL_WAIT: Final = 5.0
#: Below Linux's ephemeral ports (32768 and up), so that no outgoing connection takes
#: the port of a process during its restart.
PORTS: Final = range(10_000, 32_000)

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ProcessFailed(Exception):
    """A process did not become ready; the message has its name and its last output."""


def die_with_parent() -> None:
    """Makes the kernel kill this process when its parent ends.

    On other systems than Linux it does nothing, and the children of a killed supervisor
    continue. The signal is KILL, because no parent is left to stop a process that
    ignores TERM; every program here survives KILL. The setting survives exec but not
    fork, and follows the parent's *thread*: start children from a thread that lives as
    long as the process.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path | None
) -> subprocess.Popen[bytes]:
    """Starts ``command`` in a session of its own, so that Ctrl-C does not reach it.

    Its output is appended to ``log``, or goes to this process's output. Raises OSError
    if the command cannot be run.
    """
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent()
        if os.getppid() != parent:  # the parent ended before prctl
            os._exit(1)

    # The child inherits a copy of the file, so this one is closed at once.
    with open(log or os.devnull, "ab") as file:
        output = file if log else None
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # Runs between fork and exec; prctl and getppid are safe there.
            preexec_fn=prepare,
        )


def stop(process: subprocess.Popen[bytes], *, seconds: float) -> bool:
    """Sends TERM, waits at most ``seconds``, and kills the whole session.

    Returns whether the process ended before the KILL.
    """
    ask_to_stop(process)
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        kill_session(process)


def ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    """Sends TERM to the child alone, which stops its own children."""
    if process.poll() is None:
        process.terminate()


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kills a child of ``start`` and all other processes of its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # no process is left; macOS reports EPERM
    process.wait(KILL_WAIT)


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    ready: Callable[[], bool],
    seconds: float,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ready within ``seconds`` and runs until the block ends.

    Raises ProcessFailed if it ends or stays unready.
    """
    process = start(command, environment=environment, log=log)
    try:
        settled = wait_until(
            lambda: process.poll() is not None or ready(), seconds=seconds
        )
        if process.poll() is not None:
            raise ProcessFailed(
                f"{name} ended with code {process.returncode}:\n{tail(log)}"
            )
        if not settled:
            raise ProcessFailed(f"{name} is not ready after {seconds:g} s; see {log}")
        yield process
    finally:
        stop(process, seconds=seconds)


def tail(log: Path, *, lines: int = 15) -> str:
    """The last lines of a log; empty without a log."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Checks ``condition`` until it holds; returns False after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)
    return True


def port_is_free(host: str, port: int) -> bool:
    """Whether a server can listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As in servers: closing connections do not occupy the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)  # with SO_REUSEADDR, bind succeeds beside a listener
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A free port. Raises OSError if none is found."""
    for port in random.sample(PORTS, 200):
        if port_is_free(host, port):
            return port
    raise OSError(f"no free port on {host} among 200 tried")
