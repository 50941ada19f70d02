"""The supervisor with real children: small shell programs that behave badly."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from local_stack import container_check
from local_stack.process_table import Process
from local_stack.supervisor import Interrupted, ProbeLimits, Supervisor
from runtime import processes

#: Seconds for any wait; most take a tenth of one.
SOON = 10.0


def shell(tmp_path: Path, script: str, *, name: str = "child") -> Process:
    """A child that is ready once it made ``<name>.ready``, and may print."""
    ready = tmp_path / f"{name}.ready"
    return Process(
        name=name,
        command=("/bin/sh", "-c", script.replace("READY", f"touch {ready}")),
        environment=os.environ,
        ready_url="http://127.0.0.1:9/",
        log=tmp_path / f"{name}.log",
        stop_seconds=0.5,
        prepare=ready.exists,
    )


def supervisor() -> Supervisor:
    return Supervisor(changed=lambda: None)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def signal_when(condition: Path, *numbers: signal.Signals) -> threading.Thread:
    """Sends signals to this process once a file is there, as a terminal would."""

    def send() -> None:
        processes.wait_until(condition.exists, seconds=SOON)
        for number in numbers:
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_a_child_that_ignores_term_is_killed_with_its_children(
    tmp_path: Path,
) -> None:
    script = f"trap '' TERM; sleep 600 & echo $! > {tmp_path}/helper; READY; wait; wait"
    keeper = supervisor()
    keeper.start([shell(tmp_path, script)], seconds=SOON)
    pid = keeper.children[0].pid
    helper = int((tmp_path / "helper").read_text())
    keeper.stop()
    assert pid is not None and gone(pid)
    # A helper that we did not start is reaped by init; it needs a moment.
    assert processes.wait_until(
        lambda: gone(helper) or _is_zombie(helper), seconds=SOON
    )


def test_a_child_that_stops_on_term_gets_its_grace_period(tmp_path: Path) -> None:
    script = f"trap 'sleep 0.2; touch {tmp_path}/drained; exit 0' TERM; READY;"
    keeper = supervisor()
    keeper.start(
        [shell(tmp_path, script + "while :; do sleep 0.02; done")], seconds=SOON
    )
    keeper.stop()
    assert (tmp_path / "drained").exists()


def test_a_child_that_dies_while_starting_is_reported_with_its_last_output(
    tmp_path: Path,
) -> None:
    keeper = supervisor()
    with pytest.raises(processes.ProcessFailed, match="code 3 .*: no disk left"):
        keeper.start([shell(tmp_path, "echo no disk left >&2; exit 3")], seconds=SOON)
    keeper.stop()


def test_a_child_that_never_becomes_ready_is_named(tmp_path: Path) -> None:
    keeper = supervisor()
    with pytest.raises(processes.ProcessFailed, match="^slow: not ready after 0.2 s"):
        keeper.start([shell(tmp_path, "exec sleep 600", name="slow")], seconds=0.2)
    pid = keeper.children[0].pid
    keeper.stop()
    assert pid is not None and gone(pid)


def test_a_dead_child_is_restarted_and_a_signal_ends_all(
    tmp_path: Path,
) -> None:
    again = tmp_path / "again"
    script = f"if [ -e {tmp_path}/child.ready ]; then touch {again}; exec sleep 600;"
    keeper = supervisor()
    with keeper.signals():
        keeper.start(
            [shell(tmp_path, f"{script} fi; READY; sleep 0.2; exit 1")], seconds=SOON
        )
        first = keeper.children[0].pid
        sender = signal_when(again, signal.SIGTERM)
        with pytest.raises(Interrupted):
            keeper.tend()
        sender.join()
        second = keeper.children[0].pid
        keeper.stop()
    assert again.exists()
    assert second is not None and second != first and gone(second)


def test_ctrl_c_during_start_up_stops_at_once(tmp_path: Path) -> None:
    started = tmp_path / "started"
    child = shell(tmp_path, f"touch {started}; exec sleep 600")
    keeper = supervisor()
    with keeper.signals():
        sender = signal_when(started, signal.SIGINT)
        with pytest.raises(Interrupted):
            keeper.start([child], seconds=600)
        sender.join()
        keeper.stop()
    assert keeper.children == []


def test_a_second_ctrl_c_does_not_wait_for_a_slow_child(tmp_path: Path) -> None:
    slow = shell(
        tmp_path,
        f"trap 'touch {tmp_path}/asked' TERM; READY; while :; do sleep 0.02; done",
    )
    patient = Process(
        name=slow.name,
        command=slow.command,
        environment=slow.environment,
        ready_url=slow.ready_url,
        stop_seconds=600,
        prepare=slow.prepare,
    )
    keeper = supervisor()
    with keeper.signals():
        keeper.start([patient], seconds=SOON)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            keeper.tend()
        sender = signal_when(tmp_path / "asked", signal.SIGINT)
        began = time.monotonic()
        keeper.stop()
        sender.join()
    assert time.monotonic() - began < SOON


def test_no_child_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import os, time; from pathlib import Path;"
        "from runtime import processes;"
        "child = processes.start(['sleep', '600'], environment=os.environ, log=None);"
        f"Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid)); time.sleep(600)"
    )
    parent = processes.start(
        [sys.executable, "-c", script], environment=os.environ, log=tmp_path / "log"
    )
    pid_file = tmp_path / "pid"
    try:
        assert processes.wait_until(
            lambda: pid_file.exists() and bool(pid_file.read_text()), seconds=SOON
        ), processes.tail(tmp_path / "log")
        child = int(pid_file.read_text())
        assert not gone(child)
    finally:
        parent.kill()
        parent.wait()
    assert processes.wait_until(lambda: gone(child) or _is_zombie(child), seconds=SOON)


def _is_zombie(pid: int) -> bool:
    """Whether the process is dead but not reaped yet."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


#: A server that answers probes.
SERVER = (
    "import sys; from http.server import *; HTTPServer(('127.0.0.1', int(sys.argv[1])),"
    " type('Ok', (SimpleHTTPRequestHandler,), {'do_GET': lambda one:"
    " one.send_response(200) or one.end_headers()})).serve_forever()"
)
IMPATIENT = ProbeLimits(interval=0.1, answer=0.3, failures=3, first_failures=100)


def server(tmp_path: Path) -> Process:
    url = f"http://127.0.0.1:{(port := processes.free_port())}/"
    return Process(
        name="server",
        command=(sys.executable, "-c", SERVER, str(port)),
        environment=os.environ,
        ready_url=url,
        live_url=url,
        log=tmp_path / "server.log",
        stop_seconds=0.5,
    )


def tended(keeper: Supervisor, act: Callable[[], None]) -> None:
    """Runs ``act`` while the children are supervised; stops them at the end."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with keeper.signals():
        thread = threading.Thread(target=run)
        thread.start()
        with pytest.raises(Interrupted):
            keeper.tend()
        thread.join()
        keeper.stop()
    if failed:
        raise failed[0]


def test_a_frozen_child_is_restarted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Supervisor(changed=lambda: None, limits=IMPATIENT)
    keeper.start([server(tmp_path)], seconds=SOON)
    [child] = keeper.children
    first = child.run.pid

    def freeze() -> None:
        assert processes.wait_until(lambda: child.has_answered, seconds=SOON)
        os.kill(first, signal.SIGSTOP)
        assert processes.wait_until(
            lambda: child.pid not in (None, first) and child.process.ready(),
            seconds=SOON,
        )

    tended(keeper, freeze)
    assert gone(first)
    assert "process_silent" in [record.message for record in caplog.records]


def test_a_child_that_freezes_before_its_first_probe_is_restarted_as_soon(
    tmp_path: Path,
) -> None:
    limits = replace(IMPATIENT, first_failures=10_000)
    keeper = Supervisor(changed=lambda: None, limits=limits)
    keeper.start([server(tmp_path)], seconds=SOON)
    [child] = keeper.children
    os.kill(child.run.pid, signal.SIGSTOP)
    tended(
        keeper,
        lambda: _assert_soon(lambda: child.ends == 1),
    )


def _assert_soon(condition: Callable[[], bool]) -> None:
    assert processes.wait_until(condition, seconds=SOON)


def test_a_briefly_slow_child_is_not_restarted(tmp_path: Path) -> None:
    keeper = Supervisor(changed=lambda: None, limits=IMPATIENT)
    keeper.start([server(tmp_path)], seconds=SOON)
    [child] = keeper.children
    first = child.run.pid

    def slow_down() -> None:
        assert processes.wait_until(lambda: child.has_answered, seconds=SOON)
        os.kill(first, signal.SIGSTOP)
        assert processes.wait_until(lambda: child.failures > 0, seconds=SOON)
        os.kill(first, signal.SIGCONT)
        assert processes.wait_until(lambda: child.failures == 0, seconds=SOON)

    tended(keeper, slow_down)
    assert child.ends == 0 and child.run.pid == first


def test_a_child_has_more_time_for_its_first_answer(tmp_path: Path) -> None:
    limits = replace(IMPATIENT, failures=1, first_failures=8)
    keeper = Supervisor(changed=lambda: None, limits=limits)
    silent = replace(server(tmp_path), command=("/bin/sleep", "600"))
    keeper.start([replace(silent, prepare=lambda: True)], seconds=SOON)
    [child] = keeper.children

    def wait() -> None:
        assert processes.wait_until(lambda: child.failures > 1, seconds=SOON)
        assert child.ends == 0
        assert processes.wait_until(lambda: child.ends == 1, seconds=SOON)

    tended(keeper, wait)


def test_the_check_of_a_container_ends_a_program_that_gives_no_answer(
    tmp_path: Path,
) -> None:
    """A shell stands for the container's init, and ends with its program."""
    process = server(tmp_path)
    shell_command = f'"{sys.executable}" -c "$0" "$1" & wait'
    program_and_port = process.command[2:]
    url, count = process.ready_url, tmp_path / "failed_checks"
    nowhere = f"http://127.0.0.1:{processes.free_port()}/"

    def check(ready: str) -> int:
        return container_check.main(ready, url, init=init.pid, count=count, seconds=0.5)

    with processes.running(
        "server",
        ("/bin/sh", "-c", shell_command, *program_and_port),
        environment=process.environment,
        log=tmp_path / "server.log",
        ready=process.ready,
        seconds=SOON,
    ) as init:
        [program] = container_check.children(init.pid)
        assert check(url) == 0
        # An unavailable server makes the program unready, and never ends it.
        assert {check(nowhere) for _ in range(2 * container_check.FAILURES)} == {1}
        assert not gone(program)
        os.kill(program, signal.SIGSTOP)
        for _ in range(container_check.FAILURES - 1):
            assert check(url) == 1
        os.kill(program, signal.SIGCONT)
        assert processes.wait_until(process.ready, seconds=SOON)
        assert check(url) == 0
        os.kill(program, signal.SIGSTOP)
        for _ in range(container_check.FAILURES):
            assert init.poll() is None
            assert check(url) == 1
        init.wait(SOON)
        assert gone(program)
        assert not count.exists()
