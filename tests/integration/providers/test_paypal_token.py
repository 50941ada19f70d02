"""Tests of the access token: requested on demand, once for concurrent calls."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.account import Account
from domain.errors import (
    Misconfigured,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.answer import Answer, Verdict
from domain.payments.dispute import DisputeUpdate
from domain.payments.submission import ProviderName
from providers.paypal.adapter import PayPal
from runtime import container
from runtime.settings import Settings
from tests.suites.accounts import a_payment, with_recorded_send
from tests.support.recording_server import (
    PATIENCE,
    Canned,
    Request,
    Wire,
    refusing_port,
)
from tests.support.simulator_control import ORDERS, TOKEN, MakePayPal, Simulator
from tests.support.simulator_process import eventually

#: Concurrent callers that need a token.
CALLERS = 12


def grant(token: object = "T", expires_in: object = 32_400) -> dict[str, Any]:
    """The answer to a request for a token."""
    return {"access_token": token, "token_type": "Bearer", "expires_in": expires_in}


@pytest.fixture
def ours(make_paypal: MakePayPal, paypal_wire: Wire) -> PayPal:
    """An adapter whose every call is recorded."""
    return make_paypal(paypal_wire.url)


def send(paypal: PayPal) -> Answer:
    """Charge a new payment."""
    return paypal.send(with_recorded_send(paypal, a_payment(method="vault_ok")))


def paths(wire: Wire) -> list[str]:
    """The calls, in order."""
    return [request.path for request in wire.requests]


def test_all_calls_of_an_account_share_one_token(
    settings: Settings, paypal_wire: Wire
) -> None:
    settings = replace(settings, paypal_api_base=paypal_wire.url)
    account, now = Account.own(ProviderName.PAYPAL), datetime.now(UTC)
    with ExitStack() as stack:
        database = container.open_database(settings)
        stack.callback(database.client.close)
        ours = container.open_adapters(settings, database, connections=1).for_account(
            account
        )
        written = with_recorded_send(ours.provider, a_payment(method="vault_ok"))
        assert ours.provider.send(written).verdict is Verdict.SUCCEEDED
        assert ours.statement.list_page(now - timedelta(minutes=1), now, None)
        with pytest.raises(OutcomeUnknown):
            ours.disputes.read(DisputeUpdate(account, "PP-D-none"))
    called = paths(paypal_wire)
    assert called.count(TOKEN) == 1 and len(called) == 4


def test_a_token_serves_many_calls(ours: PayPal, paypal_wire: Wire) -> None:
    for _ in range(3):
        assert send(ours).verdict is Verdict.SUCCEEDED
    assert paths(paypal_wire) == [TOKEN, ORDERS, ORDERS, ORDERS]


def test_the_token_call_has_the_credentials_and_no_data_of_the_payment(
    ours: PayPal, paypal_wire: Wire
) -> None:
    send(ours)
    asked, order = paypal_wire.requests
    scheme, _, credentials = asked.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(credentials).endswith(b":paypal-secret")
    assert asked.body == b"grant_type=client_credentials"
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert not {"PayPal-Request-Id", "Prefer"} & set(asked.headers)
    assert {"PayPal-Request-Id", "Prefer"} <= set(order.headers)
    assert order.headers["Authorization"].startswith("Bearer ")


def test_a_token_forgotten_by_paypal_is_renewed_once_and_charges_once(
    ours: PayPal, paypal_wire: Wire, paypal_simulator: Simulator
) -> None:
    send(ours)
    paypal_simulator.forget_tokens()
    payment = with_recorded_send(ours, a_payment(method="vault_ok"))
    assert ours.send(payment).verdict is Verdict.SUCCEEDED
    assert paths(paypal_wire)[2:] == [ORDERS, TOKEN, ORDERS]
    assert len(paypal_simulator.movements(payment)) == 1


def test_a_401_that_lasts_asks_for_one_new_token_and_ends_misconfigured(
    ours: PayPal, paypal_wire: Wire, paypal_simulator: Simulator
) -> None:
    refusal = {"name": "AUTHENTICATION_FAILURE", "message": "No."}
    paypal_wire.canned[ORDERS] = [Canned(401, refusal, {"PayPal-Debug-Id": "f01"})]
    payment = with_recorded_send(ours, a_payment(method="vault_ok"))
    with pytest.raises(Misconfigured) as caught:
        ours.send(payment)
    assert caught.value.detail == "authentication_failure"
    assert caught.value.request_id == "f01"
    assert paths(paypal_wire) == [TOKEN, ORDERS, TOKEN, ORDERS]
    assert paypal_simulator.movements(payment) == []


def test_wrong_credentials_are_misconfigured_and_send_no_request(
    make_paypal: MakePayPal, paypal_wire: Wire
) -> None:
    paypal = make_paypal(paypal_wire.url, secret="wrong")
    with pytest.raises(Misconfigured) as caught:
        send(paypal)
    assert caught.value.detail == "token_refused"
    assert (caught.value.request_id or "").startswith("f")
    assert paths(paypal_wire) == [TOKEN]


@pytest.mark.parametrize("status", [401, 403])
def test_a_page_in_place_of_a_token_does_not_blame_the_credentials(
    ours: PayPal, paypal_wire: Wire, status: int
) -> None:
    paypal_wire.canned[TOKEN] = [Canned(status, "<html>", {})]
    with pytest.raises(ProviderError) as caught:
        send(ours)
    assert type(caught.value) is NotExecuted
    assert caught.value.detail == "token_unavailable"
    assert paths(paypal_wire) == [TOKEN]


@pytest.mark.parametrize("status", [400, 404, 408, 429, 500, 503])
def test_a_call_without_a_token_is_not_made(
    ours: PayPal, paypal_wire: Wire, status: int
) -> None:
    headers = {"Retry-After": "9", "PayPal-Debug-Id": "f01"}
    paypal_wire.canned[TOKEN] = [Canned(status, {"error": "no"}, headers)]
    with pytest.raises(ProviderError) as caught:
        send(ours)
    assert type(caught.value) is NotExecuted
    assert caught.value.detail == "token_unavailable"
    assert caught.value.request_id == "f01"
    assert caught.value.retry_after == timedelta(seconds=9)
    assert paths(paypal_wire) == [TOKEN]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>OK</html>",
        b"\xff",
        b"",
        [],
        {},
        grant(None),
        grant(""),
        grant(17),
        grant(expires_in=None),
        grant(expires_in="soon"),
        {"access_token": "T"},
    ],
)
def test_an_answer_without_a_token_sends_no_request_and_is_not_cached(
    ours: PayPal, paypal_wire: Wire, body: object
) -> None:
    paypal_wire.canned[TOKEN] = [Canned(200, body)]
    with pytest.raises(ProviderError) as caught:
        send(ours)
    assert type(caught.value) is NotExecuted
    assert caught.value.detail == "token_malformed"
    assert paths(paypal_wire) == [TOKEN]
    paypal_wire.canned.clear()
    assert send(ours).verdict is Verdict.SUCCEEDED


def test_a_token_call_that_is_refused_was_not_sent(make_paypal: MakePayPal) -> None:
    with refusing_port() as url, pytest.raises(NotSent) as caught:
        send(make_paypal(url))
    assert caught.value.detail == "token_unavailable"


def test_a_token_call_without_an_answer_times_out_without_an_effect(
    make_paypal: MakePayPal, paypal_wire: Wire, held: threading.Event
) -> None:
    hold(paypal_wire, TOKEN, held)
    paypal = make_paypal(paypal_wire.url, timeout=(2.0, 0.1))
    with pytest.raises(ProviderError) as caught:
        send(paypal)
    # NotSent would be retried at once, which would triple slow calls.
    assert type(caught.value) is NotExecuted
    assert paths(paypal_wire) == [TOKEN]


def test_a_token_is_not_used_within_a_minute_of_its_end(
    ours: PayPal, paypal_wire: Wire
) -> None:
    created = {"id": "1ORDER", "status": "CREATED"}
    paypal_wire.canned[ORDERS] = [Canned(201, created)]
    paypal_wire.canned[TOKEN] = [
        Canned(200, grant("ending", 59)),
        Canned(200, grant("lasting", 3600)),
    ]
    for _ in range(3):
        send(ours)
    assert paths(paypal_wire) == [TOKEN, ORDERS, TOKEN, ORDERS, ORDERS]
    used = [
        r.headers["Authorization"] for r in paypal_wire.requests if r.path == ORDERS
    ]
    assert used == ["Bearer ending", "Bearer lasting", "Bearer lasting"]


def test_callers_at_the_same_moment_ask_for_one_token(
    ours: PayPal, paypal_wire: Wire, held: threading.Event
) -> None:
    answers = all_at_once(ours, paypal_wire, held)
    assert {future.result().verdict for future in answers} == {Verdict.SUCCEEDED}
    assert paypal_wire.count(TOKEN) == 1
    assert paypal_wire.count(ORDERS) == CALLERS


def test_callers_at_the_same_moment_share_the_failure_to_get_a_token(
    ours: PayPal, paypal_wire: Wire, held: threading.Event
) -> None:
    """One after the other, the last caller would wait for minutes."""
    paypal_wire.canned[TOKEN] = [Canned(503, {"error": "no"})]
    answers = all_at_once(ours, paypal_wire, held)
    failures = [future.exception() for future in answers]
    assert {type(failure) for failure in failures} == {NotExecuted}
    assert len(set(map(id, failures))) == CALLERS
    assert paypal_wire.count(TOKEN) == 1
    paypal_wire.canned.clear()
    assert send(ours).verdict is Verdict.SUCCEEDED


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """An event that holds calls until it is set, at the latest after the test."""
    event = threading.Event()
    yield event
    event.set()


def hold(wire: Wire, path: str, held: threading.Event) -> None:
    """Keep the calls to ``path`` waiting."""

    def wait(request: Request) -> None:
        if request.path == path:
            held.wait(PATIENCE)

    wire.before = wait


def all_at_once(
    paypal: PayPal, wire: Wire, held: threading.Event
) -> list[Future[Answer]]:
    """``CALLERS`` charges that all start before the token's answer comes."""
    hold(wire, TOKEN, held)
    started = threading.Semaphore(0)

    def charge() -> Answer:
        payment = with_recorded_send(paypal, a_payment(method="vault_ok"))
        started.release()
        return paypal.send(payment)

    with ThreadPoolExecutor(CALLERS) as threads:
        answers = [threads.submit(charge) for _ in range(CALLERS)]
        for _ in range(CALLERS):
            assert started.acquire(timeout=PATIENCE)
        eventually(lambda: wire.count(TOKEN) > 0, "a token is asked for")
        # All threads have begun; the last may not wait for the token yet.
        assert not held.wait(0.2)
        held.set()
    return answers
