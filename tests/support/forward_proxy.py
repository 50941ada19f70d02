"""A forward proxy for CONNECT and plain requests."""

from __future__ import annotations

import re
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

#: The credentials, with a character that URLs escape.
USER, PASSWORD = "egress", "p@ss"


@dataclass
class ForwardProxy:
    """Its port, and its requests such as ``CONNECT host:port``, ``POST http://…``."""

    port: int
    asked: list[str] = field(default_factory=list)
    refused: int = 0  #: requests without its credentials

    @property
    def url(self) -> str:
        """The URL with the credentials."""
        return f"http://{USER}:p%40ss@127.0.0.1:{self.port}"


@contextmanager
def forward_proxy() -> Iterator[ForwardProxy]:
    """A proxy that runs until the block ends."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = self.rfile.readline(65536)
                if not line:
                    return
                head += line
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            if not _AUTHORIZATION.search(head):
                made.refused += 1
                self.wfile.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
                )
                return
            made.asked.append(f"{method} {target}")
            parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
            address = (parts.hostname or "", parts.port or 80)
            with closing(socket.create_connection(address, 5)) as far:
                if method == "CONNECT":
                    self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    # One request a connection, so that each one is counted.
                    _, rest = head.split(b"\r\n", 1)
                    path = parts.path + (f"?{parts.query}" if parts.query else "")
                    first = f"{method} {path} HTTP/1.1\r\nConnection: close\r\n"
                    kept = b"\r\n".join(
                        line
                        for line in rest.split(b"\r\n")
                        if not line.lower().startswith((b"connection:", b"proxy-"))
                    )
                    far.sendall(first.encode() + kept)
                self._pass_on(far)

        def _pass_on(self, far: socket.socket) -> None:
            back = threading.Thread(target=_copy, args=(far, self.connection))
            back.start()
            while data := self.rfile.read1(65536):
                far.sendall(data)
            with _ignoring():
                far.shutdown(socket.SHUT_WR)
            back.join()

    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = ForwardProxy(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_CREDENTIALS = b64encode(f"{USER}:{PASSWORD}".encode())
_AUTHORIZATION = re.compile(
    rb"\r\n(?i:Proxy-Authorization: Basic) " + re.escape(_CREDENTIALS) + rb"\r\n"
)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with _ignoring():
        while data := source.recv(65536):
            target.sendall(data)
        # Ends the connection for the other side.
        target.shutdown(socket.SHUT_RDWR)


@contextmanager
def _ignoring() -> Iterator[None]:
    """Ignores errors of closed connections."""
    try:
        yield
    except OSError:
        pass
