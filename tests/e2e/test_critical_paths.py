"""The critical paths of web apps, on a stack started by the command line."""

from __future__ import annotations

import os
import secrets
import signal

import pytest
import requests

from runtime.processes import wait_until
from tests.support.running_stack import RunningStack
from tests.support.stack_shop import Shop

ORDERS = {"method": "POST", "path": "/v2/checkout/orders"}
INTENTS = {"method": "POST", "path": "/v1/payment_intents"}


@pytest.fixture
def shop(stack: RunningStack) -> Shop:
    return Shop(stack)


@pytest.mark.parametrize(
    ("provider", "token"), [("stripe", "pm_card_visa"), ("paypal", "vault_ada")]
)
def test_a_payment_is_captured_once_and_its_timeline_has_each_step(
    shop: Shop, provider: str, token: str
) -> None:
    key = secrets.token_hex(16)
    first = shop.pay(key=key, provider=provider, token=token)
    assert first.status_code == 202
    assert first.headers["Location"] == f"/v1/payments/{first.json()['id']}"
    payment = shop.get(first.json()["id"], wait=20)
    assert payment["status"] == "captured"
    assert payment["amount_captured"] == 1999

    again = shop.pay(key=key, provider=provider, token=token)
    assert again.status_code == 202
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["id"] == payment["id"]

    [movement] = shop.movements(provider, payment["id"])
    assert (movement["kind"], movement["amount"]) == ("charge", 1999)
    events = requests.get(
        f"{shop.stack.urls['api']}/v1/payments/{payment['id']}/events",
        headers={"Authorization": f"Bearer {shop.stack.key}"},
        timeout=10,
    ).json()["data"]
    assert [event["type"] for event in events] == [
        "payment.accepted",
        "attempt.sent",
        "attempt.answered",
    ]
    assert [event["seq"] for event in events] == [1, 2, 3]


def test_a_declined_payment_shows_the_reason_and_moves_nothing(shop: Shop) -> None:
    payment_id = shop.accepted(token="pm_card_chargeDeclinedInsufficientFunds")
    payment = shop.get(payment_id, wait=20)
    assert payment["status"] == "failed"
    assert payment["last_error"]["decline_code"] == "insufficient_funds"
    assert shop.movements("stripe", payment_id) == []


def test_a_paypal_payment_without_a_token_needs_the_payers_approval(shop: Shop) -> None:
    answer = shop.pay(
        provider="paypal", token=None, return_url="https://shop.example/done"
    )
    payment = shop.get(answer.json()["id"], wait=20)
    assert payment["status"] == "requires_action"
    approval = requests.get(payment["next_action"]["url"], timeout=10)
    assert approval.status_code == 200
    assert "Approve" in approval.text


@pytest.mark.parametrize(
    ("provider", "token", "match"),
    [("stripe", "pm_card_visa", INTENTS), ("paypal", "vault_ada", ORDERS)],
)
def test_a_charge_whose_answer_was_lost_is_found_and_not_repeated(
    shop: Shop, provider: str, token: str, match: dict[str, str]
) -> None:
    with shop.fault(provider, do="commit_then_drop", times=1, match=match):
        payment_id = shop.accepted(provider=provider, token=token)
        payment = shop.settled(payment_id, seconds=30)
    assert payment["status"] == "captured"
    # Resent with the same key, unless the provider's webhook was quicker.
    assert payment["operations"][0]["attempts"] in (1, 2)
    assert len(shop.movements(provider, payment_id)) == 1


def test_a_refused_resend_never_turns_an_unknown_charge_into_a_failure(
    shop: Shop,
) -> None:
    declined = {
        "name": "UNPROCESSABLE_ENTITY",
        "details": [{"issue": "INSTRUMENT_DECLINED"}],
    }
    lost = {"do": "replay_500", "when": "after", "times": 1, "match": ORDERS}
    with (
        # Its webhook would resolve the outcome.
        shop.fault("paypal", do="webhooks", how="drop", times=5),
        shop.fault("paypal", **lost),
        shop.fault("paypal", do="answer", status=422, body=declined, match=ORDERS),
    ):
        payment_id = shop.accepted(provider="paypal", token="vault_ada")
        assert wait_until(lambda: _state(shop, payment_id) == "review", seconds=30)
    assert shop.get(payment_id)["status"] == "processing"
    assert len(shop.movements("paypal", payment_id)) == 1


def test_a_charge_is_retried_until_an_unavailable_provider_is_back(shop: Shop) -> None:
    with shop.fault("stripe", do="refuse", seconds=3):
        payment_id = shop.accepted()
        payment = shop.settled(payment_id, seconds=30)
    assert payment["status"] == "captured"
    assert len(shop.movements("stripe", payment_id)) == 1


def test_a_worker_killed_in_mid_call_leaves_one_charge_and_a_captured_payment(
    shop: Shop,
) -> None:
    with shop.fault("stripe", do="delay", seconds=5, times=1, match=INTENTS):
        payment_id = shop.accepted()
        assert wait_until(lambda: _state(shop, payment_id) == "running", seconds=10)
        os.kill(shop.stack.processes()["worker"]["pid"], signal.SIGKILL)
        payment = shop.settled(payment_id, seconds=45)
    assert payment["status"] == "captured"
    assert len(shop.movements("stripe", payment_id)) == 1


def test_a_worker_that_gets_term_finishes_its_call(shop: Shop) -> None:
    with shop.fault("stripe", do="delay", seconds=3, times=1, match=INTENTS):
        payment_id = shop.accepted()
        assert wait_until(lambda: _state(shop, payment_id) == "running", seconds=10)
        os.kill(shop.stack.processes()["worker"]["pid"], signal.SIGTERM)
        payment = shop.settled(payment_id, seconds=20)
    assert payment["status"] == "captured"
    assert payment["operations"][0]["attempts"] == 1
    assert len(shop.movements("stripe", payment_id)) == 1


def _state(shop: Shop, payment_id: str) -> str:
    return str(shop.get(payment_id)["operations"][0]["state"])
