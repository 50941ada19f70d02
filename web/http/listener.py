"""Listens for HTTP/1.1 and has threads call a WSGI application, all within bounds.

A thread is used only once a request was read completely, so that slow clients hold
none. What a client may hold instead, a connection and some memory, is bounded, and
the client that keeps the listener waiting longest gives way.
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

#: Connections that the system keeps for a listener that is busy.
BACKLOG: Final = 1024

CONNECTIONS: Final = Gauge(
    "payments_http_connections",
    "Open connections of this process's listeners",
    registry=REGISTRY,
)
CONNECTIONS_REFUSED: Final = Counter(
    "payments_http_refused",
    "Requests and connections that ended before the application saw them, by reason",
    ["reason"],
    registry=REGISTRY,
)


class DropReason(StrEnum):
    """Why a connection ended without an answer."""

    UNREAD = "unread"  #: too many clients do not read their answers
    TOO_MANY_BODIES = "too_many_bodies"  #: bodies under way need too much memory
    TOO_MANY_CONNECTIONS = "too_many_connections"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may take."""

    head_seconds: float = 10.0  #: for a request's line and headers
    body_seconds: float = 10.0  #: for its body, after that
    #: Between two requests: longer than load balancers keep a connection (60 s).
    idle_seconds: float = 75.0
    answer_seconds: float = 30.0  #: to read an answer
    linger_seconds: float = 2.0  #: to read the last answer and close
    #: Longer than a request that waits (30 s) and the store's timeouts after it.
    stuck_seconds: float = 45.0
    head_bytes: int = 16 * 1024
    headers: int = 100  #: of one request; each takes memory however short it is
    #: Requests of one connection that wait for the answer to an earlier one.
    pipelined: int = 32
    #: Of all bodies that are not answered. With the buffers of all connections it
    #: stays far below the 512 MiB that a container has.
    held_bytes: int = 64 * 1024 * 1024
    connections: int = 2048
    unsent: int = 64  #: answers that their clients do not read at once
    queue: int = 256  #: requests that wait for a thread


class Listener:
    """A port with its connections and threads. Use from one event loop.

    ``max_body`` says how many bytes the body of a request to a target may have.
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
        #: Connections share it: each parses at once what it has read.
        self.buffer = bytearray(limits.head_bytes)
        #: Connections whose client has the next step, the longest waiting one first.
        self.waiting: dict[Connection, None] = {}
        self._unsent: dict[Connection, None] = {}
        self._connections: set[Connection] = set()
        self._held = 0
        self._app = app
        self._threads = threads
        self._jobs: queue.SimpleQueue[tuple[Request, Connection]] = queue.SimpleQueue()
        #: Answers that the event loop has not taken yet, and whether it was woken.
        self._answers: deque[tuple[Connection, Answer]] = deque()
        self._is_woken = False
        self._outstanding = 0
        self._progressed = time.monotonic()

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises OSError where it cannot."""
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
        """Whether every thread has a request, and none was answered for long."""
        waited = time.monotonic() - self._progressed
        busy = self._outstanding >= self._threads
        return busy and waited > self.limits.stuck_seconds

    async def drain(self, seconds: float) -> None:
        """Takes no more requests; returns once the others are answered, or then."""
        self._server.close()
        for connection in list(self._connections):
            connection.drain()
        deadline = time.monotonic() + seconds
        while self._connections and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    # Connections call these.

    def add(self, connection: Connection) -> None:
        """Notes a new connection; ends another one where there are too many."""
        self._connections.add(connection)
        CONNECTIONS.inc()
        if len(self._connections) > self.limits.connections and self.waiting:
            self.count_refusal(DropReason.TOO_MANY_CONNECTIONS)
            next(iter(self.waiting)).abort()

    def remove(self, connection: Connection) -> None:
        """Forgets a connection that has ended."""
        self._connections.discard(connection)
        self.remove_unsent(connection)
        CONNECTIONS.dec()

    def add_unsent(self, connection: Connection) -> None:
        """Notes an answer that its client does not read; ends the oldest of many."""
        self._unsent[connection] = None
        if len(self._unsent) > self.limits.unsent:
            self.count_refusal(DropReason.UNREAD)
            oldest = next(iter(self._unsent))
            self.remove_unsent(oldest)
            oldest.abort()

    def remove_unsent(self, connection: Connection) -> None:
        """Forgets an answer that was read."""
        self._unsent.pop(connection, None)

    def hold(self, count: int) -> None:
        """Counts bytes of bodies; where they are too many, ends the connections that
        have most of them."""
        self._held += count
        while count > 0 and self._held > self.limits.held_bytes and self.waiting:
            largest = max(self.waiting, key=lambda one: one.held_bytes)
            if not largest.held_bytes:
                return  # all of it is being answered
            self.count_refusal(DropReason.TOO_MANY_BODIES)
            largest.abort()

    def handle(self, request: Request, connection: Connection) -> None:
        """Has a thread answer ``request``, or says that too many wait for one."""
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
        """Tells of a request or connection that the application never saw."""
        CONNECTIONS_REFUSED.labels(reason).inc()

    def _work(self) -> None:
        """One thread, for as long as the process lives."""
        while True:
            request, connection = self._jobs.get()
            self._answers.append((connection, wsgi.call(self._app, request)))
            # Requests that are stored together are answered together: waking the loop
            # for each of them costs as much as the answer.
            if not self._is_woken:
                self._is_woken = True
                self._loop.call_soon_threadsafe(self._take_answers)

    def _take_answers(self) -> None:
        """Before it looks, it lets itself be woken again, so that none is left."""
        self._is_woken = False
        while self._answers:
            self._outstanding -= 1
            self._progressed = time.monotonic()
            connection, answer = self._answers.popleft()
            connection.answer(answer)


def _listening(host: str, port: int) -> socket.socket:
    """A socket of IPv4 or IPv6; ``::`` takes both."""
    address = ip_address(host)
    v6 = address.version == 6
    return socket.create_server(
        (host, port),
        family=socket.AF_INET6 if v6 else socket.AF_INET,
        backlog=BACKLOG,
        dualstack_ipv6=v6 and address.is_unspecified,
    )
