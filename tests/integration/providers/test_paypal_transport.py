"""Tests of calls to PayPal: connections, timeouts, headers and lost calls."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from domain.errors import NotSent, OutcomeUnknown
from domain.payments.answer import Verdict
from domain.payments.payment import Payment
from providers.paypal.adapter import PayPal
from tests.suites.accounts import a_payment, with_recorded_send
from tests.support.recording_server import Canned, Wire
from tests.support.simulator_control import (
    ORDERS,
    TOKEN,
    Calls,
    MakePayPal,
    Simulator,
    set_misleading_environment,
)
from tests.support.simulator_process import eventually


def charge_of(paypal: PayPal) -> Payment:
    """A payment by a vaulted token, its send written down."""
    return with_recorded_send(paypal, a_payment(method="vault_ok"))


def test_an_order_whose_connection_is_refused_after_the_token_was_not_sent(
    make_paypal: MakePayPal, paypal_simulator: Simulator
) -> None:
    wire = Wire(paypal_simulator.url)
    created = {"id": "1ORDER", "status": "CREATED"}
    wire.canned[ORDERS] = [Canned(201, created, close=True)]
    paypal = make_paypal(wire.url)
    paypal.send(charge_of(paypal))
    eventually(lambda: wire.open_connections == 0, "the connection is closed")
    wire.close()
    with pytest.raises(NotSent) as caught:
        paypal.send(charge_of(paypal))
    assert caught.value.detail == "not_sent"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    make_paypal: MakePayPal, paypal_wire: Wire, paypal_simulator: Simulator, status: int
) -> None:
    away = {"Location": f"{paypal_simulator.url}{ORDERS}"}
    paypal_wire.canned[ORDERS] = [Canned(status, b"", away)]
    paypal = make_paypal(paypal_wire.url)
    payment = charge_of(paypal)
    with pytest.raises(OutcomeUnknown) as caught:
        paypal.send(payment)
    assert caught.value.detail == f"http_{status}"
    assert paypal_wire.count(ORDERS) == 1
    assert paypal_simulator.movements(payment) == []


def test_one_connection_serves_all_calls_and_that_of_the_token(
    make_paypal: MakePayPal, paypal_wire: Wire
) -> None:
    paypal = make_paypal(paypal_wire.url)
    for _ in range(4):
        assert paypal.send(charge_of(paypal)).verdict is Verdict.SUCCEEDED
    assert len(paypal_wire.requests) == 5
    assert paypal_wire.connections == 1


def test_neither_a_proxy_nor_a_netrc_of_the_environment_is_used(
    make_paypal: MakePayPal,
    paypal_wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    set_misleading_environment(monkeypatch, tmp_path)
    paypal = make_paypal(paypal_wire.url)
    assert paypal.send(charge_of(paypal)).verdict is Verdict.SUCCEEDED
    asked, order = paypal_wire.requests
    assert order.headers["Authorization"].startswith("Bearer ")


def test_the_stored_request_arrives_under_its_key(
    make_paypal: MakePayPal, paypal_wire: Wire, paypal_simulator: Simulator
) -> None:
    paypal = make_paypal(paypal_wire.url)
    payment = with_recorded_send(
        paypal, a_payment(method="vault_ok", description="Zwölf Äpfel & eine Birne")
    )
    paypal.send(payment)
    [order] = [r for r in paypal_wire.requests if r.path == ORDERS]
    [row] = paypal_simulator.movements(payment)
    send = payment.first_operation.send
    assert send is not None
    assert json.loads(order.body) == json.loads(send.body)
    assert order.headers["PayPal-Request-Id"] == send.key == row["key"]
    assert order.headers["Prefer"] == "return=representation"
    assert order.headers["Content-Type"] == "application/json"
    assert row["metadata"] == {
        "custom_id": payment.id,
        "invoice_id": payment.first_operation.id,
    }


def test_each_call_is_reported_without_ids(
    paypal: PayPal, paypal_simulator: Simulator, calls: Calls
) -> None:
    paypal.send(charge_of(paypal))
    paypal.send(with_recorded_send(paypal, a_payment(method="vault_declined")))
    order = f"POST {ORDERS}"
    assert calls.seen == [(f"POST {TOKEN}", "2xx"), (order, "2xx"), (order, "4xx")]


def test_no_credential_and_no_token_is_logged_at_any_level(
    make_paypal: MakePayPal,
    paypal_wire: Wire,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("", "paypalrestsdk", "paypalrestsdk.api", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, name)
    paypal = make_paypal(paypal_wire.url)
    paypal.send(charge_of(paypal))
    printed = capfd.readouterr()
    output = caplog.text + printed.out + printed.err
    secrets = [r.headers["Authorization"].split()[1] for r in paypal_wire.requests]
    assert len(set(secrets)) == 2
    assert "connectionpool" in caplog.text
    for secret in [*secrets, "paypal-secret", "vault_ok"]:
        assert secret not in output
