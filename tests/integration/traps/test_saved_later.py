"""Tests of a wallet that PayPal saves only after its answer."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests

from domain.payments.states import Status
from domain.retry import PAYER, METHOD_SAVING
from tests.support.workbench import Workbench


@pytest.mark.parametrize("capture", ["automatic", "manual"])
def test_a_wallet_that_paypal_saves_later_is_found_and_pays_again(
    bench: Workbench, capture: str
) -> None:
    payment_id = bench.pay(
        "paypal",
        payment_method=None,
        return_url="https://shop.example/back",
        setup_future_usage="off_session",
        capture=capture,
    )
    bench.work(payment_id)
    page = bench.fetch(payment_id)["next_action"]["url"]
    agreed = {"outcome": "approve_saved_later"}
    requests.post(page, data=agreed, allow_redirects=False, timeout=10)
    bench.pass_time(PAYER.base_delay)
    paid = bench.work(payment_id)
    assert paid.status in (Status.CAPTURED, Status.AUTHORIZED)
    assert paid.is_settled and bench.fetch(payment_id)["saved_method"] is None
    assert paid.first_operation.due_at == bench.stored(payment_id).due_at is not None
    moved = bench.list_movements(payment_id)
    for _ in range(4):
        bench.pass_time(METHOD_SAVING.base_delay)
        bench.work(payment_id)
    saved = bench.fetch(payment_id)["saved_method"]
    found = bench.stored(payment_id)
    assert saved is not None and found.first_operation.due_at is None
    assert (found.status, bench.list_movements(payment_id)) == (paid.status, moved)
    again = bench.complete_payment(
        "paypal", payment_method=saved["id"], off_session=True
    )
    assert bench.list_movements(again) == [("charge", 1999)]


def test_a_wallet_saved_at_once_needs_no_lookup(bench: Workbench) -> None:
    payment_id = bench.pay(
        "paypal",
        payment_method=None,
        return_url="https://shop.example/back",
        setup_future_usage="off_session",
    )
    bench.work(payment_id)
    page = bench.fetch(payment_id)["next_action"]["url"]
    agreed = {"outcome": "approve"}
    requests.post(page, data=agreed, allow_redirects=False, timeout=10)
    bench.pass_time(PAYER.base_delay)
    assert bench.work(payment_id).due_at is None
    assert bench.fetch(payment_id)["saved_method"] is not None
    bench.pass_time(timedelta(hours=1))
    calls = bench.calls("paypal", "GET")
    bench.work(payment_id)
    assert bench.calls("paypal", "GET") == calls
