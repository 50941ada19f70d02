"""Children of ours: started so that none outlives us, stopped within a bound."""

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
#: Seconds between two looks at a condition; short beside any start or stop.
POLL: Final = 0.05
#: Seconds a killed process may take to vanish; only a hung disk needs longer.
KILL_WAIT: Final = 5.0
#: Below Linux's ephemeral ports (32768 and up), so that no outgoing connection can
#: take a port of ours while its process starts again.
PORTS: Final = range(10_000, 32_000)

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ProcessFailed(Exception):
    """A process did not become ready; the message has its name and its last words."""


def die_with_parent() -> None:
    """Have the kernel kill this process as soon as its parent is gone.

    Linux only; elsewhere it does nothing, and a killed supervisor leaves children
    behind. KILL and not TERM: with the parent dead, nobody would see to it that a
    process that ignores TERM ends. Everything of ours survives a KILL at any moment.
    The setting passes exec, but not fork, and follows the parent's *thread*: start
    children from a thread that lives as long as the process.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path | None
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own, so that Ctrl-C does not reach it.

    What it prints is appended to ``log``, or goes where ours goes. Raises OSError
    where the command cannot be run.
    """
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent()
        if os.getppid() != parent:  # it died before the kernel knew of our wish
            os._exit(1)

    # The child inherits its own copy of the file; ours is closed at once.
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
    """TERM, wait at most ``seconds``, then KILL with its whole session.

    Returns whether it ended by itself.
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
    """TERM, to the child alone: it knows how to stop what it started itself."""
    if process.poll() is None:
        process.terminate()


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """KILL a child of ``start`` and whatever it left behind in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left; macOS says so with EPERM
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
    """A process that became ready within ``seconds`` and runs until the block ends.

    Raises ProcessFailed where it ends or stays unready.
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
    """The end of a log, as text; empty where there is none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Look at ``condition`` until it holds; False where it never did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)
    return True


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: a connection that is winding down does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)  # with SO_REUSEADDR only this fails beside a listener
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on. Raises OSError where none is found."""
    for port in random.sample(PORTS, 200):
        if port_is_free(host, port):
            return port
    raise OSError(f"no free port on {host} among 200 tried")
