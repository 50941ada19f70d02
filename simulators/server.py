"""The HTTP server: one path for every API call, with faults and idempotency.

A call is read, matched against the faults, authenticated, parsed, and counted against
its account's rate limit; its idempotency key is reserved; then it is held for the
latency and any ``delay``; then it is carried out, at once and without interruption,
answered and stored. Money thus moves at arrival plus latency, the same key is in
progress meanwhile, and an early disconnect does not prevent the charge.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import traceback
from dataclasses import replace
from functools import partial
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from simulators.calls import Answer, Call, Refused, Request, Route, to_json
from simulators.faults import DocumentFault
from simulators.idempotency import KeysFull
from simulators.provider import Page, Provider

#: Bytes of a request body; the APIs' own requests stay far below.
MAX_BODY: Final = 1024 * 1024
#: Seconds a stopping server gives calls in flight: none, a simulator stops at once.
SHUTDOWN: Final = 0.05
#: Seconds between tries to listen again after a refusal.
REOPEN_WAIT: Final = 0.1
#: SO_LINGER with no time: closing sends a reset instead of an end.
RESET: Final = struct.pack("ii", 1, 0)


class Server:
    """Serves one provider on one address; the listening socket can be closed."""

    def __init__(
        self, provider: Provider, host: str, port: int, latency: float = 0.0
    ) -> None:
        self.provider = provider
        self.host = host
        self.port = port
        self._latency = latency
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "simulator_requests",
            "API requests by route and status; dropped ones have status 0.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.app = web.Application(client_max_size=MAX_BODY)
        for page in provider.pages:
            self.app.router.add_route(page.method, page.path, partial(self._page, page))
        for route in provider.routes:
            self.app.router.add_route(
                route.method, route.path, partial(self._api, route)
            )
        self._runner = web.AppRunner(
            self.app, access_log=None, shutdown_timeout=SHUTDOWN
        )
        self._site: web.TCPSite | None = None
        self._reopening: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The base URL, with the actual port."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises ``OSError`` when the address is taken."""
        unknown = Route("*", "/{rest:.*}", self._unknown)
        self.app.router.add_route("*", unknown.path, partial(self._api, unknown))
        await self._runner.setup()
        await self._listen()
        self.port = self._runner.addresses[0][1]
        await self.provider.world.webhooks.start(self.url)

    async def stop(self) -> None:
        """Stop at once: connections are reset, held calls are dropped."""
        if self._reopening is not None:
            self._reopening.cancel()
        await self.provider.world.webhooks.stop()
        self._reset_connections()
        await self._runner.cleanup()

    async def refuse(
        self, seconds: float, keep: asyncio.BaseTransport | None = None
    ) -> None:
        """Close the listening socket for a while; reset connections except ``keep``."""
        if self._reopening is not None:
            self._reopening.cancel()
        if self._site is not None:
            await self._site.stop()
            self._site = None
        self._reset_connections(keep)
        self._reopening = asyncio.create_task(self._reopen(seconds))

    async def _reopen(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while True:
            try:
                await self._listen()
                return
            except OSError:
                # Another process holds the port for the moment; try again soon.
                await asyncio.sleep(REOPEN_WAIT)

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, self.host, self.port, backlog=1024)
        await self._site.start()

    def _reset_connections(self, keep: asyncio.BaseTransport | None = None) -> None:
        server = self._runner.server
        for connection in list(server.connections) if server is not None else ():
            if connection.transport is not keep:
                _reset(connection.transport)

    async def _page(self, page: Page, request: web.Request) -> web.StreamResponse:
        self.provider.world.clock.run_due()
        try:
            return _response(page.handler(await _read(request)))
        except Refused as refused:
            return _response(refused.answer)

    async def _api(self, route: Route, request: web.Request) -> web.StreamResponse:
        fault = self.provider.world.faults.take(request.method, request.path)
        try:
            answer = await self._answer(route, request, fault)
        except Refused as refused:
            answer = refused.answer
        except web.HTTPRequestEntityTooLarge:
            answer = self.provider.too_large()
        shown = self.provider.world.overwrites.in_body(answer.body)
        answer = replace(answer, body=shown)
        dropped = fault is not None and fault.do in ("drop", "commit_then_drop")
        status = 0 if dropped else answer.status
        self._requests.labels(request.method, route.path, str(status)).inc()
        if dropped:
            _reset(request.transport)
        return _response(answer)

    async def _answer(
        self, route: Route, request: web.Request, fault: DocumentFault | None
    ) -> Answer:
        do = fault.do if fault is not None else None
        if fault is None:
            return await self._carry_out(route, request, None)
        if do == "drop":
            return Answer(500)
        if do == "rate_limit":
            return self.provider.rate_limited(fault.seconds)
        if do == "answer":
            return _armed_answer(self.provider, fault)
        answer = await self._carry_out(route, request, fault)
        if do == "malformed":
            return Answer(200, b'{"id": "')
        if do == "delay" and fault.when == "after":
            await self.provider.world.faults.hold(fault.seconds)
        return answer

    async def _carry_out(
        self, route: Route, request: web.Request, fault: DocumentFault | None
    ) -> Answer:
        """Authenticate, reserve the key, wait, execute, remember."""
        provider, world = self.provider, self.provider.world
        call = provider.open(await _read(request), route)
        wait = world.rate_limit.take(call.account)
        if wait is not None:
            return provider.rate_limited(wait)
        world.clock.run_due()
        if world.ledger.full and route.moves_money:
            return provider.failed("The simulator's ledger is full.", replayable=False)
        if call.key is None or route.window is None:
            return await self._execute(route, call, fault)
        scope = provider.scope(call, route)
        try:
            earlier = world.keys.begin(scope, call.fingerprint, call.path, route.window)
        except KeysFull:
            return provider.failed("The simulator's keys are full.", replayable=False)
        if earlier is not None:
            if earlier.fingerprint != call.fingerprint:
                return provider.mismatch(call, earlier.path)
            if earlier.replay is None:
                return provider.in_progress(call)
            await asyncio.sleep(self._latency)
            return provider.replayed(earlier.replay(call), call)
        try:
            answer = await self._execute(route, call, fault)
        except BaseException:
            world.keys.forget(scope)
            raise
        if answer.stored:
            world.keys.finish(scope, answer)
        else:
            world.keys.forget(scope)
        return answer

    async def _execute(
        self, route: Route, call: Call, fault: DocumentFault | None
    ) -> Answer:
        await asyncio.sleep(self._latency)
        if fault is not None and fault.do == "delay" and fault.when == "before":
            await self.provider.world.faults.hold(fault.seconds)
        if fault is not None and fault.do == "replay_500":
            if fault.when == "after":
                self._run(route, call)
            return self.provider.failed("An unknown error occurred.", replayable=True)
        return self._run(route, call)

    def _run(self, route: Route, call: Call) -> Answer:
        try:
            return route.handler(call)
        except Refused:
            raise
        except Exception:
            # A defect of the simulator; the client gets a real provider's 500.
            traceback.print_exc(file=sys.stderr)
            return self.provider.failed("The simulator failed.", replayable=False)

    def _unknown(self, call: Call) -> Answer:
        raise Refused(self.provider.unknown_path(call.method, call.path))


async def _read(request: web.Request) -> Request:
    return Request(
        method=request.method,
        path=request.path,
        base=f"http://{request.host}",
        query=request.query_string,
        headers=request.headers,
        body=await request.read(),
        ids=request.match_info,
    )


def _armed_answer(provider: Provider, fault: DocumentFault) -> Answer:
    if fault.body is None:
        shape = provider.failed("An unknown error occurred.", replayable=False)
        return Answer(fault.status, shape.body, {**shape.headers, **fault.headers})
    text = fault.body.encode() if isinstance(fault.body, str) else to_json(fault.body)
    return Answer(fault.status, text, fault.headers)


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type, **answer.headers}
    if answer.status == 204:
        del headers["Content-Type"]
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def _reset(transport: asyncio.BaseTransport | None) -> None:
    """Close a connection with a reset, so that the peer sees an error at once."""
    if isinstance(transport, asyncio.Transport):
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        transport.abort()
