"""Tests of fees and saved methods, whose errors never fail an answer."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from domain.money import Fee
from domain.payments.answer import SavedMethod
from providers.paypal.responses import parse_paypal_fee, parse_paypal_saved_method
from providers.stripe.responses import (
    parse_stripe_fee,
    parse_stripe_part_fee,
    parse_stripe_saved_method,
)
from providers.stripe.external_changes import parse_external_captures
from tests.suites.samples import authorized


def line(fee: object, currency: object = "usd", amount: int = 1999) -> Any:
    """A charge or refund with its balance transaction."""
    of = SimpleNamespace(type="charge", fee=fee, currency=currency, amount=amount)
    return SimpleNamespace(balance_transaction=of, currency="usd")


def usd(value: object) -> dict[str, object]:
    """An amount as PayPal writes it."""
    return {"currency_code": "USD", "value": value}


@pytest.mark.parametrize(
    ("holder", "fee"),
    [
        (line(88), Fee(88, "USD")),
        (line(0), Fee(0, "USD")),
        (line(-88), Fee(-88, "USD")),
        (line(81, "eur"), Fee(81, "EUR")),
        (line(500, "isk"), Fee(5, "ISK")),
        (SimpleNamespace(balance_transaction="txn_1"), None),
        (SimpleNamespace(balance_transaction=None), None),
        ("ch_1", None),
        (None, None),
    ],
)
def test_stripes_fee_is_read_from_its_balance_line(
    holder: Any, fee: Fee | None
) -> None:
    assert parse_stripe_fee(holder) == fee


@pytest.mark.parametrize(
    ("holder", "fee"),
    [
        (line(88, amount=700), Fee(88, "USD")),
        (line(88, amount=500), None),
        (line(88, "eur", amount=700), None),
    ],
)
def test_the_fee_of_one_of_several_captures_is_read_from_its_own_line(
    holder: Any, fee: Fee | None
) -> None:
    assert parse_stripe_fee(holder, part=700) == fee


def test_a_part_has_the_fee_of_a_line_of_its_amount() -> None:
    lines = [line(44, amount=500), line(31, "eur", amount=700), line(88, amount=700)]
    of = [one.balance_transaction for one in lines]
    assert parse_stripe_part_fee(lambda: of, 700, "usd") == Fee(88, "USD")
    assert parse_stripe_part_fee(lambda: of, 900, "usd") is None
    # A dispute's reinstatement is not a capture.
    back = SimpleNamespace(type="adjustment", fee=0, currency="usd", amount=900)
    assert parse_stripe_part_fee(lambda: [*of, back], 900, "usd") is None


@pytest.mark.parametrize(
    ("movement", "fee"),
    [
        ({"seller_receivable_breakdown": {"paypal_fee": usd("1.05")}}, 105),
        ({"seller_payable_breakdown": {"paypal_fee": usd("0.52")}}, -52),
        ({"seller_payable_breakdown": {"paypal_fee": usd("0.00")}}, 0),
        ({"seller_receivable_breakdown": {}}, None),
        ({}, None),
    ],
)
def test_paypals_fee_is_positive_for_a_capture_and_negative_for_a_refund(
    movement: dict[str, Any], fee: int | None
) -> None:
    assert parse_paypal_fee(movement) == (None if fee is None else Fee(fee, "USD"))


@pytest.mark.parametrize(
    ("intent", "saved"),
    [
        (
            SimpleNamespace(
                payment_method="pm_1", customer="cus_1", setup_future_usage="on_session"
            ),
            SavedMethod("pm_1", "cus_1"),
        ),
        (
            SimpleNamespace(
                payment_method=SimpleNamespace(id="pm_1"),
                customer=None,
                setup_future_usage="off_session",
            ),
            SavedMethod("pm_1"),
        ),
        (SimpleNamespace(payment_method="pm_1", setup_future_usage=None), None),
        (SimpleNamespace(payment_method=None, setup_future_usage="on_session"), None),
    ],
)
def test_a_saved_method_of_stripe_is_that_of_the_paid_intent(
    intent: Any, saved: SavedMethod | None
) -> None:
    assert parse_stripe_saved_method(intent) == saved


@pytest.mark.parametrize(
    ("vault", "saved"),
    [
        ({"id": "tok", "customer": {"id": "cus"}}, SavedMethod("tok", "cus")),
        ({"id": "tok"}, SavedMethod("tok")),
        ({"status": "APPROVED"}, None),
        (None, None),
    ],
)
def test_a_saved_wallet_is_read_from_the_paypal_order(
    vault: object, saved: SavedMethod | None
) -> None:
    order = {"payment_source": {"paypal": {"attributes": {"vault": vault}}}}
    assert parse_paypal_saved_method(order) == saved


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (parse_stripe_fee, line("88")),
        (parse_stripe_fee, line(88, "xyz")),
        (parse_stripe_fee, line(50, "isk")),
        (
            parse_paypal_fee,
            {"seller_receivable_breakdown": {"paypal_fee": usd("1,05")}},
        ),
        (parse_paypal_fee, {"seller_receivable_breakdown": {"paypal_fee": "1.05"}}),
        (parse_paypal_fee, {"seller_payable_breakdown": ["1.05"]}),
        (
            parse_paypal_saved_method,
            {"payment_source": {"paypal": {"attributes": "x"}}},
        ),
        (
            parse_stripe_saved_method,
            SimpleNamespace(payment_method="", setup_future_usage="on_session"),
        ),
    ],
)
def test_an_unreadable_detail_is_omitted_and_logged(
    read: Any, given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert read(given) is None
    [record] = caplog.records
    assert record.message == "secondary_unreadable"
    assert record.exc_info is None


@pytest.mark.parametrize(("amount", "fee"), [(700, Fee(88, "USD")), (500, None)])
def test_an_external_capture_has_the_fee_of_its_intent(
    amount: int, fee: Fee | None
) -> None:
    charge = line(88, amount=amount)
    charge.id = "ch_1"
    intent: Any = SimpleNamespace(
        id="pi_1",
        amount_received=700,
        currency="usd",
        status="succeeded",
        latest_charge=charge,
        metadata=None,
    )
    [found] = parse_external_captures(authorized(), intent)
    assert (found.money.minor, found.fee) == (700, fee)
