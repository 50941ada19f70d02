"""PayPal's search of transactions: its contents, pages and delay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.simulator_process import (
    PayPalCaller,
    Simulator,
    captures_of,
    issue_of,
    new_key,
    order_body,
    simulator,
)

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def reporting() -> Iterator[Simulator]:
    """A PayPal of this module's own, for its reports are made to be late."""
    with simulator("paypal") as running:
        yield running


@pytest.fixture
def merchant(reporting: Simulator) -> PayPalCaller:
    """A merchant with a capture of 19.99, a refund of 5.00 and a hold."""
    caller = PayPalCaller(reporting)
    order = caller.order(custom_id="pay-1", invoice_id=new_key()).json()
    path = f"/v2/payments/captures/{captures_of(order)[0]['id']}/refund"
    five = {"amount": {"currency_code": "USD", "value": "5.00"}, "custom_id": "pay-1"}
    assert caller.call("POST", path, five, key=new_key()).status_code == 201
    hold = order_body("vault_ok", intent="AUTHORIZE")
    caller.call("POST", "/v2/checkout/orders", hold, key=new_key())
    return caller


def search(merchant: PayPalCaller, **query: object) -> Any:
    """The answer to a search of yesterday and today."""
    now = datetime.now(timezone.utc)
    wanted = {
        "start_date": (now - DAY).isoformat(timespec="seconds"),
        "end_date": (now + DAY).isoformat(timespec="seconds"),
        **query,
    }
    return merchant.call("GET", f"/v1/reporting/transactions?{urlencode(wanted)}")


def infos(answer: Any) -> list[dict[str, Any]]:
    """The transactions of one page."""
    return [one["transaction_info"] for one in answer.json()["transaction_details"]]


def test_a_search_shows_captures_refunds_and_holds_with_their_names(
    merchant: PayPalCaller,
) -> None:
    capture, refund, hold = infos(search(merchant))
    assert (capture["transaction_event_code"], capture["custom_field"]) == (
        "T0006",
        "pay-1",
    )
    assert capture["transaction_amount"]["value"] == "19.99"
    assert capture["fee_amount"]["value"] == "-1.19"
    assert (refund["transaction_event_code"], refund["custom_field"]) == (
        "T1107",
        "pay-1",
    )
    assert refund["transaction_amount"]["value"] == "-5.00"
    assert refund["paypal_reference_id"] == capture["transaction_id"]
    assert hold["transaction_event_code"] == "T1300"


def test_a_search_comes_in_pages(merchant: PayPalCaller) -> None:
    first = search(merchant, page_size=2)
    assert (first.json()["total_items"], first.json()["total_pages"]) == (3, 2)
    second = search(merchant, page_size=2, page=2)
    ids = [one["transaction_id"] for one in infos(first) + infos(second)]
    assert ids == [one["transaction_id"] for one in infos(search(merchant))]


@pytest.mark.parametrize(
    ("query", "issue"),
    [
        ({"start_date": "yesterday"}, "INVALID_PARAMETER_SYNTAX"),
        ({"start_date": "2026-01-01T00:00:00"}, "INVALID_PARAMETER_SYNTAX"),
        ({"start_date": "2020-01-01T00:00:00Z"}, "INVALID_PARAMETER_VALUE"),
        ({"page_size": 501}, "INVALID_PARAMETER_VALUE"),
        ({"page": 0}, "INVALID_PARAMETER_VALUE"),
    ],
)
def test_an_invalid_search_is_refused(
    merchant: PayPalCaller, query: dict[str, object], issue: str
) -> None:
    answer = search(merchant, **query)
    assert (answer.status_code, issue_of(answer)) == (400, issue)


def test_a_merchant_sees_its_own_transactions_alone(
    merchant: PayPalCaller, reporting: Simulator
) -> None:
    assert infos(search(PayPalCaller(reporting))) == []


def test_a_late_report_lacks_recent_transactions(
    merchant: PayPalCaller, reporting: Simulator
) -> None:
    reporting.post("/_drift", {"do": "report_late", "seconds": 3600})
    try:
        assert infos(search(merchant)) == []
    finally:
        reporting.post("/_drift", {"do": "report_late", "seconds": 0})
    assert len(infos(search(merchant))) == 3
