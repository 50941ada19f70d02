"""Submits payments: as fast as a number of connections allows, or at a rate."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp

from bench.sides import Running

#: The amount of every payment, in cents, and its currency.
AMOUNT: Final = 1999
CURRENCY: Final = "USD"
METHOD: Final = "pm_card_visa"


@dataclass(frozen=True, slots=True)
class Submission:
    """One request. ``status`` is HTTP's, or 0 without an answer."""

    reference: str
    at: float  #: when it was sent, in seconds since the epoch
    seconds: float  #: until the answer
    status: int


async def submit(
    session: aiohttp.ClientSession,
    side: Running,
    references: Iterable[str],
    *,
    connections: int,
) -> list[Submission]:
    """Submits a payment for each reference, each under a key of its own.

    Each of ``connections`` sends its next payment once the last one is answered.
    """
    waiting = iter(references)
    lanes = (_lane(session, side, waiting) for _ in range(connections))
    done = await asyncio.gather(*lanes)
    return [submission for lane in done for submission in lane]


async def submit_at_rate(
    session: aiohttp.ClientSession,
    side: Running,
    references: Iterable[str],
    *,
    rate: float,
) -> list[Submission]:
    """Submits ``rate`` payments a second, without waiting for answers.

    The wait for a free connection of the session counts as part of the request.
    """
    start = time.perf_counter()
    requests = []
    for place, reference in enumerate(references):
        await asyncio.sleep(max(start + place / rate - time.perf_counter(), 0))
        requests.append(asyncio.create_task(submit_one(session, side, reference)))
    return list(await asyncio.gather(*requests))


async def submit_one(
    session: aiohttp.ClientSession, side: Running, reference: str
) -> Submission:
    """Submits the payment of ``reference``."""
    headers = {
        **side.headers,
        "Content-Type": "application/json",
        "Idempotency-Key": reference,
    }
    sent, start = time.time(), time.perf_counter()
    status = await _post(session, side.url, _body(reference), headers)
    return Submission(reference, sent, time.perf_counter() - start, status)


async def _lane(
    session: aiohttp.ClientSession, side: Running, waiting: Iterator[str]
) -> list[Submission]:
    """One request after another; all connections draw from the same ``waiting``."""
    return [await submit_one(session, side, reference) for reference in waiting]


async def _post(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str]
) -> int:
    try:
        async with session.post(url, data=body, headers=headers) as answer:
            await answer.read()
            return answer.status
    except (aiohttp.ClientError, TimeoutError):
        return 0


def _body(reference: str) -> bytes:
    payment = {
        "amount": AMOUNT,
        "currency": CURRENCY,
        "provider": "stripe",
        "payment_method": METHOD,
        "reference": reference,
    }
    return json.dumps(payment).encode()
