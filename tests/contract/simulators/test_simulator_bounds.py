"""A full simulator refuses, and never forgets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from simulators import faults, idempotency, ledger, webhooks
from simulators.clock import Clock
from simulators.provider import World
from simulators.server import Server
from simulators.stripe import api as stripe
from simulators.stripe.store import Bounds

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


def posts(
    bounds: Bounds, *calls: tuple[str, dict[str, str]]
) -> list[tuple[int, dict[str, Any]]]:
    """Make these calls, each for an account of its own, and return their answers."""
    answers = []
    world = make_world()

    async def run() -> None:
        server = Server(stripe.Stripe(world, bounds), "127.0.0.1", 0)
        await server.start()
        async with aiohttp.ClientSession() as session:
            for number, (path, form) in enumerate(calls):
                headers = {"Authorization": f"Bearer sk_test_{number}"}
                control = path.startswith("/_")
                body = json.dumps(form) if control else urlencode(form)
                async with session.post(
                    server.url + path, headers=headers, data=body
                ) as answer:
                    answers.append((answer.status, await answer.json()))
        await server.stop()

    asyncio.run(run())
    return answers


def make_world(
    *,
    movements: int = ledger.MAX_MOVEMENTS,
    keys: int = idempotency.MAX_KEYS,
    events: int = webhooks.MAX_KEPT,
) -> World:
    """Return an empty world; call it where an event loop may be needed."""
    clock, armed = Clock(), faults.Faults()
    return World(
        clock,
        ledger.Ledger(clock, most=movements),
        armed,
        idempotency.IdempotencyKeys(clock, most=keys),
        webhooks.Webhooks(stripe.sign, stripe.DEFAULT_SECRET, armed, most=events),
    )


def test_a_full_ledger_refuses_further_payments() -> None:
    world = make_world(movements=1)

    async def scenario(charge: Callable[[str], Awaitable[int]]) -> None:
        assert [await charge("a"), await charge("b")] == [200, 500]

    run_with_server(world, scenario)
    assert world.ledger.totals == {"charge": 1}


def test_full_keys_refuse_new_ones_until_old_ones_expire() -> None:
    world = make_world(keys=1)

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
        world.faults.arm(faults.DocumentFault("drop"))
    with pytest.raises(faults.BadFault, match="heal first"):
        world.faults.arm(faults.DocumentFault("drop"))
    world.faults.take("GET", "/")
    world.faults.arm(faults.DocumentFault("drop"))
    for number in range(webhooks.MAX_TARGETS):
        world.webhooks.register(f"http://127.0.0.1/{number}")
    with pytest.raises(webhooks.BadTarget, match="registered already"):
        world.webhooks.register("http://127.0.0.1/more")


def test_events_are_kept_up_to_a_bound_and_the_oldest_are_forgotten() -> None:
    world = make_world(events=2)
    for number in range(3):
        world.webhooks.publish(f"evt_{number}", "x", {})
    assert world.webhooks.resend("evt_2") == 0
    with pytest.raises(ValueError, match="kept"):
        world.webhooks.resend("evt_0")


@pytest.mark.parametrize(
    ("bounds", "path", "form"),
    [
        (Bounds(customers=1), "/v1/customers", {}),
        (Bounds(methods=1), "/v1/payment_intents", FORM),
        (Bounds(accounts=1), "/v1/payment_intents", FORM),
    ],
)
def test_a_full_simulator_creates_no_further_objects(
    bounds: Bounds,
    path: str,
    form: dict[str, str],
) -> None:
    answers = [status for status, _ in posts(bounds, *[(path, form)] * 2)]
    assert answers == [200, 500]


def test_a_payment_succeeds_if_no_further_dispute_can_be_stored() -> None:
    disputing = FORM | {"payment_method": "pm_card_createDispute"}
    call = ("/v1/payment_intents", disputing)
    (first, one), (second, other), (third, refused) = posts(
        Bounds(disputes=1), call, call, ("/_disputes", {"charge": "1"})
    )
    assert (first, second, third) == (200, 200, 400)
    assert one["status"] == other["status"] == "succeeded"
    assert "kept already" in refused["error"]
