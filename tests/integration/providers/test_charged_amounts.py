"""The amount at the simulator: mistakes that cancel out in our own code do not here.

What a simulator counts is written out by hand, from the providers' documentation.
"""

from __future__ import annotations

import pytest
from tests.integration.providers.simulator_control import (
    ORDERS,
    MakePayPal,
    Simulator,
    a_payment,
    written_down,
)
from tests.integration.providers.wire import Wire

from domain.answer import Verdict
from domain.money import Money
from providers.stripe import Stripe


@pytest.mark.parametrize(
    ("amount", "at_stripe"),
    [
        (Money(1999, "USD"), 1999),  # $19.99
        (Money(1999, "JPY"), 1999),  # 1,999 yen
        (Money(19_990, "KWD"), 19_990),  # 19.990 dinars
        (Money(1500, "ISK"), 150_000),  # 1,500 krónur, as if they had cents
        (Money(5000, "UGX"), 500_000),  # 5,000 shillings, as if they had cents
        (Money(2_000_000, "HUF"), 2_000_000),  # 20,000.00 forints
        (Money(70_000, "KRW"), 70_000),  # 70,000 won
    ],
    ids=str,
)
def test_the_amount_at_stripe(
    stripe: Stripe, stripe_simulator: Simulator, amount: Money, at_stripe: int
) -> None:
    payment = written_down(stripe, a_payment(amount))
    answer = stripe.send(payment)
    [row] = stripe_simulator.movements(payment)
    assert (row["amount"], row["currency"]) == (at_stripe, amount.currency)
    assert answer.verdict is Verdict.SUCCEEDED
    assert answer.moved == amount


@pytest.mark.parametrize(
    ("amount", "value", "in_minor_units"),
    [
        (Money(1999, "USD"), "19.99", 1999),
        (Money(5, "EUR"), "0.05", 5),
        (Money(1999, "JPY"), "1999", 1999),
        (Money(2_000_000, "HUF"), "20000", 2_000_000),
        (Money(10_000, "TWD"), "100", 10_000),
    ],
    ids=str,
)
def test_the_amount_at_paypal(
    make_paypal: MakePayPal,
    paypal_wire: Wire,
    paypal_simulator: Simulator,
    amount: Money,
    value: str,
    in_minor_units: int,
) -> None:
    paypal = make_paypal(paypal_wire.url)
    payment = written_down(paypal, a_payment(amount, method="vault_ok"))
    answer = paypal.send(payment)
    [row] = paypal_simulator.movements(payment)
    [order] = [r for r in paypal_wire.requests if r.path == ORDERS]
    assert f'"value": "{value}"'.encode() in order.body
    assert (row["amount"], row["currency"]) == (in_minor_units, amount.currency)
    assert answer.verdict is Verdict.SUCCEEDED
    assert answer.moved == amount
