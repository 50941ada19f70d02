"""Webhooks of the simulators on a running stack."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from runtime.processes import wait_until
from tests.support.running_stack import RunningStack
from tests.support.stack_shop import Shop

#: Seconds; without webhooks the first lookup comes after a minute.
AT_ONCE = 20.0


@pytest.fixture
def shop(stack: RunningStack) -> Shop:
    return Shop(stack)


def _handled_webhooks(
    stack: RunningStack, payment_id: str, type: str
) -> list[dict[str, Any]]:
    shown = stack.payments("webhooks", "--state", "handled", "--json")
    assert shown.returncode == 0, shown.stderr
    return [
        row
        for row in json.loads(shown.stdout)
        if (row["payment"], row["type"]) == (payment_id, type)
    ]


@pytest.mark.parametrize(
    ("provider", "token", "type"),
    [
        ("stripe", "pm_card_visa", "payment_intent.succeeded"),
        ("paypal", "vault_ada", "PAYMENT.CAPTURE.COMPLETED"),
    ],
)
def test_a_webhook_of_a_payment_is_handled(
    shop: Shop, provider: str, token: str, type: str
) -> None:
    payment_id = shop.accepted(provider=provider, token=token)
    assert shop.get(payment_id, wait=20)["status"] == "captured"

    def is_handled() -> bool:
        return bool(_handled_webhooks(shop.stack, payment_id, type))

    assert wait_until(is_handled, seconds=AT_ONCE)
    [row] = _handled_webhooks(shop.stack, payment_id, type)

    again = shop.stack.payments("webhooks", "reprocess", row["id"])
    assert again.stdout.startswith("1 of 1"), again.stderr
    assert wait_until(is_handled, seconds=AT_ONCE)
    assert len(shop.movements(provider, payment_id)) == 1


def test_a_payment_is_captured_at_once_after_its_payers_approval(shop: Shop) -> None:
    payment_id = shop.accepted(
        provider="paypal", token=None, return_url="https://shop.example/back"
    )
    acting = shop.settled(payment_id, seconds=AT_ONCE)
    assert acting["status"] == "requires_action"
    page = acting["next_action"]["url"]
    agreed = {"outcome": "approve"}
    requests.post(page, data=agreed, allow_redirects=False, timeout=10)

    def captured() -> bool:
        return bool(shop.get(payment_id)["status"] == "captured")

    assert wait_until(captured, seconds=AT_ONCE)
    assert len(shop.movements("paypal", payment_id)) == 1


@pytest.mark.parametrize(
    ("provider", "token", "ref", "name"),
    [
        ("stripe", "pm_card_visa", "charge", "id"),
        ("paypal", "vault_ada", "capture", "dispute_id"),
    ],
)
def test_a_dispute_is_shown_from_its_opening_to_its_end(
    shop: Shop, provider: str, token: str, ref: str, name: str
) -> None:
    payment_id = shop.accepted(provider=provider, token=token)
    paid = shop.get(payment_id, wait=20)
    disputes = f"{shop.stack.urls[provider]}/_disputes"
    asked = {ref: paid["provider_refs"][ref]}
    opened = requests.post(disputes, json=asked, timeout=10).json()

    def is_there(state: str) -> bool:
        shown = shop.get(payment_id)["disputes"]
        return [(one["id"], one["state"]) for one in shown] == [(opened[name], state)]

    assert wait_until(lambda: is_there("needs_response"), seconds=AT_ONCE)
    lost = {"status": "lost"}
    requests.post(f"{disputes}/{opened[name]}", json=lost, timeout=10)
    assert wait_until(lambda: is_there("lost"), seconds=AT_ONCE)
    shown = shop.stack.payments("show", payment_id)
    assert f"id {opened[name]}" in shown.stdout and "dispute.lost" in shown.stdout
    after = shop.get(payment_id)
    assert (after["status"], after["amount_captured"]) == ("captured", 1999)
    assert (after["amount_refunded"], after["amount_disputed"]) == (0, 1999)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give the webhooks' ids, or --since"),
        (("stripe:evt_1", "--since", "1h"), "give the webhooks' ids, or --since"),
        (("stripe:evt_1", "--state", "ignored"), "give --state only with --since"),
        (("stripe:evt_none",), "there is no such webhook"),
    ],
)
def test_a_replay_without_a_choice_of_webhooks_is_refused(
    shop: Shop, arguments: tuple[str, ...], words: str
) -> None:
    refused = shop.stack.payments("webhooks", "reprocess", *arguments)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert words in refused.stderr
