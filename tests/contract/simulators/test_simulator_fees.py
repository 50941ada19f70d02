"""The fees of both simulated providers: a percentage and a fixed part."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.support.simulator_process import (
    PayPalCaller,
    Simulator,
    captures_of,
    pay_by_card,
)

DAY = 86400


@pytest.mark.parametrize(
    ("amount", "currency", "fee"),
    [
        (530_000, "isk", 15_400),  # 153.70 krónur; there is no part of one
        (1999, "usd", 88),  # 57.97 and 30
        (10_000, "usd", 320),
        (1999, "eur", 83),
        (1999, "gbp", 78),
        (2000, "jpy", 58),
    ],
)
def test_stripe_shows_the_fee_and_the_net_where_the_charge_is_expanded(
    stripe_client: stripe.StripeClient, amount: int, currency: str, fee: int
) -> None:
    intent = pay_by_card(
        stripe_client,
        amount=amount,
        currency=currency,
        expand=["latest_charge.balance_transaction"],
    )
    charge: Any = intent.latest_charge
    line = charge.balance_transaction
    assert (line.amount, line.fee, line.net) == (amount, fee, amount - fee)
    [detail] = line.fee_details
    assert (detail.amount, detail.currency, detail.type) == (
        fee,
        currency,
        "stripe_fee",
    )
    read: Any = stripe_client.v1.charges.retrieve(
        charge.id, {"expand": ["balance_transaction"]}
    )
    assert read.balance_transaction.net == line.net


def test_stripe_keeps_the_fee_of_a_refunded_charge_and_reverses_a_failed_refund(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    intent = pay_by_card(stripe_client, "pm_card_refundFail", amount=10_000)
    refund: Any = stripe_client.v1.refunds.create(
        {"payment_intent": intent.id, "expand": ["balance_transaction"]}
    )
    line = refund.balance_transaction
    assert (line.amount, line.fee, line.net) == (-10_000, 0, -10_000)
    stripe_simulator.advance(DAY + 1)
    stripe_client.v1.refunds.retrieve(refund.id)
    lines = stripe_client.v1.balance_transactions.list().data
    assert [(each.type, each.amount) for each in lines] == [
        ("refund_failure", 10_000),
        ("refund", -10_000),
        ("charge", 10_000),
    ]
    assert sum(each.net for each in lines) == 10_000 - 320


@pytest.mark.parametrize(
    ("value", "currency", "fee", "net"),
    [
        ("19.99", "USD", "1.19", "18.80"),  # 0.6977 and 0.49
        ("100.00", "USD", "3.98", "96.02"),
        ("100.00", "EUR", "3.88", "96.12"),
        ("2000", "JPY", "119", "1881"),
        ("0.30", "USD", "0.30", "0.00"),
    ],
)
def test_paypal_shows_the_fee_and_the_net_of_a_capture(
    paypal: PayPalCaller, value: str, currency: str, fee: str, net: str
) -> None:
    [capture] = captures_of(paypal.order(value=value, currency=currency).json())
    breakdown = capture["seller_receivable_breakdown"]
    shown = {name: money["value"] for name, money in breakdown.items()}
    assert shown == {"gross_amount": value, "paypal_fee": fee, "net_amount": net}
