"""Each row of the amounts in docs/providers.md: what a provider is really sent.

The units are written out by hand, from the providers' documentation: mistakes that
cancel out in our own code do not here.
"""

from __future__ import annotations

from typing import Final

import pytest

from domain.states import State
from tests.integration.traps.workbench import Workbench

#: Minor units of ISO 4217, and what the provider's ledger counts.
TAKEN: Final[dict[str, tuple[int, int]]] = {
    "stripe: USD": (1999, 1999),
    "stripe: JPY": (1999, 1999),
    "stripe: KWD": (19_990, 19_990),
    "stripe: ISK": (1500, 150_000),  # Stripe has two decimals for it
    "stripe: UGX": (5000, 500_000),  # and for it
    "stripe: HUF": (2_000_050, 2_000_050),
    "paypal: USD": (1999, 1999),
    "paypal: JPY": (1999, 1999),
    "paypal: HUF": (2_000_000, 2_000_000),
    "paypal: TWD": (10_000, 10_000),
}
#: What it takes in no form.
REFUSED: Final[dict[str, int]] = {
    "stripe: KWD": 19_995,
    "paypal: KWD": 19_990,
    "paypal: ISK": 1500,
    "paypal: UGX": 5000,
    "paypal: HUF": 2_000_050,
    "paypal: TWD": 10_001,
}


@pytest.mark.parametrize("words", TAKEN)
def test_an_amount_that_is_taken(bench: Workbench, words: str) -> None:
    provider, currency = words.split(": ")
    amount, at_the_provider = TAKEN[words]
    payment_id = bench.paid(provider, currency=currency, amount=amount)
    assert bench.ask(payment_id, "refunds").status_code == 202
    assert bench.step(payment_id).operations[-1].state is State.SUCCEEDED
    shown = bench.shown(payment_id)
    assert (shown["amount_captured"], shown["amount_refunded"]) == (amount, amount)
    assert bench.moved(payment_id) == [
        ("charge", at_the_provider),
        ("refund", at_the_provider),
    ]


@pytest.mark.parametrize("words", REFUSED)
def test_an_amount_that_is_not_taken(bench: Workbench, words: str) -> None:
    provider, currency = words.split(": ")
    sent = bench.calls(provider, "POST")
    answer = bench.submit(provider, currency=currency, amount=REFUSED[words])
    assert answer.status_code == 422
    assert bench.calls(provider, "POST") == sent
