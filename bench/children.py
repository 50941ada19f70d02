"""Processes that the benchmark starts, each stopped when its block ends."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.errors import BenchError

ROOT: Final = Path(__file__).resolve().parents[1]
LOOPBACK: Final = "127.0.0.1"
#: Below Linux's ephemeral ports, so that no outgoing connection takes a chosen one.
PORTS: Final = range(10_000, 32_000)
#: Seconds to become ready, or to stop, on a busy machine.
START_WAIT: Final = 60.0
STOP_WAIT: Final = 15.0
#: Seconds between two checks of a condition.
POLL: Final = 0.05
#: From <linux/prctl.h>: the signal a process gets when its parent dies.
PR_SET_PDEATHSIG: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """The pid of a ready ``command`` that runs until the block ends.

    It prints to ``log``, Ctrl-C does not reach it, and the kernel ends it if the
    benchmark is killed. Raises BenchError if it does not become ready.
    """
    with open(log, "ab") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            # Runs between fork and exec, where prctl is safe.
            preexec_fn=_die_with_parent,
        )
    try:
        wait_until(lambda: process.poll() is not None or ready(), seconds=START_WAIT)
        if process.poll() is not None or not ready():
            raise BenchError(f"{log.stem} did not become ready; see {log}")
        yield process.pid
    finally:
        with undisturbed():
            _stop(process)


@contextmanager
def undisturbed() -> Iterator[None]:
    """INT and TERM wait until the block ends, so that every stop completes."""
    signals = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Check ``condition`` until it holds; False if it did not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)
    return True


def listens(port: int) -> bool:
    """Whether a process accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_port() -> int:
    """A free port. Raises BenchError if none is found."""
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
                return port
            except OSError:
                continue
    raise BenchError("no free port among 200 tried")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WAIT)
    except subprocess.TimeoutExpired:
        pass  # it is killed below
    try:
        os.killpg(process.pid, signal.SIGKILL)  # with its remaining children
    except ProcessLookupError:
        pass  # no process is left
    process.wait(STOP_WAIT)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
