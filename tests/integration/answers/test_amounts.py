"""Tests of each row of the amounts in docs/providers.md.

The units are literals from the providers' documentation, so that errors of our own
conversions cannot cancel out.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from domain.payments.states import State
from tests.support.workbench import Workbench

#: ISO 4217 minor units, the amount sent, and the amount in the provider's ledger.
TAKEN: Final[dict[str, tuple[int, int | str, int]]] = {
    "stripe: USD": (1999, 1999, 1999),
    "stripe: JPY": (1999, 1999, 1999),
    "stripe: KRW": (70_000, 70_000, 70_000),
    "stripe: KWD": (19_990, 19_990, 19_990),
    "stripe: ISK": (1500, 150_000, 150_000),  # Stripe has two decimals for it
    "stripe: UGX": (5000, 500_000, 500_000),  # and for it
    "stripe: MGA": (500_000, 5000, 5000),  # and none for it
    "stripe: HUF": (2_000_050, 2_000_050, 2_000_050),
    "stripe: IDR": (150_000_000, 150_000_000, 150_000_000),  # about 90 USD
    "paypal: USD": (2000, "20.00", 2000),
    "paypal: JPY": (1999, "1999", 1999),
    "paypal: HUF": (2_000_000, "20000", 2_000_000),
    "paypal: TWD": (10_000, "100", 10_000),
    "paypal: GBP": (5, "0.05", 5),
    "paypal: EUR": (100_000_000, "1000000.00", 100_000_000),
}
#: An amount on hold, a capture of it and a refund of that; the latter as sent; and the
#: amounts in the provider's ledger.
SENT_PARTS: Final[dict[str, tuple[int, int, int, list[int | str], list[int]]]] = {
    "stripe: JPY": (1999, 1500, 7, [1500, 7], [1999, 1500, 7]),
    "stripe: KWD": (19_990, 12_340, 50, [12_340, 50], [19_990, 12_340, 50]),
    "stripe: ISK": (1500, 1200, 7, [120_000, 700], [150_000, 120_000, 700]),
    "paypal: USD": (1999, 1500, 7, ["15.00", "0.07"], [1999, 1500, 7]),
    "paypal: JPY": (1999, 1500, 7, ["1500", "7"], [1999, 1500, 7]),
    "paypal: TWD": (10_000, 9900, 200, ["99", "2"], [10_000, 9900, 200]),
}
#: Amounts that the provider does not take.
REFUSED: Final[dict[str, int]] = {
    "stripe: KWD": 19_995,
    "stripe: MGA": 500_050,
    "paypal: KWD": 19_990,
    "paypal: ISK": 1500,
    "paypal: UGX": 5000,
    "paypal: HUF": 2_000_050,
    "paypal: TWD": 10_001,
}
#: A paid amount, and a part of it that the provider does not take.
PARTS: Final[dict[str, tuple[int, int]]] = {
    "stripe: KWD": (19_990, 11_735),
    "stripe: MGA": (500_000, 150),
    "paypal: HUF": (150_000, 5050),
    "paypal: TWD": (10_000, 5050),
}
#: The smallest amount that is too large, and the limit as shown.
TOO_LARGE: Final[dict[str, tuple[int, str]]] = {
    "stripe: USD": (100_000_000, "999999.99 USD"),
    "stripe: JPY": (1_000_000_000_000, "999999999999 JPY"),
    "stripe: UGX": (1_000_000, "999999 UGX"),
    "stripe: INR": (1_000_000_000, "9999999.99 INR"),
    "stripe: IDR": (1_000_000_000_000, "9999999999.99 IDR"),
    "paypal: JPY": (10**15, "999999999999999 JPY"),
}


@pytest.mark.parametrize("words", TAKEN)
def test_an_amount_is_sent_in_the_providers_unit(bench: Workbench, words: str) -> None:
    provider, currency = words.split(": ")
    amount, sent, at_the_provider = TAKEN[words]
    payment_id = bench.complete_payment(provider, currency=currency, amount=amount)
    assert bench.request(payment_id, "refunds").status_code == 202
    assert bench.step(payment_id).operations[-1].state is State.SUCCEEDED
    for one in bench.stored(payment_id).operations:
        assert one.send and _amount(json.loads(one.send.body)) == sent
    shown = bench.fetch(payment_id)
    assert (shown["amount_captured"], shown["amount_refunded"]) == (amount, amount)
    assert bench.list_movements(payment_id) == [
        ("charge", at_the_provider),
        ("refund", at_the_provider),
    ]


@pytest.mark.parametrize("words", SENT_PARTS)
def test_a_part_is_sent_in_the_providers_unit(bench: Workbench, words: str) -> None:
    provider, currency = words.split(": ")
    amount, taken, back, sent, at_the_provider = SENT_PARTS[words]
    held = bench.complete_payment(
        provider, capture="manual", currency=currency, amount=amount
    )
    assert bench.request(held, "captures", amount=taken, final=True).status_code == 202
    assert bench.step(held).operations[-1].state is State.SUCCEEDED
    assert bench.request(held, "refunds", amount=back).status_code == 202
    assert bench.step(held).operations[-1].state is State.SUCCEEDED
    sends = [one.send for one in bench.stored(held).operations[1:]]
    assert [_amount(json.loads(one.body)) for one in sends if one] == sent
    shown = bench.fetch(held)
    assert (shown["amount_captured"], shown["amount_refunded"]) == (taken, back)
    assert [moved for _, moved in bench.list_movements(held)] == at_the_provider


def _amount(body: Any) -> int | str:
    """The amount in the body of a charge, a capture or a refund."""
    [unit] = body.get("purchase_units", [body])
    amount: Any = unit.get("amount", unit.get("amount_to_capture"))
    found: int | str = amount["value"] if isinstance(amount, dict) else amount
    return found


@pytest.mark.parametrize("words", REFUSED)
def test_an_amount_that_the_provider_does_not_take_is_refused(
    bench: Workbench, words: str
) -> None:
    provider, currency = words.split(": ")
    sent = bench.calls(provider, "POST")
    answer = bench.submit(provider, currency=currency, amount=REFUSED[words])
    assert answer.status_code == 422
    assert bench.calls(provider, "POST") == sent


@pytest.mark.parametrize("words", PARTS)
def test_a_part_that_the_provider_does_not_take_is_refused_by_the_api(
    bench: Workbench, words: str
) -> None:
    provider, currency = words.split(": ")
    amount, part = PARTS[words]
    asked: dict[str, Any] = {"currency": currency, "amount": amount}
    held = bench.complete_payment(provider, capture="manual", **asked)
    paid = bench.complete_payment(provider, **asked)
    for payment_id, job in ((held, "captures"), (paid, "refunds")):
        before, sent = bench.stored(payment_id), bench.calls(provider, "POST")
        answer = bench.request(payment_id, job, amount=part)
        assert answer.status_code == 422, answer.text
        [fault] = answer.json()["errors"]
        assert fault["pointer"] == "/amount" and currency in fault["detail"]
        assert bench.stored(payment_id) == before
        assert bench.request(payment_id, job).status_code == 202
        bench.step(payment_id)
        assert bench.stored(payment_id).operations[-1].state is State.SUCCEEDED
        assert bench.calls(provider, "POST") == sent + 1


def test_a_remainder_that_the_provider_does_not_take_is_refused_by_the_api(
    bench: Workbench,
) -> None:
    payment_id = bench.complete_payment("paypal", currency="HUF", amount=150_000)
    # PayPal captured less, with a fraction of a forint.
    bench.database.payments.update_one(
        {"_id": payment_id}, {"$set": {"operations.0.moved": 5050}}
    )
    answer = bench.request(payment_id, "refunds")
    assert answer.status_code == 422, answer.text
    assert "50.50 HUF" in answer.json()["errors"][0]["detail"]
    assert bench.request(payment_id, "refunds", amount=5000).status_code == 202


@pytest.mark.parametrize("words", TOO_LARGE)
def test_an_amount_over_the_providers_limit_is_refused_by_the_api(
    bench: Workbench, words: str
) -> None:
    provider, currency = words.split(": ")
    amount, limit = TOO_LARGE[words]
    sent = bench.calls(provider, "POST")
    answer = bench.submit(provider, currency=currency, amount=amount)
    assert answer.status_code == 422, answer.text
    [fault] = answer.json()["errors"]
    assert fault["pointer"] == "/amount" and limit in fault["detail"]
    assert bench.calls(provider, "POST") == sent


def test_an_amount_under_stripes_minimum_is_rejected_by_stripe(
    bench: Workbench,
) -> None:
    payment_id = bench.pay("stripe", amount=49)
    refused = bench.step(payment_id).first_operation
    assert (refused.state, refused.error) == (State.REJECTED, "amount_too_small")
    assert bench.list_movements(payment_id) == []
