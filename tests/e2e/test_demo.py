"""The demo of `make demo`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.running_stack import payments

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
#: Seconds; on an idle machine it takes twenty.
PATIENCE: Final = 240


@contextmanager
def demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo with its stack in ``folder``; asserts that nothing runs afterwards."""
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / "demo.py")],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield process
    home = {"PAYMENTS_HOME": str(folder / ".payments/demo")}
    assert payments("status", environment=home).returncode != 0


def test_the_demo_plays_every_scene_as_expected(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    lines = (EXAMPLES / "scenes.ndjson").read_text().splitlines()
    for scene in map(json.loads, lines):
        [row] = [line for line in output.splitlines() if scene["scene"] in line]
        assert row.split()[-2] == "yes"
    assert ", 0 of them twice" in output


@pytest.mark.parametrize("how", ["interrupted", "pipe closed"])
def test_an_ended_demo_stops_its_processes(tmp_path: Path, how: str) -> None:
    with demo(tmp_path) as process:
        assert process.stdout is not None
        while "It serves" not in (line := process.stdout.readline()):
            assert line, "it ended before it served"
        if how == "interrupted":
            process.send_signal(signal.SIGINT)
        else:
            process.stdout.close()
        process.wait(PATIENCE)
    assert process.returncode == (130 if how == "interrupted" else 1)
