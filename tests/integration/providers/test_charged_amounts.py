"""The amount at the simulator: mistakes that cancel out in our own code do not here.

What a simulator counts is written out by hand, from the providers' documentation.
"""

from __future__ import annotations

import json

import pytest

from domain.money import Money
from domain.payments.answer import Verdict
from providers.stripe.adapter import Stripe
from tests.suites.accounts import a_payment, capture, refund, written_down
from tests.support.provider_accounts import PAYPAL_METHODS, STRIPE_METHODS, Account
from tests.support.recording_server import Wire
from tests.support.simulator_control import ORDERS, MakePayPal, Simulator


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


def in_parts(account: Account, held: Money, taken: int, back: int) -> list[int]:
    """What the ledger counts of a hold, a capture of it and a refund of that."""
    payment = account.held(amount=held)
    payment = account.done(capture(payment, taken, final=True))
    payment = account.done(refund(payment, back))
    assert (payment.authorized, payment.captured) == (held.minor, taken)
    assert payment.refunded == back
    for operation in payment.operations:
        seen = account.look_up(payment, operation).moved
        assert seen == Money(operation.amount, held.currency)
    rows = account.simulator.movements(payment)
    assert {row["currency"] for row in rows} == {held.currency}
    return [row["amount"] for row in rows]


@pytest.mark.parametrize(
    ("held", "taken", "back", "at_stripe"),
    [
        (Money(1999, "USD"), 1500, 7, [1999, 1500, 7]),
        (Money(1999, "JPY"), 1500, 7, [1999, 1500, 7]),
        (Money(19_990, "KWD"), 12_340, 50, [19_990, 12_340, 50]),
        (Money(1500, "ISK"), 1200, 7, [150_000, 120_000, 700]),
        (Money(2_000_000, "HUF"), 1_800_050, 5, [2_000_000, 1_800_050, 5]),
    ],
    ids=str,
)
def test_the_amounts_of_a_capture_and_a_refund_at_stripe(
    stripe: Stripe,
    stripe_simulator: Simulator,
    held: Money,
    taken: int,
    back: int,
    at_stripe: list[int],
) -> None:
    account = Account(stripe, STRIPE_METHODS, stripe_simulator)
    assert in_parts(account, held, taken, back) == at_stripe


@pytest.mark.parametrize(
    ("held", "taken", "back", "values", "in_minor_units"),
    [
        (Money(1999, "USD"), 1500, 7, ["15.00", "0.07"], [1999, 1500, 7]),
        (Money(1999, "JPY"), 1500, 7, ["1500", "7"], [1999, 1500, 7]),
        (
            Money(2_000_000, "HUF"),
            1_800_000,
            100,
            ["18000", "1"],
            [2_000_000, 1_800_000, 100],
        ),
        (Money(10_000, "TWD"), 9900, 200, ["99", "2"], [10_000, 9900, 200]),
    ],
    ids=str,
)
def test_the_amounts_of_a_capture_and_a_refund_at_paypal(
    make_paypal: MakePayPal,
    paypal_wire: Wire,
    paypal_simulator: Simulator,
    held: Money,
    taken: int,
    back: int,
    values: list[str],
    in_minor_units: list[int],
) -> None:
    paypal = make_paypal(paypal_wire.url)
    account = Account(paypal, PAYPAL_METHODS, paypal_simulator)
    assert in_parts(account, held, taken, back) == in_minor_units
    sent = [
        json.loads(request.body)["amount"]
        for request in paypal_wire.requests
        if request.path.endswith(("/capture", "/refund"))
    ]
    assert [amount["value"] for amount in sent] == values
    assert {amount["currency_code"] for amount in sent} == {held.currency}
