"""The client while the service is unavailable."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli.client import Api
from cli.commands.payment_file import Job, submit
from local_stack.state import StackError
from runtime import processes

PAYMENT = "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV"


@contextmanager
def answering(body: bytes, *, port: int = 0, code: int = 202) -> Iterator[str]:
    """The URL of a server that answers every request with ``body``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def jobs(count: int) -> list[Job]:
    return [Job(line, f"key-{line}", {"reference": "r"}) for line in range(1, count)]


def test_the_wait_for_an_unavailable_service_happens_once_for_all_lines() -> None:
    base = f"http://127.0.0.1:{processes.free_port()}"
    notices: list[str] = []
    api = Api(base, "sk_test_1", notify=notices.append, patience=3.0)
    began = time.monotonic()
    outcomes = submit(api, jobs(101), wait=0, progress=lambda outcome: None)
    assert time.monotonic() - began < 6, "100 lines, 8 at a time: 13 times as long"
    assert notices == [f"waiting for {base}"]
    assert len(outcomes) == 100
    assert {one.ok for one in outcomes} == {False}
    assert all(f"{base} does not answer" in str(one.error) for one in outcomes)


def test_a_service_that_returns_gets_the_waiting_requests() -> None:
    port = processes.free_port()
    notices: list[str] = []
    base = f"http://127.0.0.1:{port}"
    api = Api(base, "sk_test_1", notify=notices.append)
    found: list[int] = []

    def ask() -> None:
        found.append(api.submit({}, key="a").status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    assert processes.wait_until(lambda: bool(notices), seconds=10)
    with answering(b"{}", port=port):
        thread.join(10)
    assert found == [202]


def test_an_answer_of_another_service_is_an_error_of_one_line() -> None:
    with answering(b"<html>", code=200) as base:
        api = Api(base, "sk_test_1", notify=print)
        with pytest.raises(StackError, match="Does PAYMENTS_URL name one"):
            api.payment(PAYMENT)


def test_an_unforeseen_answer_is_one_lines_outcome() -> None:
    with answering(b'{"id": 1}') as base:
        api = Api(base, "sk_test_1", notify=print)
        outcomes = submit(api, jobs(3), wait=5, progress=lambda outcome: None)
    assert [one.line for one in outcomes] == [1, 2]
    assert {one.error for one in outcomes} == {"KeyError: 'operations'"}
    assert {one.ok for one in outcomes} == {False}
