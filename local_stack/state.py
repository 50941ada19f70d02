"""The files of a running stack in its home: lock, ports and state."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from local_stack.folders import make_folder
from runtime import processes
from runtime.settings import Settings, SettingsError

#: The phases of a stack, in their order.
STARTING: Final = "starting"
READY: Final = "ready"
STOPPING: Final = "stopping"

#: Seconds that another process may hold the lock to check it; that takes microseconds.
CHECK_WAIT: Final = 0.5


class StackError(Exception):
    """A command of the stack failed; the message names the next step."""

    exit_code = 1  #: of the command; 2 if the command itself was wrong


class PortBusy(StackError):
    """The API's port is in use."""

    exit_code = 2

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            f"port {settings.port} on {settings.host} is in use. Free it, or set"
            " PAYMENTS_HTTP_PORT to another (0 picks a free one)"
        )


class StackTaken(StackError):
    """Another stack uses the home."""

    def __init__(self, home: Path) -> None:
        super().__init__(
            f"a stack runs in {home} already. Stop it with `payments down`, or set"
            " PAYMENTS_HOME and PAYMENTS_HTTP_PORT for another one"
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A process of the stack, for other commands."""

    name: str
    pid: int | None  #: None while it waits for its restart
    ready_url: str
    metrics_url: str | None


@dataclass(frozen=True, slots=True)
class State:
    """A running stack."""

    pid: int  #: of the supervisor
    phase: str
    home: str
    urls: Mapping[str, str]
    #: Variables that the stack set itself. Variables of the environment may hold
    #: secrets and are not stored.
    filled: Mapping[str, str] = field(default_factory=dict)
    processes: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """The access to a stack that serves."""

    urls: Mapping[str, str]
    key: str | None = field(repr=False)  #: the demo merchant's; None in live mode
    home: Path


def write_state(home: Path, state: State) -> None:
    """Replaces the state atomically."""
    fresh = home / "stack.json.new"
    fresh.write_text(json.dumps(asdict(state), indent=2) + "\n")
    fresh.replace(home / "stack.json")


def forget_state(home: Path) -> None:
    """Removes the state of a stopped or killed stack."""
    (home / "stack.json").unlink(missing_ok=True)


def read_state(home: Path) -> State | None:
    """The state of the stack that runs in ``home``, or None."""
    if not is_taken(home):
        return None
    try:
        found = json.loads((home / "stack.json").read_text())
    except FileNotFoundError:
        return None  # the stack is starting or stopping
    rows = tuple(Row(**row) for row in found.pop("processes"))
    return State(**found, processes=rows)


def settings_of(environment: Mapping[str, str]) -> Settings:
    """The settings in ``environment``, with unset ones from the running stack.

    Raises SettingsError.
    """
    settings = Settings.read(environment)
    state = read_state(settings.home)
    if state is None:
        return settings
    # An empty value, and the port 0, are left to the stack.
    given = {
        name: value for name, value in environment.items() if value not in ("", "0")
    }
    return Settings.read({**state.filled, **given})


def take(home: Path) -> None:
    """Locks ``home`` for this process until it ends in any way.

    The file stays open on purpose: the kernel closes it when the process ends, so an
    unlocked file means that the process is gone. Raises StackTaken if another stack has
    the lock, and SettingsError if the home cannot be used.
    """
    file = make_folder(home) / "stack.lock"
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError(
            f"PAYMENTS_HOME: {file} cannot be written ({error.strerror})"
        ) from None
    # A process that checks the lock holds it for a moment.
    if not processes.wait_until(lambda: _lock(descriptor), seconds=CHECK_WAIT):
        os.close(descriptor)
        raise StackTaken(home)
    forget_state(home)  # of a killed stack; its pids may have been reused


def is_taken(home: Path) -> bool:
    """Whether a stack runs in ``home``."""
    try:
        descriptor = os.open(home / "stack.lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)  # releases the lock if it was free


def check_port(settings: Settings) -> None:
    """Raises PortBusy if the API cannot listen on its port now."""
    if settings.port and not processes.port_is_free(settings.host, settings.port):
        raise PortBusy(settings)


class Ports:
    """The ports of a home, chosen once and reused after a restart."""

    def __init__(self, home: Path) -> None:
        self._file = home / "ports.json"
        self._kept: dict[str, int] = {}
        if self._file.exists():
            self._kept = json.loads(self._file.read_text())
        self._taken: set[int] = set()

    def get(self, name: str) -> int:
        """The previous port of ``name`` if it is free, or a new one."""
        port = self._kept.get(name, 0)
        while port in self._taken | {0} or not processes.port_is_free(
            "127.0.0.1", port
        ):
            port = processes.free_port()
        self._taken.add(port)
        self._kept[name] = port
        self._file.write_text(json.dumps(self._kept, indent=2) + "\n")
        return port


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
