"""What a running stack leaves in its home for others: lock, ports and state."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from local_stack import folders
from runtime import processes
from runtime.settings import Settings, SettingsError

#: The phases of a stack, in their order.
STARTING: Final = "starting"
READY: Final = "ready"
STOPPING: Final = "stopping"

#: Seconds; a question whether a stack runs takes microseconds.
ASKING: Final = 0.5


class StackError(Exception):
    """The stack cannot do what it was asked; the message names the next step."""

    exit_code = 1  #: of the command; 2 where the command itself was wrong


class StackTaken(StackError):
    """Another stack has the home."""

    def __init__(self, home: Path) -> None:
        super().__init__(
            f"a stack runs in {home} already. Stop it with `payments down`, or set"
            " PAYMENTS_HOME and PAYMENTS_HTTP_PORT for another one"
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A process as others may know it."""

    name: str
    pid: int | None  #: None while it waits to be started again
    ready_url: str
    metrics_url: str | None


@dataclass(frozen=True, slots=True)
class State:
    """A running stack."""

    pid: int  #: of the supervisor
    phase: str
    home: str
    urls: Mapping[str, str]
    #: Variables that the stack set because its settings did not; the others are the
    #: environment's, and may hold secrets.
    filled: Mapping[str, str] = field(default_factory=dict)
    processes: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """What is told once a stack serves."""

    urls: Mapping[str, str]
    key: str | None = field(repr=False)  #: the demo merchant's; None with real money
    home: Path


def write_state(home: Path, state: State) -> None:
    """Replaces the state in one step, so that nobody reads half of it."""
    fresh = home / "stack.json.new"
    fresh.write_text(json.dumps(asdict(state), indent=2) + "\n")
    fresh.replace(home / "stack.json")


def forget_state(home: Path) -> None:
    """Remove the state of a stack that has stopped, or was killed."""
    (home / "stack.json").unlink(missing_ok=True)


def read_state(home: Path) -> State | None:
    """The state of the stack that runs on ``home``, or None where none does."""
    if not is_taken(home):
        return None
    try:
        found = json.loads((home / "stack.json").read_text())
    except FileNotFoundError:
        return None  # it has just begun, or has nearly ended
    rows = tuple(Row(**row) for row in found.pop("processes"))
    return State(**found, processes=rows)


def settings_of(environment: Mapping[str, str]) -> Settings:
    """The settings in ``environment``; what it leaves open, the running stack fills.

    Raises SettingsError.
    """
    settings = Settings.read(environment)
    state = read_state(settings.home)
    if state is None:
        return settings
    # Nothing and 0 (a port to be chosen) are what the stack has settled.
    given = {
        name: value for name, value in environment.items() if value not in ("", "0")
    }
    return Settings.read({**state.filled, **given})


def take(home: Path) -> None:
    """Take ``home`` for one stack until this process ends, however it ends.

    The file stays open on purpose: the kernel closes it with everything else, so who
    finds it unlocked knows that nothing of the process is left. Raises StackTaken
    where another stack has it, and SettingsError where the home cannot be used.
    """
    file = folders.folder(home) / "stack.lock"
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError(
            f"PAYMENTS_HOME: {file} cannot be written ({error.strerror})"
        ) from None
    # Somebody who only asks holds the lock for a moment.
    if not processes.wait_until(lambda: _lock(descriptor), seconds=ASKING):
        os.close(descriptor)
        raise StackTaken(home)
    forget_state(home)  # a killed stack's, whose process ids are others' by now


def is_taken(home: Path) -> bool:
    """Whether a stack's process has ``home``."""
    try:
        descriptor = os.open(home / "stack.lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)  # and with it the lock, where we got it


class Ports:
    """Ports chosen once for a home: whoever starts again finds its old one."""

    def __init__(self, home: Path) -> None:
        self._file = home / "ports.json"
        self._kept: dict[str, int] = {}
        if self._file.exists():
            self._kept = json.loads(self._file.read_text())
        self._taken: set[int] = set()

    def get(self, name: str) -> int:
        """The port of ``name``: the one of old where it is free, else a new one."""
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
