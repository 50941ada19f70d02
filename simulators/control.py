"""The control endpoints of a simulator, for tests, demos and operators.

They need no authentication, have no faults and are not delayed.
"""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from simulators.calls import json_object, to_json
from simulators.clock import rfc3339
from simulators.faults import parse_fault
from simulators.ledger import Ledger
from simulators.server import Server


def install(server: Server) -> None:
    """Add ``/_health``, ``/metrics``, ``/_ledger``, ``/_faults``, ``/_clock``,
    ``/_rate_limit``, ``/_webhooks`` to the server; call it before the server starts."""
    world = server.provider.world
    server.registry.register(_Movements(world.ledger))
    router = server.app.router

    async def health(request: web.Request) -> web.Response:
        return _json({"status": "ok", "held_calls": world.faults.held})

    async def metrics(request: web.Request) -> web.Response:
        text = generate_latest(server.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def ledger(request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not after.isdecimal():
            return _bad("after must be a number of rows")
        encoded = world.ledger.encoded(int(after))
        return web.Response(body=encoded, content_type="application/json")

    async def arm(request: web.Request) -> web.StreamResponse:
        try:
            fault = parse_fault(json_object(await request.read()))
            world.faults.arm(fault)
        except ValueError as bad:
            return _bad(str(bad))
        if fault.do != "refuse":
            return _json(fault.listed(), 201)
        fault.left, fault.fired = 0, 1
        answer = _json(fault.listed(), 201)
        answer.force_close()
        await answer.prepare(request)
        await answer.write_eof()
        await server.refuse(fault.seconds, keep=request.transport)
        return answer

    async def list_faults(request: web.Request) -> web.Response:
        return _json({"faults": world.faults.listed()})

    async def heal(request: web.Request) -> web.Response:
        world.faults.heal()
        return web.Response(status=204)

    async def advance(request: web.Request) -> web.Response:
        try:
            raw = json_object(await request.read())
            seconds = raw.get("advance_seconds")
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise ValueError("advance_seconds must be a number")
            world.clock.advance(seconds)
        except ValueError as bad:
            return _bad(str(bad))
        return await read_clock(request)

    async def read_clock(request: web.Request) -> web.Response:
        now = world.clock.now()
        return _json(
            {"now": now, "time": rfc3339(now), "offset_seconds": world.clock.offset}
        )

    async def set_limit(request: web.Request) -> web.Response:
        try:
            raw = json_object(await request.read())
            per_second = raw.get("per_second")
            if isinstance(per_second, bool) or not isinstance(per_second, int | float):
                raise ValueError("per_second must be a number")
            world.rate_limit.set(per_second)
        except ValueError as bad:
            return _bad(str(bad))
        return await read_limit(request)

    async def read_limit(request: web.Request) -> web.Response:
        return _json({"per_second": world.rate_limit.per_second})

    async def add_target(request: web.Request) -> web.Response:
        try:
            raw = json_object(await request.read())
            target = world.webhooks.register(
                raw.get("url"), raw.get("secret"), raw.get("old_secret")
            )
        except ValueError as bad:
            return _bad(str(bad))
        return _json({"url": target.url, "secret": target.secrets[0]}, 201)

    async def resend(request: web.Request) -> web.Response:
        try:
            raw = json_object(await request.read())
            sent = world.webhooks.resend(raw.get("event_id"))
        except ValueError as bad:
            return _bad(str(bad))
        return _json({"targets": sent}, 202)

    async def list_webhooks(request: web.Request) -> web.Response:
        targets = [{"url": target.url} for target in world.webhooks.targets]
        return _json({"targets": targets, "deliveries": world.webhooks.listed()})

    router.add_get("/_health", health)
    router.add_get("/metrics", metrics)
    router.add_get("/_ledger", ledger)
    router.add_post("/_faults", arm)
    router.add_get("/_faults", list_faults)
    router.add_delete("/_faults", heal)
    router.add_post("/_clock", advance)
    router.add_get("/_clock", read_clock)
    router.add_post("/_rate_limit", set_limit)
    router.add_get("/_rate_limit", read_limit)
    router.add_post("/_webhooks", add_target)
    router.add_get("/_webhooks", list_webhooks)
    router.add_post("/_webhooks/resend", resend)


class _Movements(Collector):
    """Counts the ledger's rows only during a scrape."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> list[CounterMetricFamily]:
        family = CounterMetricFamily(
            "simulator_movements", "Movements of money, by kind.", labels=["kind"]
        )
        for kind, total in sorted(self._ledger.totals.items()):
            family.add_metric([kind], total)
        return [family]


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        body=to_json(value), status=status, content_type="application/json"
    )


def _bad(message: str) -> web.Response:
    return _json({"error": message}, 400)
