"""The simulator of Stripe for both sides, and its ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from bench.children import LOOPBACK, free_port, listens, running


@contextmanager
def serving(log: Path, latency: float) -> Iterator[tuple[str, int]]:
    """Base URL and pid of a fresh simulator; its calls take ``latency`` seconds."""
    port = free_port()
    command = (
        *(sys.executable, "-m", "simulators", "stripe", "--port", str(port)),
        *("--latency", str(latency)),
    )
    with running(command, log=log, ready=lambda: listens(port)) as pid:
        yield f"http://{LOOPBACK}:{port}", pid


async def charges(
    session: aiohttp.ClientSession, stripe_url: str, *, after: int
) -> list[tuple[str, float]]:
    """The reference and time (seconds since the epoch) of each charge in the ledger,
    without the first ``after`` rows.
    """
    address = f"{stripe_url}/_ledger"
    async with session.get(address, params={"after": after}) as answer:
        answer.raise_for_status()
        movements: list[dict[str, Any]] = (await answer.json())["movements"]
    return [
        (row["metadata"]["reference"], datetime.fromisoformat(row["at"]).timestamp())
        for row in movements
        if row["kind"] == "charge"
    ]
