"""Every fault, at the simulators as they are started."""

from __future__ import annotations

import time

import pytest
import requests

from tests.support.simulator_process import (
    CHARGE,
    PATIENCE,
    PayPalCaller,
    Simulator,
    eventually,
    new_key,
    simulator,
    simulator_process,
)

INTENTS = "/v1/payment_intents"


def charge(running: Simulator, merchant: str, key: str) -> requests.Response:
    """Charge a card, on a connection of its own."""
    return requests.post(
        running.url + INTENTS,
        data=CHARGE,
        headers={"Authorization": f"Bearer {merchant}", "Idempotency-Key": key},
        timeout=PATIENCE,
    )


def test_drop_resets_the_connection_before_anything_is_done(
    stripe_simulator: Simulator, merchant: str
) -> None:
    key = new_key()
    stripe_simulator.arm(do="drop")
    with pytest.raises(requests.ConnectionError):
        charge(stripe_simulator, merchant, key)
    assert stripe_simulator.movements(key=key) == []
    answer = charge(stripe_simulator, merchant, key)
    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer.headers


def test_commit_then_drop_charges_and_loses_the_answer(
    stripe_simulator: Simulator, merchant: str
) -> None:
    key = new_key()
    stripe_simulator.arm(do="commit_then_drop", times=2)
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            charge(stripe_simulator, merchant, key)
        assert len(stripe_simulator.movements(key=key)) == 1
    answer = charge(stripe_simulator, merchant, key)
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert answer.json()["status"] == "succeeded"
    assert len(stripe_simulator.movements(key=key)) == 1


@pytest.mark.parametrize(("when", "charged"), [("before", 0), ("after", 1)])
def test_delay_holds_the_call_before_or_after_it_is_carried_out(
    stripe_simulator: Simulator, merchant: str, when: str, charged: int
) -> None:
    key = new_key()
    stripe_simulator.arm(do="delay", seconds=30, when=when)
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            stripe_simulator.url + INTENTS,
            data=CHARGE,
            headers={"Authorization": f"Bearer {merchant}", "Idempotency-Key": key},
            timeout=0.3,
        )
    assert len(stripe_simulator.movements(key=key)) == charged
    stripe_simulator.heal()
    eventually(lambda: stripe_simulator.movements(key=key), "the charge after all")
    assert len(stripe_simulator.movements(key=key)) == 1


def test_an_armed_answer_is_given_without_an_effect(
    stripe_simulator: Simulator, merchant: str
) -> None:
    key = new_key()
    headers = {"X-Shown": "yes"}
    body = {"error": {"message": "down"}}
    stripe_simulator.arm(do="answer", status=503, body=body, headers=headers)
    answer = charge(stripe_simulator, merchant, key)
    assert (answer.status_code, answer.json()) == (503, body)
    assert answer.headers["X-Shown"] == "yes"
    stripe_simulator.arm(do="answer", status=502, body="<html>Bad gateway</html>")
    assert charge(stripe_simulator, merchant, key).text == "<html>Bad gateway</html>"
    stripe_simulator.arm(do="answer")
    plain = charge(stripe_simulator, merchant, key)
    assert plain.status_code == 500
    assert plain.json()["error"]["type"] == "api_error"
    assert stripe_simulator.movements(key=key) == []


def test_a_malformed_answer_follows_a_charge_and_is_not_json(
    stripe_simulator: Simulator, merchant: str
) -> None:
    key = new_key()
    stripe_simulator.arm(do="malformed")
    answer = charge(stripe_simulator, merchant, key)
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert len(stripe_simulator.movements(key=key)) == 1


def test_rate_limit_answers_in_the_providers_own_shape(
    stripe_simulator: Simulator, paypal: PayPalCaller, merchant: str
) -> None:
    stripe_simulator.arm(do="rate_limit", seconds=7)
    limited = charge(stripe_simulator, merchant, new_key())
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    assert limited.json()["error"]["code"] == "rate_limit"
    paypal.simulator.arm(do="rate_limit")
    limited = paypal.order()
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "1")
    assert limited.json()["name"] == "RATE_LIMIT_REACHED"


@pytest.mark.parametrize(("when", "charged"), [("before", 0), ("after", 1)])
def test_a_stripe_500_is_replayed_and_asks_not_to_be_retried(
    stripe_simulator: Simulator, merchant: str, when: str, charged: int
) -> None:
    key = new_key()
    stripe_simulator.arm(do="replay_500", when=when)
    first = charge(stripe_simulator, merchant, key)
    assert first.status_code == 500
    assert "Idempotent-Replayed" not in first.headers
    for _ in range(2):
        again = charge(stripe_simulator, merchant, key)
        assert (again.status_code, again.content) == (500, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.headers["Stripe-Should-Retry"] == "false"
    assert len(stripe_simulator.movements(key=key)) == charged


def test_a_paypal_500_is_not_replayed(paypal: PayPalCaller) -> None:
    key = new_key()
    paypal.simulator.arm(do="replay_500", match={"path": "/v2/checkout"})
    failed = paypal.order(key=key)
    assert failed.status_code == 500
    assert failed.json()["name"] == "INTERNAL_SERVER_ERROR"
    assert paypal.order(key=key).status_code == 201


def test_refuse_closes_the_port_and_resets_connections_for_a_while(
    merchant: str,
) -> None:
    with simulator("stripe") as running, requests.Session() as kept:
        url = running.url + INTENTS
        auth = {"Authorization": f"Bearer {merchant}"}
        assert kept.get(url, headers=auth, timeout=PATIENCE).status_code == 200
        running.arm(do="refuse", seconds=0.5)
        with pytest.raises(requests.ConnectionError):
            kept.get(url, headers=auth, timeout=PATIENCE)
        with pytest.raises(requests.ConnectionError, match="[Rr]efused"):
            requests.get(url, headers=auth, timeout=PATIENCE)

        def back() -> bool:
            try:
                return requests.get(url, headers=auth, timeout=PATIENCE).ok
            except requests.ConnectionError:
                return False

        eventually(back, "the port opens again")
        assert running.get("/_faults")["faults"][0]["fired"] == 1


def test_the_first_matching_fault_wins_and_counts_down(
    stripe_simulator: Simulator, merchant: str
) -> None:
    post = {"method": "post", "path": "/v1/payment_intents"}
    stripe_simulator.arm(do="answer", status=418, times=2, match=post)
    stripe_simulator.arm(do="answer", status=419, match={"path": "/v1/charges"})
    stripe_simulator.arm(do="answer", status=420)
    statuses = [
        stripe_simulator.stripe("GET", INTENTS, merchant=merchant).status_code,
        charge(stripe_simulator, merchant, new_key()).status_code,
        stripe_simulator.stripe("GET", "/v1/charges/ch", merchant=merchant).status_code,
        charge(stripe_simulator, merchant, new_key()).status_code,
        charge(stripe_simulator, merchant, new_key()).status_code,
    ]
    assert statuses == [420, 418, 419, 418, 200]
    listed = stripe_simulator.get("/_faults")["faults"]
    assert [(each["left"], each["fired"]) for each in listed] == [
        (0, 2),
        (0, 1),
        (0, 1),
    ]
    stripe_simulator.heal()
    assert stripe_simulator.get("/_faults")["faults"] == []


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({}, "do must be"),
        ({"do": "explode"}, "do must be"),
        ({"do": "drop", "times": 0}, "times"),
        ({"do": "drop", "times": "3"}, "times"),
        ({"do": "drop", "seconds": -1}, "seconds"),
        ({"do": "drop", "match": {"paths": "/"}}, "match"),
        ({"do": "drop", "match": {"path": "v1"}}, "match.path"),
        ({"do": "drop", "sometimes": True}, "sometimes"),
        ({"do": "answer", "status": 99}, "status"),
        ({"do": "answer", "headers": {"A": "b\r\nc"}}, "header"),
        ({"do": "delay", "when": "later"}, "when"),
        ({"do": "webhooks"}, "how"),
        ({"do": "drop", "how": "double"}, "how"),
        ([], "JSON object"),
    ],
)
def test_an_invalid_fault_is_refused_and_not_armed(
    stripe_simulator: Simulator, fault: object, why: str
) -> None:
    answer = stripe_simulator.post("/_faults", fault)
    assert answer.status_code == 400
    assert why in answer.json()["error"]
    assert stripe_simulator.get("/_faults")["faults"] == []


def test_faults_do_not_affect_the_control_endpoints(
    stripe_simulator: Simulator,
) -> None:
    stripe_simulator.arm(do="drop", times=100)
    assert stripe_simulator.get("/_health")["status"] == "ok"
    assert stripe_simulator.get("/_ledger").keys() == {"movements"}


def test_the_clock_only_goes_forward(stripe_simulator: Simulator) -> None:
    before = stripe_simulator.get("/_clock")["now"]
    for wrong in ({"advance_seconds": -1}, {"advance_seconds": "1"}, {}):
        assert stripe_simulator.post("/_clock", wrong).status_code == 400
    stripe_simulator.advance(1000)
    assert 1000 <= stripe_simulator.get("/_clock")["now"] - before < 1000 + PATIENCE


def test_requests_and_movements_are_counted(
    stripe_simulator: Simulator, merchant: str
) -> None:
    charge(stripe_simulator, merchant, new_key())
    metrics = stripe_simulator.http.get(
        stripe_simulator.url + "/metrics", timeout=PATIENCE
    ).text
    counted = (
        'simulator_requests_total{method="POST",route="/v1/payment_intents",'
        'status="200"}'
    )
    assert counted in metrics
    assert 'simulator_movements_total{kind="charge"}' in metrics


def test_a_body_over_a_mebibyte_is_refused(
    stripe_simulator: Simulator, paypal: PayPalCaller, merchant: str
) -> None:
    form = {"description": "x" * (1024 * 1024 + 1)}
    refused = stripe_simulator.stripe("POST", INTENTS, form, merchant=merchant)
    assert refused.status_code == 413
    refused = paypal.order(description="x" * (1024 * 1024 + 1))
    assert refused.status_code == 413


def test_latency_delays_charges_and_no_control_calls(
    merchant: str,
) -> None:
    with simulator("stripe", "--latency", "0.3") as running:
        started = time.monotonic()
        assert charge(running, merchant, new_key()).status_code == 200
        assert time.monotonic() - started >= 0.3
        started = time.monotonic()
        running.get("/_ledger")
        assert time.monotonic() - started < 0.3


@pytest.mark.parametrize(
    ("name", "path", "user"),
    [
        ("stripe", "/v1/payment_intents", "sk_test_x"),
        ("paypal", "/v1/oauth2/token", "client"),
    ],
)
def test_term_stops_a_simulator_at_once_even_while_a_call_is_held(
    name: str, path: str, user: str
) -> None:
    form = CHARGE if name == "stripe" else {"grant_type": "client_credentials"}
    with simulator_process(name) as (running, process):
        running.arm(do="delay", seconds=600)
        with pytest.raises(requests.ReadTimeout):
            requests.post(
                running.url + path, data=form, auth=(user, "secret"), timeout=0.3
            )
        assert running.get("/_health")["held_calls"] == 1
        process.terminate()
        assert process.wait(2) == 0
