"""What a simulator does when it is full: refuse, never forget."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from simulators import faults, idempotency, ledger, webhooks
from simulators.clock import Clock
from simulators.provider import World
from simulators.server import Server
from simulators.stripe import api as stripe
from simulators.stripe import customers, disputes, store

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
    world: World, *calls: tuple[str, dict[str, str]]
) -> list[tuple[int, dict[str, Any]]]:
    """Make these calls, each for an account of its own, and return what they get."""
    answers = []

    async def run() -> None:
        server = Server(stripe.Stripe(world), "127.0.0.1", 0)
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


def test_events_are_kept_up_to_a_bound_and_the_oldest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks, "MAX_KEPT", 2)
    world = make_world()
    for number in range(3):
        world.webhooks.publish(f"evt_{number}", "x", {})
    assert world.webhooks.resend("evt_2") == 0
    with pytest.raises(ValueError, match="kept"):
        world.webhooks.resend("evt_0")


@pytest.mark.parametrize(
    ("module", "bound", "path", "form"),
    [
        (customers, "MAX_CUSTOMERS", "/v1/customers", {}),
        (store, "MAX_METHODS", "/v1/payment_intents", FORM),
        (store, "MAX_ACCOUNTS", "/v1/payment_intents", FORM),
    ],
)
def test_a_full_simulator_makes_no_more_of_what_it_keeps(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    bound: str,
    path: str,
    form: dict[str, str],
) -> None:
    monkeypatch.setattr(module, bound, 1)
    answers = [status for status, _ in posts(make_world(), *[(path, form)] * 2)]
    assert answers == [200, 500]


def test_a_payment_succeeds_though_no_more_disputes_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disputes, "MAX_DISPUTES", 1)
    disputing = FORM | {"payment_method": "pm_card_createDispute"}
    call = ("/v1/payment_intents", disputing)
    (first, one), (second, other), (third, refused) = posts(
        make_world(), call, call, ("/_disputes", {"charge": "1"})
    )
    assert (first, second, third) == (200, 200, 400)
    assert one["status"] == other["status"] == "succeeded"
    assert "kept already" in refused["error"]
