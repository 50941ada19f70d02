"""`payments up` and `payments down` with all processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime import processes
from tests.support.running_stack import (
    RunningStack,
    environment_of,
    payments,
    payments_process,
    running_stack,
)

#: Seconds for a restart, or for the end of all processes, on a busy machine.
SOON = 90.0
#: Seconds for the restart of a frozen process: six probes of up to five seconds with
#: five between them, and a start on a busy machine.
FROZEN = 180.0
CREATE = ["keys", "create", "--merchant", "shop", "--json"]
#: The processes of a stack without settings.
NAMES = ["redis", "mongo", "stripe", "paypal", "web", "worker", "beat", "exporter"]


def left_of(home: Path) -> list[str]:
    """The commands of all processes of ``home``, without zombies."""
    found = []
    mark = f"PAYMENTS_HOME={home}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has ended, or is another user's
        if mark in environment and command and folder.name != str(os.getpid()):
            found.append(f"{folder.name} {command}")
    return found


def test_every_process_is_listed_and_ready(stack: RunningStack) -> None:
    found = stack.processes()
    assert list(found) == NAMES
    assert all(process["ready"] for process in found.values())
    without_metrics = [name for name in NAMES if found[name]["metrics_url"] is None]
    assert without_metrics == ["redis", "mongo"]


def test_a_line_of_the_log_has_the_pid_of_its_process(stack: RunningStack) -> None:
    log = (stack.home / "logs" / "stack.log").read_text()
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    wrote = {one["pid"] for one in events if one["event"] == "worker_ready"}
    assert stack.processes()["worker"]["pid"] in wrote


def test_a_frozen_web_process_is_restarted_and_logged(
    stack: RunningStack,
) -> None:
    before = stack.processes()["web"]
    os.kill(before["pid"], signal.SIGSTOP)

    def back() -> bool:
        now = stack.processes()["web"]
        return now["pid"] not in (None, before["pid"]) and now["ready"]

    assert processes.wait_until(back, seconds=FROZEN)
    log = (stack.home / "logs" / "stack.log").read_text().splitlines()
    events = [json.loads(line) for line in log if line.startswith("{")]
    silent = [one for one in events if one.get("event") == "process_silent"]
    assert [(one["process_name"], one["pid"]) for one in silent] == [
        ("web", before["pid"])
    ]


@pytest.mark.parametrize("name", ["worker", "web", "mongo", "redis"])
def test_a_dead_process_is_restarted_on_its_port_and_logged(
    stack: RunningStack, name: str
) -> None:
    before = stack.processes()
    os.kill(before[name]["pid"], signal.SIGKILL)

    def back() -> bool:
        now = stack.processes()
        started_again = now[name]["pid"] not in (None, before[name]["pid"])
        return started_again and all(process["ready"] for process in now.values())

    assert processes.wait_until(back, seconds=SOON)
    assert stack.processes()[name]["metrics_url"] == before[name]["metrics_url"]
    events = [
        json.loads(line)
        for line in (stack.home / "logs" / "stack.log").read_text().splitlines()
        if line.startswith("{")
    ]
    ended = [one for one in events if one.get("event") == "process_ended"]
    assert (ended[-1]["process_name"], ended[-1]["exit_code"]) == (name, -9)


def test_a_second_stack_on_the_same_home_is_refused(stack: RunningStack) -> None:
    for arguments in (["up"], ["up", "--detach"]):
        refused = payments_process(*arguments, environment=stack.environment)
        assert refused.returncode == 1
        assert "a stack runs in" in refused.stderr
        assert "payments down" in refused.stderr


def test_two_stacks_run_side_by_side_and_leave_no_process(
    stack: RunningStack, tmp_path: Path
) -> None:
    home = tmp_path / "other"
    with running_stack(home, "--workers", "2") as other:
        theirs, ours = other.processes(), stack.processes()
        assert list(theirs) == [*NAMES[:6], "worker-2", *NAMES[6:]]
        assert all(process["ready"] for process in (theirs | ours).values())
        assert not {row["pid"] for row in theirs.values()} & {
            row["pid"] for row in ours.values()
        }
        assert other.urls["api"] != stack.urls["api"]
    assert left_of(home) == []
    assert all(process["ready"] for process in stack.processes().values())


def test_no_process_outlives_a_killed_supervisor_and_its_data_stay(
    tmp_path: Path,
) -> None:
    home = tmp_path / "killed"
    with running_stack(home) as first:
        made = json.loads(first.payments(*CREATE).stdout)
        kept = first.processes()
        pid = json.loads((home / "stack.json").read_text())["pid"]
        os.kill(pid, signal.SIGKILL)
        assert processes.wait_until(lambda: not left_of(home), seconds=SOON)
        assert first.payments("status").returncode == 1
    with running_stack(home) as second:
        assert second.key == first.key
        assert {
            name: process["metrics_url"] for name, process in second.processes().items()
        } == {name: process["metrics_url"] for name, process in kept.items()}
        listed = json.loads(second.payments("keys", "list", "--json").stdout)
        assert made["id"] in [key["id"] for key in listed]
    assert left_of(home) == []


@pytest.mark.parametrize(
    ("options", "number", "code"),
    [((), signal.SIGINT, 0), (("--detach",), signal.SIGTERM, 130)],
)
def test_a_signal_during_start_up_leaves_no_process(
    tmp_path: Path, options: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    home = tmp_path / "interrupted"
    log = tmp_path / "log"
    command = [sys.executable, "-m", "cli", "up", *options]
    with open(log, "wb") as output:
        starting = subprocess.Popen(
            command,
            env={**os.environ, **environment_of(home)},
            stdout=output,
            stderr=output,
        )
    state = home / "stack.json"
    assert processes.wait_until(
        lambda: state.exists() and '"mongo"' in state.read_text(), seconds=SOON
    ), log.read_text()
    starting.send_signal(number)
    assert starting.wait(SOON) == code, log.read_text()
    assert left_of(home) == []


def test_the_log_of_the_previous_run_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "home" / "logs" / "stack.log"
    log.parent.mkdir(parents=True)
    log.write_text("words of an earlier run\n")
    # Without a database the new run ends at once.
    nowhere = f"mongodb://127.0.0.1:{processes.free_port()}/?serverSelectionTimeoutMS=1"
    environment = environment_of(tmp_path / "home", PAYMENTS_MONGO_URL=nowhere)
    assert payments_process("up", "--detach", environment=environment).returncode == 1
    assert log.with_name("stack.log.1").read_text() == "words of an earlier run\n"
    assert log.read_text() not in ("", "words of an earlier run\n")


def test_a_web_process_stops_at_once_during_its_imports(tmp_path: Path) -> None:
    port = processes.free_port()
    environment = environment_of(
        tmp_path,
        PAYMENTS_HTTP_PORT=str(port),
        PAYMENTS_REDIS_URL="redis://127.0.0.1:1/0",
        PAYMENTS_MONGO_URL="mongodb://127.0.0.1:1/",
        PAYMENTS_STRIPE_API_BASE="http://127.0.0.1:1",
        PAYMENTS_PAYPAL_API_BASE="http://127.0.0.1:1",
    )
    with open(tmp_path / "log", "wb") as output:
        web = subprocess.Popen(
            [sys.executable, "-m", "web"],
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
    loaded = Path(f"/proc/{web.pid}/maps")
    try:
        # The first library is loaded, and most are not.
        assert processes.wait_until(
            lambda: "site-packages" in loaded.read_text(), seconds=SOON
        )
        began = time.monotonic()
        web.terminate()
        web.wait(SOON)
    finally:
        web.kill()
        web.wait()
    assert time.monotonic() - began < 3
    assert left_of(tmp_path) == []


def test_a_busy_port_is_an_error_with_advice(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        environment = environment_of(tmp_path / "busy", PAYMENTS_HTTP_PORT=str(port))
        for arguments in (["up"], ["up", "--detach"]):
            refused = payments_process(*arguments, environment=environment)
            assert refused.returncode == 2
            assert refused.stderr == (
                f"Error: port {port} on 127.0.0.1 is in use. Free it, or set"
                " PAYMENTS_HTTP_PORT to another (0 picks a free one)\n"
            )


def test_a_stack_that_cannot_start_names_the_reason_and_leaves_no_process(
    tmp_path: Path,
) -> None:
    home = tmp_path / "broken"
    nowhere = f"mongodb://127.0.0.1:{processes.free_port()}/?replicaSet=rs0"
    environment = environment_of(home, PAYMENTS_MONGO_URL=nowhere)
    failed = payments_process("up", "--detach", environment=environment)
    assert failed.returncode == 1
    assert "the stack did not start" in failed.stderr
    assert "has no reachable primary (PAYMENTS_MONGO_URL)" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert left_of(home) == []


def test_an_unreachable_database_is_named_without_its_password(
    tmp_path: Path,
) -> None:
    place = f"127.0.0.1:{processes.free_port()}"
    url = f"mongodb://ada:secret@{place}/?replicaSet=rs0"
    environment = environment_of(tmp_path, PAYMENTS_MONGO_URL=url)
    ended = payments_process("up", environment=environment)
    assert ended.returncode == 1
    assert f"MongoDB at {place} has no reachable primary" in ended.stderr
    assert "PAYMENTS_MONGO_URL" in ended.stderr
    assert "secret" not in ended.stderr


def test_down_and_status_report_that_no_stack_runs(tmp_path: Path) -> None:
    environment = environment_of(tmp_path / "empty")
    down = payments("down", environment=environment)
    assert (down.returncode, down.stdout.count("does not run")) == (0, 1)
    status = payments("status", environment=environment)
    assert status.returncode == 1
    assert "payments up" in status.stderr


def test_a_wrong_setting_is_named_and_stops_the_command(tmp_path: Path) -> None:
    environment = environment_of(tmp_path / "wrong", PAYMENTS_HTTP_PORT="http")
    refused = payments_process("up", environment=environment)
    assert refused.returncode == 2
    assert refused.stderr == (
        "Error: PAYMENTS_HTTP_PORT must be a whole number from 0 to 65535, not 'http'\n"
    )


def test_a_home_that_cannot_be_made_is_a_one_line_error() -> None:
    # Not even root can make a folder there.
    for arguments in (["up"], ["up", "--detach"]):
        refused = payments_process(
            *arguments, environment=environment_of(Path("/proc/nowhere"))
        )
        assert refused.returncode == 2
        assert refused.stderr.startswith("Error: PAYMENTS_HOME: /proc/nowhere cannot")
        assert len(refused.stderr.splitlines()) == 1
