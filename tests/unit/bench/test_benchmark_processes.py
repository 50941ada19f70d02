"""How a benchmark starts, measures and stops processes."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bench import usage
from bench.children import running, wait_until
from bench.errors import BenchError

#: Works for 0.3 s of CPU time in a child, waits for it, prints a line, and sleeps.
PARENT_OF_A_WORKER = """
import subprocess, sys, time
work = "import time\\nwhile time.process_time() < 0.3: pass"
subprocess.run([sys.executable, "-c", work], check=True)
print("done", flush=True)
time.sleep(60)
"""


def test_cpu_of_a_process_includes_that_of_children_it_waited_for(
    tmp_path: Path,
) -> None:
    log = tmp_path / "parent.log"
    command = [sys.executable, "-c", PARENT_OF_A_WORKER]
    with running(command, log=log, ready=lambda: "done" in log.read_text()) as pid:
        found = usage.read({"parent": pid})
    assert 0.3 <= found.processes["parent"] < 2.0


def test_cpu_of_a_process_includes_that_of_children_that_live() -> None:
    start, own = usage.read({"me": os.getpid()}).processes["me"], time.process_time()
    busy = [sys.executable, "-c", "while True: pass"]

    def used() -> float:
        return usage.read({"me": os.getpid()}).processes["me"] - start

    with running(busy, log=Path(os.devnull), ready=lambda: used() > 0.2):
        assert time.process_time() - own < 0.2  # so it was not mine


def test_a_process_below_another_counts_once_in_all() -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with running(sleep, log=Path(os.devnull), ready=lambda: True) as pid:
        found = usage.read({"me": os.getpid(), "mine": pid})
    assert found.all_roots == found.processes["me"] >= found.processes["mine"]
    assert found.machine >= found.all_roots


def test_memory_of_a_process_includes_that_of_its_children(tmp_path: Path) -> None:
    log, size = tmp_path / "log", 50_000_000
    holds = (
        f"held = b'x' * {size}\n"
        "print('held', flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', {!r}])"
    command = [sys.executable, "-c", parent.format(holds)]
    with running(command, log=log, ready=lambda: "held" in log.read_text()) as pid:
        pids = usage.trees({"parent": pid})["parent"]
        assert len(pids) == 2
        assert usage.resident(pids) > usage.resident([pid]) + size
    assert wait_until(lambda: usage.resident(pids) == 0, seconds=5)


def test_a_process_that_ended_cannot_be_measured(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with running(sleep, log=tmp_path / "log", ready=lambda: True) as pid:
        assert usage.read({"sleeper": pid}).processes["sleeper"] >= 0
    with pytest.raises(BenchError, match="sleeper"):
        usage.read({"sleeper": pid})


def test_a_process_that_ends_before_it_is_ready_is_an_error(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    with pytest.raises(BenchError, match="web did not become ready"):
        with running(command, log=tmp_path / "web.log", ready=lambda: False):
            pytest.fail("it never was ready")


def test_processes_left_in_a_stopped_session_are_stopped_too(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    leaves_one = (
        "import subprocess, sys\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "print(subprocess.Popen(sleep).pid, flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    command = [sys.executable, "-c", leaves_one]
    with running(command, log=log, ready=lambda: "\n" in log.read_text()):
        left = int(log.read_text())
        assert Path(f"/proc/{left}").exists()
    assert wait_until(lambda: _is_gone(left), seconds=5)


def _is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"
