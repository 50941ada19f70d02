"""The Stripe of the benchmark: nginx where it is installed, and the simulator."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import requests

from bench import stub
from bench.stub import Stub

KINDS: Final = (False, True) if stub.has_nginx() else (False,)
LATENCY: Final = 0.05


def charge(stripe: Stub, reference: str, key: str) -> requests.Response:
    """The answer to a payment of $19.99 with its charge expanded."""
    return requests.post(
        f"{stripe.url}/v1/payment_intents",
        data={
            "amount": "1999",
            "currency": "usd",
            "confirm": "true",
            "payment_method": "pm_card_visa",
            "automatic_payment_methods[enabled]": "true",
            "automatic_payment_methods[allow_redirects]": "never",
            "metadata[reference]": reference,
            "expand[0]": "latest_charge.balance_transaction",
        },
        headers={
            "Authorization": "Bearer sk_test_simulator",
            "Idempotency-Key": key,
        },
        timeout=10,
    )


def ledger(stripe: Stub, after: int = 0) -> list[tuple[str, float]]:
    """The charges in the ledger."""

    async def read() -> list[tuple[str, float]]:
        async with aiohttp.ClientSession() as session:
            return await stub.charges(session, stripe.url, after=after)

    return asyncio.run(read())


@pytest.mark.parametrize("nginx", KINDS)
def test_stub_answers_with_the_charge_of_the_request(
    nginx: bool, tmp_path: Path
) -> None:
    with stub.serving(tmp_path / "stripe", LATENCY, nginx=nginx) as stripe:
        start = time.time()
        answer = charge(stripe, "order-1", "key-1")
        end = time.time()
        [(reference, at)] = ledger(stripe)
    intent: dict[str, Any] = answer.json()
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 1999)
    assert intent["metadata"] == {"reference": "order-1"}
    found = intent["latest_charge"]
    assert found["payment_intent"] == intent["id"]
    assert found["balance_transaction"]["source"] == found["id"]
    assert found["balance_transaction"]["fee"] == 88
    assert answer.headers["Request-Id"].startswith("req_")
    assert reference == "order-1"
    assert start + LATENCY - 0.01 < at < end + 0.01


@pytest.mark.parametrize("nginx", KINDS)
def test_stub_charges_once_for_an_idempotency_key(nginx: bool, tmp_path: Path) -> None:
    with stub.serving(tmp_path / "stripe", LATENCY, nginx=nginx) as stripe:
        first, again = (charge(stripe, "order-1", "key-1") for _ in range(2))
        other = charge(stripe, "order-1", "key-2")
        rows, later = ledger(stripe), ledger(stripe, after=1)
    assert first.json()["id"] == again.json()["id"] != other.json()["id"]
    assert [reference for reference, _ in rows] == ["order-1", "order-1"]
    assert later == rows[1:]
