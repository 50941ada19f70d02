"""One round: starts a side and its simulator, warms up, measures, and stops both."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from bench import cpu, stripe
from bench.errors import BenchError
from bench.figures import Round
from bench.judge import Window, judge
from bench.load import submit
from bench.sides import Running, Side, Stored

#: Payments before the measurement; they open every connection and thread.
WARM_UP: Final = 300
#: Seconds for one request, and for the warm-up to be charged.
REQUEST_WAIT: Final = 30.0
WARM_UP_WAIT: Final = 60.0
#: Payments a second: a round may take a minute and the time at this rate.
SLOWEST: Final = 25
#: Seconds between two reads of the ledger, each half a millisecond of the simulator.
#: The precision does not depend on it, because rows have times.
POLL: Final = 0.1
#: Seconds after the last charge for storing its outcome.
TAIL: Final = 0.25
#: The simulator, and the load generator with its child, the simulator.
STRIPE: Final = "stripe"
BENCH: Final = "bench"
#: Seconds for storing the last outcomes, after all charges.
OUTCOME_WAIT: Final = 10.0
#: A side's status of a payment without an outcome.
PROCESSING: Final = "processing"


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of all rounds."""

    payments: int
    connections: int
    latency: float  #: seconds of a call to Stripe


def play(side: Side, number: int, plan: Plan, home: Path) -> Round:
    """Measures ``side`` once, in ``home``; no process runs afterwards.

    Raises BenchError if it cannot be measured.
    """
    home.mkdir(parents=True)
    with stripe.serving(home / "stripe.log", plan.latency) as (stripe_url, pid):
        with side.start(home / side.name, stripe_url) as running:
            window = asyncio.run(_measure(running, stripe_url, pid, plan))
            stored = _outcomes(running)
    return judge(side.name, number, window, stored)


async def _measure(
    running: Running, stripe_url: str, stripe_pid: int, plan: Plan
) -> Window:
    timeout = aiohttp.ClientTimeout(total=REQUEST_WAIT)
    connector = aiohttp.TCPConnector(limit=plan.connections)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        warm = [f"warm-{place}" for place in range(WARM_UP)]
        await submit(session, running, warm, connections=plan.connections)
        if not await _charged(session, stripe_url, WARM_UP, seconds=WARM_UP_WAIT):
            raise BenchError(f"the warm-up was not charged in {WARM_UP_WAIT:g} s")
        await asyncio.sleep(TAIL)
        references = [f"order-{place}" for place in range(plan.payments)]
        # With our own process, the remainder is the work of other programs.
        roots = {**running.processes, STRIPE: stripe_pid, BENCH: os.getpid()}
        before, start = cpu.read(roots), time.time()
        submissions = await submit(
            session, running, references, connections=plan.connections
        )
        total = WARM_UP + plan.payments
        limit = 60 + plan.payments / SLOWEST
        await _charged(session, stripe_url, total, seconds=limit)
        await asyncio.sleep(TAIL)
        after, end = cpu.read(roots), time.time()
        charges = await stripe.charges(session, stripe_url, after=WARM_UP)
    used = {name: after.processes[name] - before.processes[name] for name in roots}
    yardstick = used.pop(STRIPE)
    del used[BENCH]
    ours = after.all_roots - before.all_roots
    others = (after.machine - before.machine - ours) / (end - start)
    return Window(start, submissions, charges, used, yardstick, max(others, 0.0))


async def _charged(
    session: aiohttp.ClientSession, stripe_url: str, total: int, *, seconds: float
) -> bool:
    """Whether the ledger got ``total`` rows in time."""
    deadline = time.monotonic() + seconds
    while not await stripe.charges(session, stripe_url, after=total - 1):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL)
    return True


def _outcomes(running: Running) -> dict[str, Stored] | None:
    """The side's stored payments, once each has an outcome."""
    if running.stored is None:
        return None
    deadline = time.monotonic() + OUTCOME_WAIT
    while True:
        found = running.stored()
        waits = any(payment.status == PROCESSING for payment in found.values())
        if not waits or time.monotonic() > deadline:
            return found
        time.sleep(POLL)
