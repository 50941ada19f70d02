"""Clients that take a server's threads, connections or memory and give nothing."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.running_web import Client, RunningWeb, stripe_payment
from web.http.listener import Limits

#: Seconds between two bytes of a client that trickles.
TRICKLE = 0.2
#: Seconds until a deadline has passed and its answer has come, on a busy machine.
PATIENCE = Limits().head_seconds + 10
SLOW = 64
UPLOAD = (
    b"POST /v1/webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{"
)


def connect(web: RunningWeb) -> socket.socket:
    address = urlsplit(web.base)
    return socket.create_connection((address.hostname, address.port or 80), 10)


def literal(name: str, value: str) -> bytes:
    """A header field as HPACK has it without any table (RFC 7541, section 6.2.2)."""
    texts = (name.encode(), value.encode())
    return b"\x00" + b"".join(bytes([len(text)]) + text for text in texts)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """RFC 9113, section 4.1."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def uploads_by_http2() -> bytes:
    """By prior knowledge: 64 uploads that have one byte of 5,000."""
    sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    head = b"".join(
        literal(name, value)
        for name, value in (
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "x"),
            (":path", "/v1/webhooks/stripe"),
            ("content-length", "5000"),
        )
    )
    for stream in range(1, 2 * SLOW, 2):
        sent += frame(1, 0x4, stream, head) + frame(0, 0, stream, b"{")
    return sent


def healthy(web: RunningWeb) -> bool:
    return requests.get(f"{web.health}/healthz", timeout=5).ok


def seconds_to_pay(merchant: Client) -> float:
    began = time.perf_counter()
    assert merchant.submit(stripe_payment()).status_code == 202
    return time.perf_counter() - began


def read_all(client: socket.socket) -> bytes:
    """Until the server ends the connection."""
    found = b""
    client.settimeout(PATIENCE)
    try:
        while part := client.recv(65536):
            found += part
    except ConnectionError:
        pass
    return found


@contextmanager
def trickling(
    clients: Sequence[socket.socket], part: Callable[[int], bytes]
) -> Iterator[None]:
    """The clients send a part every moment, as long as the server takes it."""
    stop = threading.Event()

    def send() -> None:
        count = 0
        while not stop.wait(TRICKLE):
            for client in clients:
                try:
                    client.sendall(part(count))
                except OSError:
                    pass  # the server has ended it
            count += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("rounds", [1, 3])
def test_unfinished_uploads_by_http2_leave_no_thread_waiting(
    web: RunningWeb, merchant: Client, rounds: int
) -> None:
    for _ in range(rounds):
        with connect(web) as client:
            client.sendall(uploads_by_http2())
            assert b" 400 " in client.recv(65536).split(b"\r\n")[0]
    assert max(seconds_to_pay(merchant) for _ in range(5)) < 2
    assert healthy(web)


def test_unfinished_uploads_by_http1_leave_no_thread_waiting(
    web: RunningWeb, merchant: Client
) -> None:
    for _ in range(3):
        with ExitStack() as opened:
            for _ in range(SLOW):
                opened.enter_context(closing(connect(web))).sendall(UPLOAD)
    assert max(seconds_to_pay(merchant) for _ in range(5)) < 2
    assert healthy(web)


def test_slow_bodies_get_408_and_do_not_delay_payments(
    web: RunningWeb, merchant: Client
) -> None:
    def p99() -> float:
        return statistics.quantiles(
            [seconds_to_pay(merchant) for _ in range(100)], n=100
        )[-1]

    quiet, attacked = [], []
    with ExitStack() as opened:
        for _ in range(3):
            quiet.append(p99())
            clients = [opened.enter_context(closing(connect(web))) for _ in range(SLOW)]
            for client in clients:
                client.sendall(UPLOAD)
            with trickling(clients, lambda count: b" "):
                attacked.append(p99())
                assert healthy(web)
                answers = [read_all(client) for client in clients]
            assert {answer[:12] for answer in answers} == {b"HTTP/1.1 408"}
            assert all(b"\r\nConnection: close\r\n" in answer for answer in answers)
            assert all(b'"request_timeout"' in answer for answer in answers)
    # The floor is far below the time of a stuck client, and above that of a busy disk.
    assert statistics.median(attacked) < max(2 * statistics.median(quiet), 0.1)


def test_slow_heads_get_408_while_a_client_pays(
    web: RunningWeb, merchant: Client
) -> None:
    with ExitStack() as opened:
        clients = [opened.enter_context(closing(connect(web))) for _ in range(SLOW)]
        for client in clients:
            client.sendall(b"GET /docs HTTP/1.1\r\n")
        with trickling(clients, lambda count: f"X-{count}: y\r\n".encode()):
            assert max(seconds_to_pay(merchant) for _ in range(20)) < 2
            assert healthy(web)
            answers = [read_all(client) for client in clients]
    assert {answer[:12] for answer in answers} == {b"HTTP/1.1 408"}
    assert all(b"\r\nConnection: close\r\n" in answer for answer in answers)


def test_idle_connections_do_not_block_other_clients(
    web: RunningWeb, merchant: Client
) -> None:
    """1,100 at once, and then again and again, up to more than are taken."""
    batches: deque[ExitStack] = deque()
    stop = threading.Event()

    def open_batches() -> None:
        while not stop.is_set():
            batches.append(ExitStack())
            for _ in range(1100):
                batches[-1].enter_context(closing(connect(web)))
            if len(batches) > 2:
                batches.popleft().close()

    opener = threading.Thread(target=open_batches)
    opener.start()
    try:
        until = time.monotonic() + 6
        while time.monotonic() < until:
            assert seconds_to_pay(merchant) < 3
            assert healthy(web)
    finally:
        stop.set()
        opener.join()
        for batch in batches:
            batch.close()
    assert seconds_to_pay(merchant) < 2


def test_unread_answers_do_not_block_other_clients(
    web: RunningWeb, merchant: Client
) -> None:
    """Swagger UI's script is a megabyte and a half."""
    path = "/docs/assets/js/swagger-ui-bundle.js"
    ask = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 4
    with ExitStack() as opened:
        for _ in range(2 * SLOW):
            opened.enter_context(closing(connect(web))).sendall(ask)
        assert max(seconds_to_pay(merchant) for _ in range(10)) < 3
        assert healthy(web)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /docs HTTP/1.1\r\n", 400),
        (b"GET /docs HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400),
        (b"POST /v1/payments HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400),
        (b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n", 413),
        (
            b"POST /v1/webhooks/stripe HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 2000000\r\n",
            413,
        ),
        (b"GET /docs HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 17000 + b"\r\n", 431),
    ],
    ids=["no host", "two hosts", "same host twice", "body", "webhook", "head"],
)
def test_an_answer_before_the_end_of_the_body_announces_the_close(
    web: RunningWeb, head: bytes, status: int
) -> None:
    with connect(web) as client:
        client.sendall(head + b"\r\n")
        answer = read_all(client)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nConnection: close\r\n" in answer
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/readyz",
        "/metrics",
        "//metrics",
        "/%6detrics",
        "/metrics/",
        "/./metrics",
    ],
)
def test_health_and_metrics_are_not_on_the_public_port(
    web: RunningWeb, path: str
) -> None:
    with connect(web) as client:
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        client.sendall(head.encode())
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"payments_build_info" not in answer
