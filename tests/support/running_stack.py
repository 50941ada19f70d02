"""A stack started by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from cli.main import main

#: Seconds for a command; a stack starts in 10 on a machine that runs tests.
COMMAND_WAIT = 180.0


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack that runs in ``home`` until its fixture ends."""

    home: Path
    environment: Mapping[str, str]
    urls: Mapping[str, str]  #: api, docs, stripe, paypal
    key: str  #: the demo merchant's test key

    def payments(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the command line against this stack."""
        return payments(*arguments, environment=self.environment)

    def processes(self) -> dict[str, dict[str, Any]]:
        """The processes in `payments status`, by name."""
        found = json.loads(self.payments("status", "--json").stdout)
        return {process["name"]: process for process in found["processes"]}


def payments(
    *arguments: str, environment: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs `payments` in this process and captures its output.

    A process of its own needs a second to import everything. Not for threads: standard
    output and the environment are the command's until it ends.
    """
    ended = CliRunner(env=environment).invoke(
        main, arguments, input=stdin, prog_name="payments", catch_exceptions=False
    )
    return subprocess.CompletedProcess(
        arguments, ended.exit_code, ended.stdout, ended.stderr
    )


def payments_process(
    *arguments: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs `payments` in a process of its own, and captures its output."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_WAIT,
    )


def environment_of(home: Path, **settings: str) -> dict[str, str]:
    """The variables of a new stack: its folder, and any free port."""
    return {"PAYMENTS_HOME": str(home), "PAYMENTS_HTTP_PORT": "0", **settings}


@contextmanager
def running_stack(home: Path, *options: str, **settings: str) -> Iterator[RunningStack]:
    """A stack in ``home``, started in the background and stopped at the end.

    ``settings`` are PAYMENTS_* variables; ``options`` go to `payments up`.
    """
    environment = environment_of(home, **settings)
    started = payments_process("up", "--detach", *options, environment=environment)
    assert started.returncode == 0, started.stderr
    ready = json.loads(started.stdout.splitlines()[-1])
    try:
        key = Path(ready["key_file"]).read_text().strip()
        yield RunningStack(home, environment, ready["urls"], key)
    finally:
        stopped = payments("down", environment=environment)
        assert stopped.returncode == 0, stopped.stderr
