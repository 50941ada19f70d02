"""One round: a side and its Stripe start, warm up, are measured and stop."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from bench import cpu, stripe
from bench.errors import BenchError
from bench.figures import Round, percentiles
from bench.load import Submission, submit
from bench.sides import Running, Side, Stored

#: Payments before the clock starts: they open every connection and thread.
WARM_UP: Final = 300
#: Seconds for one request, and for the warm-up to be charged.
REQUEST_WAIT: Final = 30.0
WARM_UP_WAIT: Final = 60.0
#: Payments per second below which a round is given up, on top of a minute.
SLOWEST: Final = 25
#: Seconds between two looks at the ledger; each costs the simulator half a
#: millisecond. The rows have their own times, so it costs no precision.
LOOK: Final = 0.1
#: Seconds after the last charge in which its outcome is still being stored.
TAIL: Final = 0.25
#: The load generator, and the simulator below it.
BENCH: Final = "bench"
#: Where a payment of ours must end.
CAPTURED: Final = "captured"


@dataclass(frozen=True, slots=True)
class Plan:
    """What every round has in common."""

    payments: int
    connections: int
    latency: float  #: seconds that Stripe takes


@dataclass(frozen=True, slots=True)
class _Window:
    """What was seen from the first request to the last charge."""

    start: float  #: seconds since the epoch
    submissions: Sequence[Submission]
    charges: Sequence[tuple[str, float]]
    cpu: Mapping[str, float]
    others: float


def play(side: Side, number: int, plan: Plan, home: Path) -> Round:
    """Measures ``side`` once, in ``home``; nothing runs afterwards.

    Raises BenchError where it cannot be measured at all.
    """
    home.mkdir(parents=True)
    with stripe.serving(home / "stripe.log", plan.latency) as stripe_url:
        with side.start(home / side.name, stripe_url) as running:
            window = asyncio.run(_measure(running, stripe_url, plan))
            stored = running.stored() if running.stored else None
    return _judged(side.name, number, plan, window, stored)


async def _measure(running: Running, stripe_url: str, plan: Plan) -> _Window:
    timeout = aiohttp.ClientTimeout(total=REQUEST_WAIT)
    connector = aiohttp.TCPConnector(limit=plan.connections)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        warm = [f"warm-{place}" for place in range(WARM_UP)]
        await submit(session, running, warm, connections=plan.connections)
        if not await _charged(session, stripe_url, WARM_UP, seconds=WARM_UP_WAIT):
            raise BenchError(f"the warm-up was not charged in {WARM_UP_WAIT:g} s")
        await asyncio.sleep(TAIL)
        references = [f"order-{place}" for place in range(plan.payments)]
        # Ours as well, for what is left over is other programs' work.
        roots = {**running.processes, BENCH: os.getpid()}
        before, start = cpu.read(roots), time.time()
        submissions = await submit(
            session, running, references, connections=plan.connections
        )
        total = WARM_UP + plan.payments
        patience = 60 + plan.payments / SLOWEST
        await _charged(session, stripe_url, total, seconds=patience)
        await asyncio.sleep(TAIL)
        after, end = cpu.read(roots), time.time()
        charges = await stripe.charges(session, stripe_url, after=WARM_UP)
    used = {
        name: after.processes[name] - before.processes[name]
        for name in running.processes
    }
    ours = after.all_told - before.all_told
    others = (after.machine - before.machine - ours) / (end - start)
    return _Window(start, submissions, charges, used, max(others, 0.0))


async def _charged(
    session: aiohttp.ClientSession, stripe_url: str, total: int, *, seconds: float
) -> bool:
    """Whether the ledger got ``total`` rows in time."""
    deadline = time.monotonic() + seconds
    while not await stripe.charges(session, stripe_url, after=total - 1):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK)
    return True


def _judged(
    side: str,
    number: int,
    plan: Plan,
    window: _Window,
    stored: Mapping[str, Stored] | None,
) -> Round:
    sent = {one.reference: one.at for one in window.submissions}
    charged = {name: at for name, at in window.charges if name in sent}
    faults = _faults(window, sent, charged, stored)
    settled = dict(charged)
    if stored is not None:
        for name in settled.keys() & stored.keys():
            settled[name] = max(settled[name], stored[name].at)
    if not charged:
        raise BenchError(f"{side}: {'; '.join(faults)}")
    return Round(
        side=side,
        number=number,
        payments=plan.payments,
        seconds=max(settled.values()) - window.start,
        cpu=window.cpu,
        others=window.others,
        accepted=percentiles(one.seconds for one in window.submissions),
        charged=percentiles(charged[name] - sent[name] for name in charged),
        captured=(
            percentiles(settled[name] - sent[name] for name in settled)
            if stored is not None
            else None
        ),
        faults=faults,
    )


def _faults(
    window: _Window,
    sent: Mapping[str, float],
    charged: Mapping[str, float],
    stored: Mapping[str, Stored] | None,
) -> tuple[str, ...]:
    """Whatever did not come out as it must, a sentence each."""
    statuses = Counter(str(one.status or "no answer") for one in window.submissions)
    refused = {status: count for status, count in statuses.items() if status != "202"}
    found = [f"{count} requests got {status}" for status, count in refused.items()]
    missing = len(sent) - len(charged)
    if missing:
        found.append(f"{missing} of {len(sent)} payments were not charged")
    counts = Counter(name for name, _ in window.charges)
    twice = sum(count > 1 for count in counts.values())
    if twice:
        found.append(f"{twice} payments were charged more than once")
    if stored is not None:
        ends = Counter(
            stored[name].status if name in stored else "not found" for name in sent
        )
        wrong = {status: count for status, count in ends.items() if status != CAPTURED}
        found += [f"{count} payments are {status}" for status, count in wrong.items()]
    return tuple(found)
