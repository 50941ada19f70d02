"""Tests of calls to Stripe: connections, timeouts, headers and lost calls."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from domain.errors import NotSent, OutcomeUnknown, ProviderError
from domain.payments.answer import Verdict
from providers.retry_unsent import RetryUnsent
from providers.stripe.adapter import Stripe
from providers.stripe.client import API_VERSION
from tests.suites.accounts import a_payment, capture, refund, void, with_recorded_send
from tests.support.provider_accounts import STRIPE_METHODS, Account
from tests.support.recording_server import Canned, Wire, refusing_port
from tests.support.simulator_control import (
    INTENTS,
    Calls,
    MakeStripe,
    Simulator,
    set_misleading_environment,
)
from tests.support.simulator_process import eventually


def test_a_retrying_adapter_tries_a_connection_three_times(
    make_stripe: MakeStripe, calls: Calls
) -> None:
    with refusing_port() as url:
        stripe = RetryUnsent(make_stripe(url))
        with pytest.raises(NotSent):
            stripe.send(with_recorded_send(stripe, a_payment()))
    assert calls.seen == [(f"POST {INTENTS}", "none")] * 3


def test_a_retrying_adapter_sends_once_if_the_answer_is_lost(
    make_stripe: MakeStripe, stripe_simulator: Simulator, calls: Calls
) -> None:
    stripe_simulator.arm("commit_then_drop")
    stripe = RetryUnsent(make_stripe(stripe_simulator.url))
    payment = with_recorded_send(stripe, a_payment())
    with pytest.raises(OutcomeUnknown):
        stripe.send(payment)
    assert len(calls.seen) == len(stripe_simulator.movements(payment)) == 1


def test_a_lost_answer_is_not_mistaken_for_an_earlier_refused_connection(
    make_stripe: MakeStripe, stripe_simulator: Simulator
) -> None:
    """Python chains an exception to the one being handled, related or not."""
    stripe_simulator.arm("commit_then_drop")
    with refusing_port() as url:
        refused, answering = make_stripe(url), make_stripe(stripe_simulator.url)
        payment = with_recorded_send(answering, a_payment())
        try:
            refused.send(payment)
        except NotSent:
            with pytest.raises(OutcomeUnknown):
                answering.send(payment)
    assert len(stripe_simulator.movements(payment)) == 1


@pytest.mark.parametrize("status", [409, 429, 500, 503])
@pytest.mark.parametrize("headers", [{}, {"Stripe-Should-Retry": "true"}])
def test_the_sdk_sends_once_and_does_not_retry(
    make_stripe: MakeStripe, stripe_wire: Wire, status: int, headers: Mapping[str, str]
) -> None:
    failure = {"error": {"type": "api_error", "message": "Try again."}}
    stripe_wire.canned[INTENTS] = [Canned(status, failure, headers)]
    stripe = make_stripe(stripe_wire.url)
    with pytest.raises(ProviderError):
        stripe.send(with_recorded_send(stripe, a_payment()))
    assert len(stripe_wire.requests) == 1


def test_a_redirect_is_not_followed(
    make_stripe: MakeStripe, stripe_wire: Wire, stripe_simulator: Simulator
) -> None:
    away = {"Location": f"{stripe_simulator.url}{INTENTS}"}
    stripe_wire.canned[INTENTS] = [Canned(307, b"", away)]
    stripe = make_stripe(stripe_wire.url)
    payment = with_recorded_send(stripe, a_payment())
    with pytest.raises(OutcomeUnknown):
        stripe.send(payment)
    assert len(stripe_wire.requests) == 1
    assert stripe_simulator.movements(payment) == []


def test_one_connection_serves_the_calls_of_all_threads(
    make_stripe: MakeStripe, stripe_wire: Wire
) -> None:
    stripe = make_stripe(stripe_wire.url)
    for _ in range(4):
        with ThreadPoolExecutor(1) as thread:
            sent = thread.submit(stripe.send, with_recorded_send(stripe, a_payment()))
            assert sent.result().verdict is Verdict.SUCCEEDED
    assert len(stripe_wire.requests) == 4
    assert stripe_wire.connections == 1


def test_a_connection_closed_between_two_calls_is_opened_again(
    make_stripe: MakeStripe, stripe_wire: Wire, stripe_simulator: Simulator
) -> None:
    stripe = make_stripe(stripe_wire.url)
    busy = {"error": {"type": "api_error", "message": "Busy."}}
    stripe_wire.canned[INTENTS] = [Canned(503, busy, close=True)]
    payment = with_recorded_send(stripe, a_payment())
    with pytest.raises(OutcomeUnknown):
        stripe.send(payment)
    eventually(lambda: stripe_wire.open_connections == 0, "the connections are closed")
    stripe_wire.canned.clear()
    assert stripe.send(payment).verdict is Verdict.SUCCEEDED
    assert stripe_wire.connections == 2
    assert len(stripe_simulator.movements(payment)) == 1


def test_neither_a_proxy_nor_a_netrc_of_the_environment_is_used(
    make_stripe: MakeStripe,
    stripe_wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    set_misleading_environment(monkeypatch, tmp_path)
    stripe = make_stripe(stripe_wire.url)
    assert (
        stripe.send(with_recorded_send(stripe, a_payment())).verdict
        is Verdict.SUCCEEDED
    )
    [request] = stripe_wire.requests
    assert request.headers["Authorization"].startswith("Bearer sk_test_")


def test_the_stored_request_arrives_under_its_key_and_version(
    make_stripe: MakeStripe, stripe_wire: Wire, stripe_simulator: Simulator
) -> None:
    stripe = make_stripe(stripe_wire.url)
    payment = with_recorded_send(
        stripe,
        a_payment(
            reference="order-7",
            description="Zwölf Äpfel & eine Birne",
            return_url="https://shop.test/back?a=1&b=2",
        ),
    )
    stripe.send(payment)
    [request] = stripe_wire.requests
    [row] = stripe_simulator.movements(payment)
    send = payment.first_operation.send
    assert send is not None
    assert request.headers["Idempotency-Key"] == send.key == row["key"]
    assert request.headers["Stripe-Version"] == API_VERSION
    assert dict(parse_qsl(request.body.decode())) == flat(json.loads(send.body))
    assert row["metadata"] == {
        "payment": payment.id,
        "operation": payment.first_operation.id,
        "reference": "order-7",
    }


def flat(value: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """``{"a": {"b": True}}`` in form notation: ``{"a[b]": "true"}``."""
    form: dict[str, str] = {}
    for name, inner in value.items():
        path = f"{prefix}[{name}]" if prefix else name
        if isinstance(inner, list):
            inner = {str(place): item for place, item in enumerate(inner)}
        if isinstance(inner, dict):
            form |= flat(inner, path)
        else:
            form[path] = inner if isinstance(inner, str) else json.dumps(inner)
    return form


def test_each_call_is_reported_without_ids(
    stripe: Stripe, stripe_simulator: Simulator, calls: Calls
) -> None:
    stripe.send(with_recorded_send(stripe, a_payment()))
    stripe.send(with_recorded_send(stripe, a_payment(method="pm_nobody")))
    assert calls.seen == [(f"POST {INTENTS}", "2xx"), (f"POST {INTENTS}", "4xx")]


def test_the_secret_key_is_not_logged_at_any_level(
    make_stripe: MakeStripe, stripe_wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stripe = make_stripe(stripe_wire.url)
    stripe.send(with_recorded_send(stripe, a_payment()))
    [request] = stripe_wire.requests
    secret = request.headers["Authorization"].removeprefix("Bearer ")
    assert secret.startswith("sk_test_")
    assert "connectionpool" in caplog.text
    assert secret not in caplog.text


def test_the_sdk_sends_no_information_about_this_machine(
    make_stripe: MakeStripe, stripe_wire: Wire
) -> None:
    stripe = make_stripe(stripe_wire.url)
    for _ in range(2):
        stripe.send(with_recorded_send(stripe, a_payment()))
    for request in stripe_wire.requests:
        assert "telemetry" not in str(request.headers).lower()


def test_every_call_names_its_api_version(
    make_stripe: MakeStripe, stripe_wire: Wire, stripe_simulator: Simulator
) -> None:
    account = Account(make_stripe(stripe_wire.url), STRIPE_METHODS, stripe_simulator)
    paid = account.execute(refund(account.charged(), 700))
    account.look_up(paid)
    account.look_up(paid, paid.first_operation)
    account.execute(capture(account.held()))
    account.execute(void(account.held()))
    sent = [request.headers.get("Stripe-Version") for request in stripe_wire.requests]
    assert len(sent) == 8
    assert set(sent) == {API_VERSION}
