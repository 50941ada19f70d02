"""Listens for HTTP/1.1 and calls a WSGI application from a bounded pool of threads.

A thread gets a request only once it was read completely, so slow clients hold no
threads. They hold connections and memory, which are bounded: at a limit, the
connection that has waited longest for its client is closed.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge

from runtime.metrics import REGISTRY
from web.http import wsgi
from web.http.connection import Connection
from web.http.wsgi import Answer, Request
from web.problem_codes import ProblemCode

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: Connections that the system queues while the listener is busy.
BACKLOG: Final = 1024

CONNECTIONS: Final = Gauge(
    "payments_http_connections",
    "Open connections of this process's listeners",
    registry=REGISTRY,
)
CONNECTIONS_REFUSED: Final = Counter(
    "payments_http_refused",
    "Requests and connections refused before they reached the application, by reason",
    ["reason"],
    registry=REGISTRY,
)


class DropReason(StrEnum):
    """The reason why a connection was ended without an answer."""

    UNREAD = "unread"  #: too many clients do not read their answers
    TOO_MANY_BODIES = "too_many_bodies"  #: incoming bodies need too much memory
    TOO_MANY_CONNECTIONS = "too_many_connections"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a listener's clients."""

    head_seconds: float = 10.0  #: for a request's line and headers
    body_seconds: float = 10.0  #: for its body, after the head
    #: Between two requests; longer than load balancers keep a connection (60 s).
    idle_seconds: float = 75.0
    answer_seconds: float = 30.0  #: to read an answer
    linger_seconds: float = 2.0  #: to read the last answer and close
    #: Longer than a long poll (30 s) and the store's timeouts after it.
    stuck_seconds: float = 45.0
    head_bytes: int = 16 * 1024
    headers: int = 100  #: of one request; even a short one takes memory
    #: Requests of one connection that wait for an earlier answer.
    pipelined: int = 32
    #: Of all bodies not yet answered. Together with the buffers of all connections
    #: this stays far below the 512 MiB of a container.
    buffered_bytes: int = 64 * 1024 * 1024
    connections: int = 2048
    unsent: int = 64  #: answers not read at once
    queue: int = 256  #: requests that wait for a thread


class Listener:
    """A port with its connections and threads. Use it from one event loop.

    ``max_body`` returns the largest body, in bytes, that a target accepts.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        threads: int,
        max_body: Callable[[bytes], int],
        limits: Limits = Limits(),
    ) -> None:
        self.limits = limits
        self.max_body = max_body
        #: Shared by all connections, because each parses its data at once.
        self.buffer = bytearray(limits.head_bytes)
        #: Connections that wait for their client, the longest wait first.
        self.waiting: dict[Connection, None] = {}
        self._unsent: dict[Connection, None] = {}
        self._connections: set[Connection] = set()
        self._buffered = 0
        self._app = app
        self._threads = threads
        self._jobs: queue.SimpleQueue[tuple[Request, Connection]] = queue.SimpleQueue()
        #: Answers for the event loop, and whether it was woken to take them.
        self._answers: deque[tuple[Connection, Answer]] = deque()
        self._is_woken = False
        self._outstanding = 0
        self._progressed = time.monotonic()

    async def start(self, host: str, port: int) -> int:
        """Starts to listen and returns the port. Raises OSError if that fails."""
        self._loop = asyncio.get_running_loop()
        self._server = await self._loop.create_server(
            partial(Connection, self), sock=_listening(host, port), backlog=BACKLOG
        )
        for number in range(self._threads):
            threading.Thread(
                target=self._work, name=f"request-{number}", daemon=True
            ).start()
        return int(self._server.sockets[0].getsockname()[1])

    def is_stuck(self) -> bool:
        """Whether all threads are busy and none has finished for ``stuck_seconds``."""
        waited = time.monotonic() - self._progressed
        busy = self._outstanding >= self._threads
        return busy and waited > self.limits.stuck_seconds

    async def drain(self, seconds: float) -> None:
        """Stops listening and waits up to ``seconds`` for the requests in progress."""
        self._server.close()
        for connection in list(self._connections):
            connection.drain()
        deadline = time.monotonic() + seconds
        while self._connections and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    # Connections call these.

    def add(self, connection: Connection) -> None:
        """Adds a connection; ends the longest waiting one if there are too many."""
        self._connections.add(connection)
        CONNECTIONS.inc()
        if len(self._connections) > self.limits.connections and self.waiting:
            self.count_refusal(DropReason.TOO_MANY_CONNECTIONS)
            next(iter(self.waiting)).abort()

    def remove(self, connection: Connection) -> None:
        """Removes a connection that has ended."""
        self._connections.discard(connection)
        self.remove_unsent(connection)
        CONNECTIONS.dec()

    def add_unsent(self, connection: Connection) -> None:
        """Adds an unread answer; ends the oldest connection if there are too many."""
        self._unsent[connection] = None
        if len(self._unsent) > self.limits.unsent:
            self.count_refusal(DropReason.UNREAD)
            oldest = next(iter(self._unsent))
            self.remove_unsent(oldest)
            oldest.abort()

    def remove_unsent(self, connection: Connection) -> None:
        """Removes an answer that was read."""
        self._unsent.pop(connection, None)

    def count_buffered(self, count: int) -> None:
        """Counts bytes of bodies; at the limit, ends the connection with most."""
        self._buffered += count
        while (
            count > 0 and self._buffered > self.limits.buffered_bytes and self.waiting
        ):
            largest = max(self.waiting, key=lambda one: one.buffered_bytes)
            if not largest.buffered_bytes:
                return  # threads have all the bodies
            self.count_refusal(DropReason.TOO_MANY_BODIES)
            largest.abort()

    def handle(self, request: Request, connection: Connection) -> None:
        """Queues ``request`` for a thread; answers 503 if the queue is full."""
        if self._outstanding >= self._threads + self.limits.queue:
            self.count_refusal(ProblemCode.OVERLOADED)
            answer = wsgi.refusal(ProblemCode.OVERLOADED)
            self._loop.call_soon(connection.answer, answer)
            return
        if self._outstanding < self._threads:
            self._progressed = time.monotonic()
        self._outstanding += 1
        self._jobs.put((request, connection))

    def count_refusal(self, reason: ProblemCode | DropReason) -> None:
        """Counts a request or connection that never reached the application."""
        CONNECTIONS_REFUSED.labels(reason).inc()

    def _work(self) -> None:
        """Answers requests in one thread until the process ends."""
        while True:
            request, connection = self._jobs.get()
            self._answers.append((connection, wsgi.call(self._app, request)))
            # Payments stored in one batch are answered together: waking the loop for
            # each answer would cost as much as the answer itself.
            if not self._is_woken:
                self._is_woken = True
                self._loop.call_soon_threadsafe(self._take_answers)

    def _take_answers(self) -> None:
        """Sends all finished answers. The flag is reset first, so none is missed."""
        self._is_woken = False
        while self._answers:
            self._outstanding -= 1
            self._progressed = time.monotonic()
            connection, answer = self._answers.popleft()
            connection.answer(answer)


def _listening(host: str, port: int) -> socket.socket:
    """Opens an IPv4 or IPv6 socket; ``::`` accepts both."""
    address = ip_address(host)
    v6 = address.version == 6
    return socket.create_server(
        (host, port),
        family=socket.AF_INET6 if v6 else socket.AF_INET,
        backlog=BACKLOG,
        dualstack_ipv6=v6 and address.is_unspecified,
    )
