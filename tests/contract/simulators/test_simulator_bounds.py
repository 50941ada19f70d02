"""What a simulator does when it is full: refuse, never forget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from simulators import faults, idempotency, ledger, webhooks
from simulators.clock import Clock
from simulators.provider import World
from simulators.server import Server
from simulators.stripe import api as stripe

Scenario = Callable[[Callable[[str], Awaitable[int]]], Awaitable[None]]
FORM = {
    "amount": "1999",
    "currency": "usd",
    "confirm": "true",
    "off_session": "true",
    "payment_method": "pm_card_visa",
}


def run_with_server(world: World, scenario: Scenario) -> None:
    """Serve Stripe in this process, where its bounds can be lowered."""

    async def run() -> None:
        server = Server(stripe.Stripe(world), "127.0.0.1", 0)
        await server.start()
        async with aiohttp.ClientSession() as session:

            async def charge(key: str) -> int:
                headers = {"Authorization": "Bearer sk_test_x", "Idempotency-Key": key}
                url = f"{server.url}/v1/payment_intents"
                async with session.post(url, data=FORM, headers=headers) as answer:
                    return answer.status

            await scenario(charge)
        await server.stop()

    asyncio.run(run())


def make_world() -> World:
    """Return an empty world; call it where an event loop may be needed."""
    clock, armed = Clock(), faults.Faults()
    return World(
        clock,
        ledger.Ledger(clock),
        armed,
        idempotency.IdempotencyKeys(clock),
        webhooks.Webhooks(stripe.sign, stripe.DEFAULT_SECRET, armed),
    )


def test_a_full_ledger_refuses_further_payments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "MAX_MOVEMENTS", 1)
    world = make_world()

    async def scenario(charge: Callable[[str], Awaitable[int]]) -> None:
        assert [await charge("a"), await charge("b")] == [200, 500]

    run_with_server(world, scenario)
    assert world.ledger.totals == {"charge": 1}


def test_full_keys_refuse_new_ones_until_old_ones_expire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idempotency, "MAX_KEYS", 1)
    world = make_world()

    async def scenario(charge: Callable[[str], Awaitable[int]]) -> None:
        statuses = [await charge("a"), await charge("b"), await charge("a")]
        assert statuses == [200, 500, 200]
        world.clock.advance(stripe.KEY_WINDOW + 1)
        assert await charge("b") == 200

    run_with_server(world, scenario)
    assert world.ledger.totals == {"charge": 2}


def test_faults_and_webhook_targets_are_bounded() -> None:
    world = make_world()
    for _ in range(faults.MAX_FAULTS):
        world.faults.arm(faults.Fault("drop"))
    with pytest.raises(faults.BadFault, match="heal first"):
        world.faults.arm(faults.Fault("drop"))
    world.faults.take("GET", "/")
    world.faults.arm(faults.Fault("drop"))
    for number in range(webhooks.MAX_TARGETS):
        world.webhooks.register(f"http://127.0.0.1/{number}")
    with pytest.raises(webhooks.BadTarget, match="registered already"):
        world.webhooks.register("http://127.0.0.1/more")
