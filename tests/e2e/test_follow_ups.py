"""Captures, voids and refunds on a running stack, compared with the ledgers."""

from __future__ import annotations

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

import pytest
import requests

from runtime.container import clock
from runtime.processes import wait_until
from tests.support.running_stack import RunningStack
from tests.support.stack_shop import Shop

#: Races of two refunds: a few by default, more by the variable.
ROUNDS: Final = int(os.environ.get("REFUND_ROUNDS", "10"))
BOTH: Final = pytest.mark.parametrize(
    ("provider", "token"), [("stripe", "pm_card_visa"), ("paypal", "vault_ada")]
)


@pytest.fixture
def shop(stack: RunningStack) -> Shop:
    return Shop(stack)


def _request(
    shop: Shop, payment_id: str, job: str, *, key: str | None = None, **body: Any
) -> requests.Response:
    return requests.post(
        f"{shop.stack.urls['api']}/v1/payments/{payment_id}/{job}",
        json=body or None,
        headers={
            "Authorization": f"Bearer {shop.stack.key}",
            "Idempotency-Key": key or secrets.token_hex(16),
        },
        timeout=10,
    )


def _start_payment(shop: Shop, **fields: Any) -> str:
    """The id of a payment whose charge or authorization has succeeded."""
    payment_id = shop.accepted(**fields)
    begun = shop.settled(payment_id, seconds=30)
    assert begun["status"] in ("authorized", "captured"), begun
    return payment_id


def _carry_out(shop: Shop, payment_id: str, job: str, **body: Any) -> dict[str, Any]:
    """Requests a follow-up; returns the payment after its success."""
    asked = _request(shop, payment_id, job, **body)
    assert asked.status_code == 202, asked.text
    operation = asked.json()["operations"][-1]["id"]

    def succeeded() -> bool:
        states = {one["id"]: one["state"] for one in shop.get(payment_id)["operations"]}
        return bool(states[operation] == "succeeded")

    assert wait_until(succeeded, seconds=30), shop.get(payment_id)
    return shop.get(payment_id)


def _movements(shop: Shop, provider: str, payment_id: str) -> list[tuple[str, int]]:
    """Kind and amount of each movement in the provider's ledger."""
    ledger = requests.get(f"{shop.stack.urls[provider]}/_ledger", timeout=10).json()
    ours = {one["id"] for one in shop.get(payment_id)["operations"]}
    return [
        (one["kind"], one["amount"])
        for one in ledger["movements"]
        if ours & set(one["metadata"].values())
        or any(one["key"] and name in one["key"] for name in ours)
    ]


def _amounts(payment: dict[str, Any]) -> tuple[int, int, int, int]:
    return (
        payment["amount_authorized"],
        payment["amount_captured"],
        payment["amount_capturable"],
        payment["amount_refunded"],
    )


@BOTH
def test_an_authorized_payment_is_captured_and_refunded_in_full(
    shop: Shop, provider: str, token: str
) -> None:
    payment_id = _start_payment(shop, provider=provider, token=token, capture="manual")
    held = shop.get(payment_id)
    assert (held["status"], _amounts(held)) == ("authorized", (1999, 0, 1999, 0))
    assert held["authorization"]["ended"] is None
    paid = _carry_out(shop, payment_id, "captures")
    assert (paid["status"], _amounts(paid)) == ("captured", (1999, 1999, 0, 0))
    assert paid["authorization"]["ended"] == "captured"
    back = _carry_out(shop, payment_id, "refunds")
    assert (back["status"], _amounts(back)) == ("refunded", (1999, 1999, 0, 1999))
    assert _movements(shop, provider, payment_id) == [
        ("authorize", 1999),
        ("capture", 1999),
        ("refund", 1999),
    ]


def test_stripe_releases_the_rest_of_a_partial_capture(shop: Shop) -> None:
    payment_id = _start_payment(shop, capture="manual")
    paid = _carry_out(shop, payment_id, "captures", amount=600)
    assert (paid["status"], _amounts(paid)) == ("captured", (1999, 600, 0, 0))
    refused = _request(shop, payment_id, "captures", amount=1)
    assert refused.status_code == 409
    assert refused.json()["reason"] == "nothing_to_capture"
    assert ("capture", 600) in _movements(shop, "stripe", payment_id)


def test_paypal_captures_in_parts_until_one_is_final(shop: Shop) -> None:
    payment_id = _start_payment(
        shop, provider="paypal", token="vault_ada", capture="manual"
    )
    part = _carry_out(shop, payment_id, "captures", amount=500)
    assert (part["status"], _amounts(part)) == (
        "partially_captured",
        (1999, 500, 1499, 0),
    )
    too_much = _request(shop, payment_id, "captures", amount=1500)
    assert too_much.status_code == 409
    assert "14.99 USD can be captured" in too_much.json()["detail"]
    last = _carry_out(shop, payment_id, "captures", amount=700, final=True)
    assert (last["status"], _amounts(last)) == ("captured", (1999, 1200, 0, 0))
    captures = [one for one in last["operations"] if one["kind"] == "capture"]
    # A refund is of one capture, and the first is too small.
    back = _carry_out(shop, payment_id, "refunds", amount=600)
    assert back["operations"][-1]["target"] == captures[1]["id"]
    assert _amounts(back) == (1999, 1200, 0, 600)
    assert _movements(shop, "paypal", payment_id) == [
        ("authorize", 1999),
        ("capture", 500),
        ("capture", 700),
        ("refund", 600),
    ]


@BOTH
def test_partial_refunds_never_exceed_the_captured_amount(
    shop: Shop, provider: str, token: str
) -> None:
    payment_id = _start_payment(shop, provider=provider, token=token)
    part = _carry_out(shop, payment_id, "refunds", amount=500)
    assert (part["status"], part["amount_refunded"]) == ("partially_refunded", 500)
    refused = _request(shop, payment_id, "refunds", amount=1500)
    assert refused.status_code == 409
    assert "14.99 USD can be refunded" in refused.json()["detail"]
    rest = _carry_out(shop, payment_id, "refunds")
    assert (rest["status"], rest["amount_refunded"]) == ("refunded", 1999)
    moved = _movements(shop, provider, payment_id)
    assert moved == [("charge", 1999), ("refund", 500), ("refund", 1499)]


@BOTH
def test_a_void_releases_the_hold_and_frees_the_reference(
    shop: Shop, provider: str, token: str
) -> None:
    order = f"order-{secrets.token_hex(6)}"
    begun = {"provider": provider, "token": token, "reference": order}
    payment_id = _start_payment(shop, capture="manual", **begun)
    duplicate = shop.pay(**begun)
    assert duplicate.status_code == 409
    assert duplicate.json()["payment"] == payment_id
    released = _carry_out(shop, payment_id, "void")
    assert (released["status"], _amounts(released)) == ("voided", (1999, 0, 0, 0))
    assert released["authorization"]["ended"] == "voided"
    assert _request(shop, payment_id, "captures").status_code == 409
    assert shop.pay(**begun).status_code == 202
    assert [kind for kind, _ in _movements(shop, provider, payment_id)] == [
        "authorize",
        "void",
    ]


def test_a_void_cancels_a_scheduled_payment(shop: Shop) -> None:
    later = (clock() + timedelta(days=1)).isoformat()
    payment_id = shop.accepted(execute_at=later)
    canceled = _request(shop, payment_id, "void")
    assert canceled.status_code == 202
    assert canceled.json()["status"] == "canceled"
    assert shop.get(payment_id)["status"] == "canceled"
    assert _movements(shop, "stripe", payment_id) == []


def test_the_key_of_a_payment_is_refused_for_its_refund(shop: Shop) -> None:
    key = secrets.token_hex(16)
    payment_id = _start_payment(shop, key=key)
    refused = _request(shop, payment_id, "refunds", key=key, amount=100)
    assert refused.status_code == 422
    assert refused.json()["code"] == "idempotency_key_reused"
    assert len(shop.get(payment_id)["operations"]) == 1


def test_one_of_two_refunds_over_the_amount_at_once_moves_money(
    shop: Shop,
) -> None:
    with ThreadPoolExecutor(2) as threads:
        for _ in range(ROUNDS):
            payment_id = _start_payment(shop, amount=100)
            answers = list(
                threads.map(
                    lambda _: _request(shop, payment_id, "refunds", amount=60), range(2)
                )
            )
            assert sorted(one.status_code for one in answers) == [202, 409]
            assert wait_until(
                lambda: shop.get(payment_id)["amount_refunded"] == 60, seconds=30
            )
            moved = _movements(shop, "stripe", payment_id)
            assert moved == [("charge", 100), ("refund", 60)]


def test_a_merchants_duplicate_policy_is_shown_and_changed(stack: RunningStack) -> None:
    merchant = f"m_{secrets.token_hex(4)}"
    assert "unfinished" in stack.payments("merchants", "show", merchant).stdout
    chosen = stack.payments("merchants", "set", merchant, "--duplicate-policy", "paid")
    assert chosen.returncode == 0, chosen.stderr
    assert "paid" in stack.payments("merchants", "show", merchant).stdout
    wrong = stack.payments("merchants", "set", merchant, "--duplicate-policy", "always")
    assert wrong.returncode == 2


def test_show_prints_each_operation_of_a_payment(shop: Shop) -> None:
    payment_id = _start_payment(
        shop, provider="paypal", token="vault_ada", capture="manual"
    )
    _carry_out(shop, payment_id, "captures", amount=900)
    refund = _carry_out(shop, payment_id, "refunds", amount=500)["operations"][-1]
    shown = shop.stack.payments("show", payment_id)
    assert shown.returncode == 0, shown.stderr
    for words in (
        "operation authorize",
        "operation capture",
        "operation refund",
        "amount 5.00 USD",
        f"target {refund['target']}",
        f"refund {refund['provider_refs']['refund']}",
        "operation.accepted",
    ):
        assert words in shown.stdout
    assert "final" not in shown.stdout, "no capture released the rest"
