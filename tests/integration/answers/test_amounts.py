"""Each row of the amounts in docs/providers.md: what a provider is really sent.

The units are written out by hand, from the providers' documentation: mistakes that
cancel out in our own code do not here.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from domain.states import State
from tests.integration.traps.workbench import Workbench

#: Minor units of ISO 4217, what the provider is sent, and what its ledger counts.
TAKEN: Final[dict[str, tuple[int, int | str, int]]] = {
    "stripe: USD": (1999, 1999, 1999),
    "stripe: JPY": (1999, 1999, 1999),
    "stripe: KWD": (19_990, 19_990, 19_990),
    "stripe: ISK": (1500, 150_000, 150_000),  # Stripe has two decimals for it
    "stripe: UGX": (5000, 500_000, 500_000),  # and for it
    "stripe: MGA": (500_000, 5000, 5000),  # and none for it
    "stripe: HUF": (2_000_050, 2_000_050, 2_000_050),
    "paypal: USD": (2000, "20.00", 2000),
    "paypal: JPY": (1999, "1999", 1999),
    "paypal: HUF": (2_000_000, "20000", 2_000_000),
    "paypal: TWD": (10_000, "100", 10_000),
}
#: What it takes in no form.
REFUSED: Final[dict[str, int]] = {
    "stripe: KWD": 19_995,
    "stripe: MGA": 500_050,
    "paypal: KWD": 19_990,
    "paypal: ISK": 1500,
    "paypal: UGX": 5000,
    "paypal: HUF": 2_000_050,
    "paypal: TWD": 10_001,
}


@pytest.mark.parametrize("words", TAKEN)
def test_an_amount_that_is_taken(bench: Workbench, words: str) -> None:
    provider, currency = words.split(": ")
    amount, sent, at_the_provider = TAKEN[words]
    payment_id = bench.paid(provider, currency=currency, amount=amount)
    assert bench.ask(payment_id, "refunds").status_code == 202
    assert bench.step(payment_id).operations[-1].state is State.SUCCEEDED
    for one in bench.stored(payment_id).operations:
        assert one.send and _amount(json.loads(one.send.body)) == sent
    shown = bench.shown(payment_id)
    assert (shown["amount_captured"], shown["amount_refunded"]) == (amount, amount)
    assert bench.moved(payment_id) == [
        ("charge", at_the_provider),
        ("refund", at_the_provider),
    ]


def _amount(body: Any) -> int | str:
    """Of a charge or a refund, as it is sent."""
    [unit] = body.get("purchase_units", [body])
    amount: Any = unit["amount"] if "amount" in unit else None
    found: int | str = amount["value"] if isinstance(amount, dict) else amount
    return found


@pytest.mark.parametrize("words", REFUSED)
def test_an_amount_that_is_not_taken(bench: Workbench, words: str) -> None:
    provider, currency = words.split(": ")
    sent = bench.calls(provider, "POST")
    answer = bench.submit(provider, currency=currency, amount=REFUSED[words])
    assert answer.status_code == 422
    assert bench.calls(provider, "POST") == sent
