"""Submits payments as fast as a number of connections allows."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import aiohttp

from bench.sides import Running


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
    """Submits a payment for each reference, each under a key of its own."""
    waiting = iter(references)
    lanes = (_lane(session, side, waiting) for _ in range(connections))
    done = await asyncio.gather(*lanes)
    return [submission for lane in done for submission in lane]


async def _lane(
    session: aiohttp.ClientSession, side: Running, waiting: Iterator[str]
) -> list[Submission]:
    """One request after another; all connections draw from the same ``waiting``."""
    done = []
    for reference in waiting:
        headers = {
            **side.headers,
            "Content-Type": "application/json",
            "Idempotency-Key": reference,
        }
        sent, start = time.time(), time.perf_counter()
        status = await _post(session, side.url, _body(reference), headers)
        seconds = time.perf_counter() - start
        done.append(Submission(reference, sent, seconds, status))
    return done


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
        "amount": 1999,
        "currency": "USD",
        "provider": "stripe",
        "payment_method": "pm_card_visa",
        "reference": reference,
    }
    return json.dumps(payment).encode()
