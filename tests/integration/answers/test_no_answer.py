"""Tests of calls without an answer and of lookups that find nothing."""

from __future__ import annotations

from typing import Final

import pytest
import requests

from domain.payments.payment import Payment
from domain.payments.states import State
from tests.support.simulator_process import Simulator, eventually
from tests.support.workbench import CHARGES, Workbench

PROVIDERS: Final = ["stripe", "paypal"]
#: The provider's answer for an object that it does not have.
MISSING: Final = {
    "stripe": {"error": {"type": "invalid_request_error", "code": "resource_missing"}},
    "paypal": {
        "name": "RESOURCE_NOT_FOUND",
        "details": [{"issue": "INVALID_RESOURCE_ID"}],
    },
}


def _is_sent_again(bench: Workbench, before: Payment) -> None:
    """Asserts that the same request is sent under the same key and charges once."""
    again = bench.step(before.id).first_operation
    assert again.state is State.SUCCEEDED
    assert before.first_operation.send and again.send
    assert before.first_operation.send.key == again.send.key
    assert bench.list_movements(before.id) == [("charge", 1999)]


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_refused_connection_executes_nothing(bench: Workbench, name: str) -> None:
    bench.complete_payment(
        name
    )  # fetches PayPal's token, so that the charge itself fails
    payment_id = bench.pay(name)
    bench.simulator(name).arm(do="refuse", seconds=2)
    payment = bench.step(payment_id)
    eventually(lambda: _listens(bench.simulator(name)), "it listens again")
    assert (payment.first_operation.state, payment.first_operation.attempts) == (
        State.RETRYING,
        1,
    )
    assert payment.first_operation.error == "not_sent"
    assert bench.list_movements(payment_id) == []
    _is_sent_again(bench, payment)


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_too_slow_answer_leaves_the_operation_unknown(
    bench: Workbench, name: str
) -> None:
    payment_id = bench.pay(name)
    match = {"method": "POST", "path": CHARGES[name]}
    bench.simulator(name).arm(do="delay", seconds=60, when="after", match=match)
    payment = bench.step(payment_id)
    assert (payment.first_operation.state, payment.first_operation.error) == (
        State.UNKNOWN,
        "no_answer",
    )
    assert bench.list_movements(payment_id) == [("charge", 1999)]
    bench.simulator(name).heal()
    _is_sent_again(bench, payment)


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_404_to_a_lookup_proves_nothing(bench: Workbench, name: str) -> None:
    method = "pm_usBankAccount" if name == "stripe" else "vault_pending"
    payment_id = bench.pay(name, payment_method=method)
    before = bench.step(payment_id).first_operation
    assert before.state is State.PENDING
    path = "/v1/" if name == "stripe" else "/v2/"
    match = {"method": "GET", "path": path}
    bench.simulator(name).arm(do="answer", status=404, body=MISSING[name], match=match)
    after = bench.step(payment_id).first_operation
    assert bench.event_types(payment_id)[-2:] == ["lookup.sent", "lookup.answered"]
    assert (after.state, after.refs) == (before.state, before.refs)
    assert after.due_at is not None, "it is looked at again"


def _listens(simulator: Simulator) -> bool:
    try:
        return bool(simulator.get("/_health"))
    except requests.ConnectionError:
        return False
