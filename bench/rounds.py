"""One round: starts a side and its Stripe, warms up, measures, and stops both."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from bench import stub, usage
from bench.errors import BenchError
from bench.figures import Round
from bench.judge import Window, judge
from bench.load import Submission, submit, submit_at_rate, submit_one
from bench.sides import Running, Side, Stored
from bench.stub import Stub

#: Payments before the measurement; they open every connection and thread.
WARM_UP: Final = 300
#: Payments submitted one after another, each once the last is settled.
ALONE: Final = 20
#: The share of the measured throughput at which the paced payments are submitted, and
#: their number as a share of all.
PACED_RATE: Final = 0.5
PACED: Final = 0.5
#: Seconds for one request, and for the warm-up to be charged.
REQUEST_WAIT: Final = 30.0
WARM_UP_WAIT: Final = 60.0
#: Payments a second: a round may take a minute and the time at this rate.
SLOWEST: Final = 25
#: Seconds between two reads of the ledger. The precision does not depend on it, because
#: rows have times.
POLL: Final = 0.1
#: Seconds after the last charge for storing its outcome.
TAIL: Final = 0.25
#: Seconds between two samples of the memory.
SAMPLE: Final = 0.5
#: Stripe, and the load generator with its child, Stripe.
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
    warm_up: int = WARM_UP
    alone: int = ALONE


def play(side: Side, number: int, plan: Plan, home: Path) -> Round:
    """Measures ``side`` once, in ``home``; no process runs afterwards.

    Raises BenchError if it cannot be measured.
    """
    home.mkdir(parents=True)
    with stub.serving(home / STRIPE, plan.latency) as stripe:
        with side.start(home / side.name, stripe.url) as running:
            window = asyncio.run(_measure(running, stripe, plan))
            stored = _outcomes(running)
    return judge(side.name, number, window, stored)


async def _measure(running: Running, stripe: Stub, plan: Plan) -> Window:
    timeout = aiohttp.ClientTimeout(total=REQUEST_WAIT)
    connector = aiohttp.TCPConnector(limit=plan.connections)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        warm = [f"warm-{place}" for place in range(plan.warm_up)]
        await submit(session, running, warm, connections=plan.connections)
        total = plan.warm_up
        if not await _charged(session, stripe, total, seconds=WARM_UP_WAIT):
            raise BenchError(f"the warm-up was not charged in {WARM_UP_WAIT:g} s")
        await asyncio.sleep(TAIL)

        # With our own process, the remainder is the work of other programs.
        roots = {**running.processes, STRIPE: stripe.pid, BENCH: os.getpid()}
        references = [f"order-{place}" for place in range(plan.payments)]
        with _peak_memory(running) as memory:
            counts = running.counts()
            before, own, start = usage.read(roots), time.process_time(), time.time()
            submissions = await submit(
                session, running, references, connections=plan.connections
            )
            total += plan.payments
            limit = 60 + plan.payments / SLOWEST
            all_charged = await _charged(session, stripe, total, seconds=limit)
            await asyncio.sleep(TAIL)
            after, end = usage.read(roots), time.time()
            own = time.process_time() - own
            counts = running.counts().since(counts)

        alone: list[Submission] = []
        paced: list[Submission] = []
        charges = await stub.charges(session, stripe.url, after=plan.warm_up)
        if all_charged and charges:
            for place in range(plan.alone):
                alone.append(await submit_one(session, running, f"alone-{place}"))
                total += 1
                await _charged(session, stripe, total, seconds=REQUEST_WAIT)
                # At no fixed phase of the side's own intervals.
                await asyncio.sleep(random.uniform(TAIL / 2, TAIL))
            rate = PACED_RATE * len(charges) / (max(at for _, at in charges) - start)
            more = [f"paced-{place}" for place in range(int(PACED * plan.payments))]
            paced = await submit_at_rate(session, running, more, rate=rate)
            await _charged(session, stripe, total + len(paced), seconds=limit)
            charges = await stub.charges(session, stripe.url, after=plan.warm_up)
    used = {name: after.processes[name] - before.processes[name] for name in roots}
    stripe_cpu = used.pop(STRIPE)
    del used[BENCH]
    busy = after.all_roots - before.all_roots
    others = (after.machine - before.machine - busy) / (end - start)
    return Window(
        start=start,
        submissions=submissions,
        alone=alone,
        paced=paced,
        charges=charges,
        cpu=used,
        yardstick=own + stripe_cpu,
        others=max(others, 0.0),
        memory=memory,
        counts=counts,
    )


async def _charged(
    session: aiohttp.ClientSession, stripe: Stub, total: int, *, seconds: float
) -> bool:
    """Whether the ledger got ``total`` rows in time."""
    deadline = time.monotonic() + seconds
    while not await stub.charges(session, stripe.url, after=total - 1):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL)
    return True


@contextmanager
def _peak_memory(running: Running) -> Iterator[Mapping[str, int]]:
    """Resident bytes by process, its children included, while their sum was largest."""
    trees = usage.trees(running.processes)
    peak: dict[str, int] = {}

    def sample() -> None:
        found = {name: usage.resident(pids) for name, pids in trees.items()}
        if sum(found.values()) > sum(peak.values()):
            peak.update(found)

    async def sample_often() -> None:
        while True:
            sample()
            await asyncio.sleep(SAMPLE)

    task = asyncio.ensure_future(sample_often())
    try:
        yield peak
    finally:
        task.cancel()
        sample()


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
