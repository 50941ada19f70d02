"""A server between an adapter and a simulator that records calls or answers them."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: Seconds for any wait.
PATIENCE = 10.0
#: Headers that belong to one connection and are not passed on.
_HOP = ("host", "connection", "content-length", "transfer-encoding", "date", "server")


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Canned:
    """A fixed answer; ``body`` is sent as bytes or as JSON."""

    status: int
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    close: bool = False  #: end the connection afterwards without a header


class Wire:
    """Forwards calls to ``upstream``, except those with a canned answer."""

    def __init__(self, upstream: str = "") -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.open_connections = 0
        #: Answers by path, given in turn; the last one stays.
        self.canned: dict[str, list[Canned]] = {}
        #: Called before each answer, with the request: to hold it.
        self.before: Callable[[Request], object] = lambda request: None
        self._upstream = upstream
        self._lock = threading.Lock()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def count(self, path: str) -> int:
        """How many requests there were for ``path``."""
        return sum(request.path == path for request in list(self.requests))

    def answer(self, request: Request) -> Canned:
        """Record the request and find its answer."""
        with self._lock:
            self.requests.append(request)
            waiting = self.canned.get(request.path, [])
            canned = waiting.pop(0) if len(waiting) > 1 else next(iter(waiting), None)
        self.before(request)
        return canned or self._passed_on(request)

    def connected(self, change: int) -> None:
        """Count a connection that opens (1) or ends (-1)."""
        with self._lock:
            self.connections += max(change, 0)
            self.open_connections += change

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _passed_on(self, request: Request) -> Canned:
        kept = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        with requests.Session() as session:
            # A test may set a proxy for the adapter, not for this call.
            session.trust_env = False
            answer = session.request(
                request.method,
                self._upstream + request.path,
                headers=kept,
                data=request.body,
                timeout=PATIENCE,
            )
        headers = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
        return Canned(answer.status_code, answer.content, headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, wire: Wire) -> None:
        super().__init__(("127.0.0.1", 0), _handler(wire))
        self._wire = wire

    def process_request(self, request: Any, client_address: Any) -> None:
        self._wire.connected(1)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self._wire.connected(-1)


def _handler(wire: Wire) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body leave in two writes; waiting for more costs 40 ms a call.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, dict(self.headers), body)
            answer = wire.answer(request)
            text = answer.body
            if not isinstance(text, bytes):
                text = json.dumps(text).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            self.close_connection = self.close_connection or answer.close

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    return Handler


@contextmanager
def refusing_port() -> Iterator[str]:
    """The URL of a port that refuses connections until the block ends."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def unreachable_port() -> Iterator[str]:
    """The URL of a port on which connections are never made: its queue is full."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        try:
            for client in waiting:
                client.setblocking(False)
                client.connect_ex(server.getsockname())
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            for client in waiting:
                client.close()


@contextmanager
def untrusted_server(folder: Path) -> Iterator[str]:
    """The https URL of a server with a self-signed certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(folder / "certificate.pem"))
    listening = socket.create_server(("127.0.0.1", 0))

    def shake_hands() -> None:
        connection, _ = listening.accept()
        # The client is expected to end the handshake.
        with suppress(OSError), closing(connection):
            context.wrap_socket(connection, server_side=True).close()

    thread = threading.Thread(target=shake_hands)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        thread.join(PATIENCE)
        listening.close()


def _self_signed(path: Path) -> Path:
    """Write a key and a certificate of 127.0.0.1, signed by itself, to one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(pem))
    return path
