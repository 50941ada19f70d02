"""Captures, voids and refunds over HTTP, and the guard of a reference."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
import requests

from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.submission import DuplicatePolicy
from persistence.merchants import MongoMerchants
from tests.support.running_web import Client, RunningWeb, stripe_payment

PRICE: Final = Money(1999, "USD")
HELD: Final = Answer(Verdict.SUCCEEDED, PRICE, {"payment_intent": "pi_1"})
#: Races of two refunds: a few in the suite, more by the variable.
ROUNDS: Final = int(os.environ.get("REFUND_ROUNDS", "25"))
DECLINED: Final = Answer(Verdict.DECLINED, refs={"payment_intent": "pi_1"})


def _post(
    client: Client, path: str, key: str, body: object | None = None
) -> requests.Response:
    return requests.post(
        client.base + path,
        json=body,
        headers={"Authorization": f"Bearer {client.secret}", "Idempotency-Key": key},
        timeout=20,
    )


def _start_payment(web: RunningWeb, client: Client, **fields: object) -> str:
    """The path of a payment whose first operation has succeeded."""
    made = client.submit(stripe_payment(**fields)).json()
    web.work(made["id"], HELD)
    return f"/v1/payments/{made['id']}"


def test_a_capture_is_durable_and_reserves_before_it_is_answered(
    web: RunningWeb, merchant: Client
) -> None:
    path = _start_payment(web, merchant, capture="manual")
    held = merchant.get(path).json()
    assert (held["status"], held["amount_capturable"]) == ("authorized", 1999)
    answer = _post(merchant, f"{path}/captures", "c", {"amount": 600})
    assert answer.status_code == 202
    assert answer.headers["Location"] == path
    payment = answer.json()
    capture = payment["operations"][-1]
    assert (capture["kind"], capture["amount"], capture["state"]) == (
        "capture",
        600,
        "queued",
    )
    assert (payment["amount_captured"], payment["amount_capturable"]) == (0, 0)
    web.work(payment["id"], Answer(Verdict.SUCCEEDED, Money(600, "USD")))
    assert merchant.get(path).json()["status"] == "captured"


def test_a_void_needs_no_body_and_cancels_a_scheduled_payment(
    web: RunningWeb, merchant: Client
) -> None:
    later = stripe_payment(execute_at="2099-01-01T00:00:00Z")
    assert merchant.submit(later).status_code == 422, "too far ahead"
    path = _start_payment(web, merchant, capture="manual")
    assert _post(merchant, f"{path}/void", "v").status_code == 202
    again = _post(merchant, f"{path}/void", "w")
    assert again.status_code == 409
    assert again.json()["reason"] == "void_under_way"


def test_a_repeated_refund_is_the_same_and_its_key_fits_no_other_request(
    web: RunningWeb, merchant: Client
) -> None:
    path, other = _start_payment(web, merchant), _start_payment(web, merchant)
    first = _post(merchant, f"{path}/refunds", "r", {"amount": 100})
    again = _post(merchant, f"{path}/refunds", "r", {"amount": 100})
    assert again.status_code == first.status_code == 202
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    for where, body in (
        (f"{path}/refunds", {"amount": 200}),
        (f"{path}/refunds", {}),
        (f"{other}/refunds", {"amount": 100}),
    ):
        refused = _post(merchant, where, "r", body)
        assert refused.status_code == 422
        assert refused.json()["code"] == "idempotency_key_reused"
    assert merchant.submit(stripe_payment(), key="r").status_code == 422
    assert len(merchant.get(other).json()["operations"]) == 1


def test_a_conflict_shows_the_remaining_amount(
    web: RunningWeb, merchant: Client
) -> None:
    path = _start_payment(web, merchant)
    _post(merchant, f"{path}/refunds", "a", {"amount": 1200})
    refused = _post(merchant, f"{path}/refunds", "b", {"amount": 1200})
    assert refused.status_code == 409
    assert refused.headers["Content-Type"] == "application/problem+json"
    problem = refused.json()
    assert (problem["code"], problem["reason"]) == (
        "conflict",
        "amount_exceeds_captured",
    )
    assert "7.99 USD can be refunded" in problem["detail"]


@pytest.mark.parametrize("job", ["captures", "refunds", "void"])
def test_another_merchants_payment_is_not_found(
    web: RunningWeb, merchant: Client, job: str
) -> None:
    path = _start_payment(web, merchant)
    stranger = web.client()
    assert _post(stranger, f"{path}/{job}", "k", {}).status_code == 404
    assert len(merchant.get(path).json()["operations"]) == 1


@pytest.mark.parametrize(
    ("job", "body", "pointer"),
    [
        ("captures", {"amount": 0}, "/amount"),
        ("captures", {"amount": 1.5}, "/amount"),
        ("captures", {"final": "yes"}, "/final"),
        ("refunds", {"amount": -1}, "/amount"),
        ("refunds", {"operation": "op_1"}, "/operation"),
        ("void", {"amount": 5}, "/amount"),
    ],
)
def test_a_wrong_field_is_named_and_changes_nothing(
    web: RunningWeb,
    merchant: Client,
    job: str,
    body: dict[str, Any],
    pointer: str,
) -> None:
    path = _start_payment(web, merchant)
    refused = _post(merchant, f"{path}/{job}", "k", body)
    assert refused.status_code == 422
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [pointer]
    assert len(merchant.get(path).json()["operations"]) == 1


def test_one_of_two_refunds_of_60_on_100_at_once_is_accepted(
    web: RunningWeb, merchant: Client
) -> None:
    paid = Answer(Verdict.SUCCEEDED, Money(100, "USD"), {"payment_intent": "pi_1"})
    with ThreadPoolExecutor(2) as threads:
        for number in range(ROUNDS):
            made = merchant.submit(stripe_payment(amount=100)).json()
            web.work(made["id"], paid)
            path = f"/v1/payments/{made['id']}/refunds"
            answers = threads.map(
                lambda key: _post(merchant, path, key, {"amount": 60}).status_code,
                (f"a-{number}", f"b-{number}"),
            )
            assert sorted(answers) == [202, 409]
            left = merchant.get(path.removesuffix("/refunds")).json()
            assert [one["amount"] for one in left["operations"]] == [100, 60]


def test_one_of_a_capture_and_a_void_at_once_is_accepted(
    web: RunningWeb, merchant: Client
) -> None:
    with ThreadPoolExecutor(2) as threads:
        for number in range(10):
            path = _start_payment(web, merchant, capture="manual")
            answers = threads.map(
                lambda job: _post(
                    merchant, f"{path}/{job}", f"{job}-{number}"
                ).status_code,
                ("captures", "void"),
            )
            assert sorted(answers) == [202, 409]


def test_a_second_payment_of_a_reference_is_refused_while_the_first_is_open(
    web: RunningWeb, merchant: Client
) -> None:
    body = stripe_payment(reference="order-7")
    first = merchant.submit(body, key="one")
    refused = merchant.submit(body, key="two")
    assert refused.status_code == 409
    problem = refused.json()
    assert problem["code"] == "reference_in_progress"
    assert problem["payment"] == first.json()["id"]
    again = merchant.submit(body, key="one")
    assert again.headers["Idempotent-Replayed"] == "true"
    twice = {**body, "allow_duplicate_reference": True}
    assert merchant.submit(twice, key="three").status_code == 202
    assert web.client().submit(body).status_code == 202, "another merchant's order"
    web.work(first.json()["id"], DECLINED)
    assert merchant.submit(body, key="four").status_code == 202


def test_a_paid_reference_blocks_further_payments_if_the_merchant_chose_so(
    web: RunningWeb,
) -> None:
    client = web.client()
    database = web.database()
    try:
        MongoMerchants(database).change_settings(
            client.key.merchant, duplicate_policy=DuplicatePolicy.PAID
        )
    finally:
        database.client.close()
    body = stripe_payment(reference="order-9")
    made = client.submit(body).json()
    web.work(made["id"], HELD)
    assert client.submit(body).status_code == 409
    path = f"/v1/payments/{made['id']}"
    _post(client, f"{path}/refunds", "back")
    web.work(made["id"], HELD)
    assert client.get(path).json()["status"] == "refunded"
    assert client.submit(body).status_code == 202


def test_one_of_two_payments_of_a_reference_at_once_is_accepted(
    merchant: Client,
) -> None:
    with ThreadPoolExecutor(8) as threads:
        body = stripe_payment(reference="order-8")
        answers = list(
            threads.map(
                lambda number: merchant.submit(body, key=f"k-{number}").status_code,
                range(8),
            )
        )
    assert sorted(answers) == [202] + [409] * 7


def test_one_request_sent_many_times_at_once_is_a_replay_and_no_conflict(
    merchant: Client,
) -> None:
    with ThreadPoolExecutor(8) as threads:
        for number in range(10):
            body = stripe_payment(reference=f"order-{number}")
            answers = list(
                threads.map(
                    lambda _: merchant.submit(body, key=f"k-{number}"), range(8)
                )
            )
            assert [one.status_code for one in answers] == [202] * 8
            assert len({one.json()["id"] for one in answers}) == 1


def test_a_paid_reference_is_free_again_by_default(
    web: RunningWeb, merchant: Client
) -> None:
    body = stripe_payment(reference="order-6")
    made = merchant.submit(body).json()
    assert merchant.submit(body).status_code == 409
    web.work(made["id"], HELD)
    assert merchant.submit(body).status_code == 202
