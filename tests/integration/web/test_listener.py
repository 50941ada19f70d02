"""The listener with small applications: its parsing of HTTP, and its bounds."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from runtime import processes
from runtime.metrics import REGISTRY
from web.http.listener import Limits, Listener
from web.routes import health

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Seconds for any wait.
SOON = 10.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def echo(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    """Answers with its WSGI environment."""
    found = {name: text for name, text in environ.items() if isinstance(text, str)}
    found["body"] = environ["wsgi.input"].read().decode()
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]


@dataclass
class Running:
    """A listener on the loopback."""

    listener: Listener
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), SOON)

    def ask(self, request: bytes) -> bytes:
        """The whole answer, until the listener closes the connection."""
        with self.connect() as client:
            client.sendall(request)
            return read_all(client)

    def environment(self, request: bytes) -> dict[str, Any]:
        """The environment of ``echo``, for the only request on a connection."""
        found: dict[str, Any] = json.loads(self.ask(request).partition(b"\r\n\r\n")[2])
        return found


def no_connection_is_open() -> bool:
    """Whether the metric of open connections is zero."""
    return REGISTRY.get_sample_value("payments_http_connections") == 0


def read_all(client: socket.socket) -> bytes:
    found = b""
    try:
        while part := client.recv(65536):
            found += part
    except ConnectionError:
        pass  # the connection was reset
    return found


@contextmanager
def running(
    app: WSGIApplication, *, threads: int = 2, **limits: Any
) -> Iterator[Running]:
    """A listener in its own thread, drained at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> Running:
        listener = Listener(
            app, threads=threads, max_body=lambda target: 1000, limits=Limits(**limits)
        )
        return Running(listener, await listener.start("127.0.0.1", 0))

    started = asyncio.run_coroutine_threadsafe(begin(), loop).result(SOON)
    try:
        yield started
    finally:
        drained = asyncio.run_coroutine_threadsafe(started.listener.drain(SOON), loop)
        drained.result(2 * SOON)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def echoing() -> Iterator[Running]:
    with running(echo) as started:
        yield started


def request(rest: bytes, line: bytes = b"POST /a%20b?c=%20d HTTP/1.1") -> bytes:
    return line + b"\r\nHost: x\r\nConnection: close\r\n" + rest


def test_the_application_gets_the_request_as_a_wsgi_environment(
    echoing: Running,
) -> None:
    found = echoing.environment(
        request(
            b"X-One: 1\r\nX-One: 2\r\nContent-Type: text/x\r\n"
            b"Content-Length: 3\r\n\r\nabc"
        )
    )
    expected = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/a b",
        "QUERY_STRING": "c=%20d",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PORT": str(echoing.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "3",
        "HTTP_HOST": "x",
        "HTTP_X_ONE": "1,2",
        "body": "abc",
    }
    assert {name: found.get(name) for name in expected} == expected


def test_a_body_in_chunks_is_joined_and_its_trailers_are_ignored(
    echoing: Running,
) -> None:
    found = echoing.environment(
        request(
            b"Transfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
        )
    )
    assert (found["body"], found["CONTENT_LENGTH"]) == ("abcde", "5")
    assert "HTTP_X_FORWARDED_FOR" not in found
    assert "HTTP_TRANSFER_ENCODING" not in found


def test_a_header_with_an_underscore_cannot_pass_for_another(echoing: Running) -> None:
    found = echoing.environment(request(b"X_Forwarded_For: 1.2.3.4\r\n\r\n"))
    assert "HTTP_X_FORWARDED_FOR" not in found


def test_a_target_with_the_server_is_read_as_its_path(echoing: Running) -> None:
    for target, path in ((b"http://x/a/b", "/a/b"), (b"HTTP://x", "/")):
        found = echoing.environment(request(b"\r\n", b"GET " + target + b" HTTP/1.1"))
        assert found["PATH_INFO"] == path


@pytest.mark.parametrize(
    "rest",
    [
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"Content-Length: +3\r\n\r\nabc",
        b"Transfer-Encoding: gzip\r\n\r\nabc",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"X: a\x00b\r\n\r\n",
        b" folded: x\r\n\r\n",
    ],
)
def test_malformed_http_is_refused(echoing: Running, rest: bytes) -> None:
    answer = echoing.ask(request(rest))
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/2.0",
        b"GET / HTTP/0.9",
        b"GET / HTTP/9.9",
        b"GET nothing HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT x:80 HTTP/1.1",
    ],
)
def test_another_kind_of_request_is_refused(echoing: Running, line: bytes) -> None:
    assert echoing.ask(request(b"\r\n", line)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1001", b"Transfer-Encoding: chunked"]
)
def test_a_body_that_is_too_long_is_refused(echoing: Running, framing: bytes) -> None:
    body = b"3e9\r\n" + b"a" * 1001 + b"\r\n0\r\n\r\n"
    answer = echoing.ask(request(framing + b"\r\n\r\n" + body))
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 3\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
)
def test_an_incomplete_body_never_reaches_the_application(rest: bytes) -> None:
    seen: list[str] = []

    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        seen.append(environ["REQUEST_METHOD"])
        return echo(environ, start)

    with running(app) as started:
        with started.connect() as client:
            client.sendall(request(rest))
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""
        assert started.environment(request(b"\r\n", b"GET / HTTP/1.1"))["body"] == ""
    assert seen == ["GET"]


def test_requests_on_one_connection_are_answered_in_their_order() -> None:
    free = threading.Event()

    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            free.wait(SOON)
        start("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    def ask_behind_slow(requests: bytes) -> bytes:
        """All answers; the first one comes after another connection's."""
        free.clear()
        with started.connect() as client:
            client.sendall(GET.replace(b"/ ", b"/slow ") + requests)
            # A request that overtakes the slow one has the other thread by now.
            assert started.ask(LAST).endswith(b"/last")
            free.set()
            return read_all(client)

    with running(app) as started:
        answer = ask_behind_slow(GET * 20 + LAST)
        assert answer.count(b"HTTP/1.1 200 OK") == 22
        assert answer.index(b"/slow") < 300 and answer.endswith(b"/last")
        # A request after the last one is not answered, and a malformed one waits.
        assert started.ask(LAST + GET).count(b"HTTP/1.1 ") == 1
        refused = ask_behind_slow(b"what?\r\n\r\n")
        assert refused.index(b"200 OK") < refused.index(b"400 Bad request")


def test_the_number_of_waiting_requests_on_a_connection_is_bounded() -> None:
    with running(echo, pipelined=3) as started:
        answer = started.ask(GET * 500)
        assert answer.count(b"HTTP/1.1 200 OK") <= 4
        assert b"HTTP/1.1 503 Overloaded" in answer and b"Retry-After: 1" in answer


def test_headers_are_bounded_in_number_and_in_size(echoing: Running) -> None:
    for headers in (b"a: b\r\n" * 99, b"a: " + b"b" * 17_000 + b"\r\n"):
        answer = echoing.ask(request(headers + b"\r\n"))
        assert answer.startswith(b"HTTP/1.1 431 ")
    assert echoing.environment(request(b"a: b\r\n" * 98 + b"\r\n"))["HTTP_HOST"] == "x"
    # An endless one is refused before its deadline.
    answer = echoing.ask(b"GET / HTTP/1.1\r\nHost: " + b"x" * 100_000)
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "endless",
    [
        [b"0\r\nX: ", b"a" * 1000],
        [b"0\r\n", b"X: y\r\n" * 100],
        [b"1;", b"a" * 1000],
    ],
    ids=["a trailer", "trailers", "a chunk's extension"],
)
def test_the_framing_of_a_body_is_bounded(
    echoing: Running, endless: list[bytes]
) -> None:
    begin, part = endless
    with echoing.connect() as client:
        client.sendall(request(b"Transfer-Encoding: chunked\r\n\r\n" + begin))
        sent = 0
        try:
            while sent < 1_000_000:
                sent += client.send(part)
        except ConnectionError:
            pass
        assert b"HTTP/1.1 431 " in read_all(client) or sent < 1_000_000


def test_a_body_in_chunks_of_one_byte_is_read(echoing: Running) -> None:
    body = b"1\r\na\r\n" * 1000 + b"0\r\n\r\n"
    found = echoing.environment(request(b"Transfer-Encoding: chunked\r\n\r\n" + body))
    assert found["body"] == "a" * 1000


def test_a_client_that_stops_sending_is_still_answered(echoing: Running) -> None:
    with echoing.connect() as client:
        client.sendall(GET)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).startswith(b"HTTP/1.1 200 OK")


def test_a_request_of_http_1_0_needs_no_host_and_ends_its_connection(
    echoing: Running,
) -> None:
    answer = echoing.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nConnection: close\r\n" in answer


def test_a_client_that_expects_100_continue_gets_it(echoing: Running) -> None:
    with echoing.connect() as client:
        client.sendall(request(b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"))
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert b'"body": "abc"' in read_all(client)
    too_long = b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n"
    assert echoing.ask(request(too_long)).startswith(b"HTTP/1.1 413 ")


def test_a_client_of_http_1_0_gets_no_100_continue(echoing: Running) -> None:
    head = b"POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    assert echoing.ask(head + b"abc").startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_reads_no_interim_answer_is_disconnected() -> None:
    expecting = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
    expecting += b"Expect: 100-continue\r\n\r\na"
    with running(echo, answer_seconds=0.3, idle_seconds=60) as started:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.settimeout(SOON)
            client.connect(("127.0.0.1", started.port))
            began = time.monotonic()
            with pytest.raises(OSError):
                while time.monotonic() < began + SOON:
                    client.send(expecting)
            assert time.monotonic() < began + SOON


def test_an_upgrade_to_another_protocol_is_ignored(echoing: Running) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    answer = echoing.ask(head + b"Upgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n" + GET)
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer


def test_an_error_of_the_application_is_500_and_the_connection_stays() -> None:
    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/":
            raise RuntimeError("secret words")
        return echo(environ, start)

    with running(app) as started:
        answer = started.ask(GET + LAST)
        assert answer.startswith(b"HTTP/1.1 500 ") and b"HTTP/1.1 200 OK" in answer
        assert b"secret" not in answer
        head, _, rest = started.ask(GET.replace(b"GET", b"HEAD") + LAST).partition(
            b"\r\n\r\n"
        )
        assert head.startswith(b"HTTP/1.1 500 ") and rest.startswith(b"HTTP/1.1 200 ")


def test_an_idle_connection_is_closed_and_one_in_use_stays() -> None:
    with running(echo, idle_seconds=0.5, head_seconds=0.5) as started:
        with started.connect() as fresh, started.connect() as used:
            ended = False
            while not ended:
                ended = bool(select.select([fresh], [], [], 0.1)[0])
                used.sendall(GET)
                assert used.recv(65536).startswith(b"HTTP/1.1 200 OK")
            assert read_all(fresh) == b""
            assert read_all(used) == b""


def test_the_longest_waiting_connection_is_closed_for_a_new_one() -> None:
    with running(echo, connections=3) as started, ExitStack() as opened:
        clients = []
        for _ in range(4):
            clients.append(opened.enter_context(closing(started.connect())))
            clients[-1].sendall(GET[:-2])
        assert read_all(clients[0]) == b""
        clients[3].sendall(b"\r\n")
        assert clients[3].recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_the_total_size_of_bodies_is_bounded() -> None:
    with running(echo, buffered_bytes=1500) as started, ExitStack() as opened:

        def upload() -> socket.socket:
            client = opened.enter_context(closing(started.connect()))
            client.sendall(request(b"Content-Length: 900\r\n\r\n" + b"a" * 899))
            return client

        def is_read() -> bool:
            return 899 in [one.buffered_bytes for one in list(started.listener.waiting)]

        first = upload()
        assert processes.wait_until(is_read, seconds=SOON)
        second = upload()
        assert read_all(first) == b""
        third = upload()
        assert read_all(second) == b""
        third.sendall(b"a")
        assert read_all(third).startswith(b"HTTP/1.1 200 OK")


def test_a_client_with_a_large_partial_body_is_closed_before_one_without_a_body() -> (
    None
):
    with running(echo, buffered_bytes=1500) as started, ExitStack() as opened:
        idle = opened.enter_context(closing(started.connect()))
        idle.sendall(GET)
        assert idle.recv(65536).startswith(b"HTTP/1.1 200 OK")
        small, large, last = (
            opened.enter_context(closing(started.connect())) for _ in range(3)
        )
        for client, count in ((small, 100), (large, 899), (last, 600)):
            upload = b"Content-Length: 900\r\n\r\n" + b"a" * count
            client.sendall(request(upload))
        assert read_all(large) == b""
        small.sendall(b"a" * 800)
        assert read_all(small).startswith(b"HTTP/1.1 200 OK")
        idle.sendall(LAST)
        assert read_all(idle).startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_does_not_read_its_answer_is_disconnected() -> None:
    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [])
        return [b"a" * 20_000_000]

    with running(app, answer_seconds=0.3) as started, started.connect() as client:
        client.sendall(GET)
        assert client.recv(1)
        assert processes.wait_until(no_connection_is_open, seconds=SOON)
        assert len(read_all(client)) < 20_000_000


def test_the_size_of_unread_answers_is_bounded() -> None:
    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [])
        return [b"a" * 20_000_000]

    with running(app, unsent=1) as started:
        with started.connect() as first, started.connect() as second:
            first.sendall(LAST)
            first.recv(1)
            second.sendall(LAST)
            second.recv(1)
            assert len(read_all(first)) < 20_000_000
            assert len(read_all(second)) >= 20_000_000


def test_stuck_threads_make_the_process_unhealthy() -> None:
    busy, free = threading.Semaphore(0), threading.Event()

    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        busy.release()
        free.wait(2 * SOON)
        return echo(environ, start)

    with running(app, threads=2, queue=1, stuck_seconds=0.3) as started:
        probes = health.build(
            is_stuck=started.listener.is_stuck,
            check=lambda: {"mongodb": "ok", "redis": "ok", "encryption": "ok"},
        ).test_client()
        with ExitStack() as opened:
            clients = [
                opened.enter_context(closing(started.connect())) for _ in range(4)
            ]
            clients[0].sendall(LAST)
            assert busy.acquire(timeout=SOON)
            # One thread is left.
            assert not processes.wait_until(started.listener.is_stuck, seconds=0.5)
            assert probes.get("/healthz").status_code == 200
            clients[1].sendall(LAST)
            assert busy.acquire(timeout=SOON)
            # One of the others waits for a thread, and the last is one too many.
            for client in clients[2:]:
                client.sendall(LAST)
            [refused], _, _ = select.select(clients[2:], [], [], SOON)
            clients.remove(refused)
            assert processes.wait_until(started.listener.is_stuck, seconds=SOON)
            for path in ("/healthz", "/readyz"):
                answer = probes.get(path)
                assert answer.status_code == 503
                assert answer.get_json()["code"] == "stuck"
            overloaded = read_all(refused)
            assert overloaded.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: 1" in overloaded and b'"overloaded"' in overloaded
            free.set()
            for client in clients:
                assert read_all(client).startswith(b"HTTP/1.1 200 OK")
        assert not started.listener.is_stuck()
        assert probes.get("/healthz").status_code == 200


def test_a_drained_listener_answers_its_requests_and_accepts_no_others() -> None:
    is_busy = threading.Event()
    read_by_idle: list[bytes] = []

    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answers after the listener drains, which closes the idle connection."""
        is_busy.set()
        read_by_idle.append(read_all(idle))
        return echo(environ, start)

    with running(app) as started:
        idle, busy = started.connect(), started.connect()
        busy.sendall(GET)
        assert is_busy.wait(SOON)
    with idle, busy:
        assert read_by_idle == [b""]
        answer = read_all(busy)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"\r\nConnection: close\r\n" in answer
    with pytest.raises(ConnectionRefusedError):
        started.connect()


@pytest.mark.parametrize(
    ("limit", "connections"), [("-Sn 1024", 2048), ("-n 1024", 512), ("-n 4096", 2048)]
)
def test_connections_fit_the_limit_of_open_files(limit: str, connections: int) -> None:
    """The soft limit is raised, the hard one is not."""
    program = "from web.server import most_connections; print(most_connections())"
    asked = subprocess.run(
        ["/bin/sh", "-c", f'ulimit {limit}; exec "$0" -c "{program}"', sys.executable],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert asked.stdout.splitlines()[-1] == str(connections), asked.stderr
    assert ("few_open_files" in asked.stderr) is (connections < 2048)
