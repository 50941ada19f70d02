"""POST /v1/payments: requests, answers and stored payments."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.support.running_web import Client, RunningWeb, now, stripe_payment

FULL = stripe_payment(
    capture="automatic",
    description="Two tickets",
    return_url="https://shop.example/done",
    customer={"email": "ada@example.com", "id": "cus_ada"},
    off_session=False,
    setup_future_usage="off_session",
    multicapture=False,
    metadata={"basket": "77", "a.b": "$dollar", "$where": ""},
    execute_at=None,
)


def test_a_payment_is_answered_with_its_address_and_is_stored(
    web: RunningWeb, merchant: Client
) -> None:
    answer = merchant.submit(FULL)
    assert answer.status_code == 202
    payment = answer.json()
    assert answer.headers["Location"] == f"/v1/payments/{payment['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert "Idempotent-Replayed" not in answer.headers
    stored = web.stored(payment["id"])
    assert stored is not None
    assert (stored["amount"], stored["currency"]) == (1999, "USD")
    assert stored["merchant"] == merchant.key.merchant


def test_a_new_payment_is_shown_as_documented(merchant: Client) -> None:
    payment = merchant.submit(FULL).json()
    [operation] = payment.pop("operations")
    created_at = payment["created_at"]
    assert created_at.endswith("Z")
    assert payment == {
        "id": payment["id"],
        "object": "payment",
        "livemode": False,
        "status": "processing",
        "amount": 1999,
        "currency": "USD",
        "amount_authorized": 0,
        "amount_captured": 0,
        "amount_refunded": 0,
        "amount_capturable": 0,
        "amount_disputed": 0,
        "disputes": [],
        "amount_fee": None,
        "fee_currency": None,
        "authorization": None,
        "provider": "stripe",
        "account": "stripe",
        "provider_refs": {},
        "next_action": None,
        "last_error": None,
        "saved_method": None,
        "reference": FULL["reference"],
        "metadata": FULL["metadata"],
        "created_at": created_at,
        "updated_at": created_at,
    }
    assert operation == {
        "id": operation["id"],
        "kind": "charge",
        "amount": 1999,
        "state": "queued",
        "attempts": 0,
        "due_at": operation["due_at"],
        "safe_retry_until": None,
        "target": None,
        "final": False,
        "fee": None,
        "fee_currency": None,
        "provider_refs": {},
        "waiting_for": None,
        "source": "api",
    }
    assert operation["due_at"] > created_at


@pytest.mark.parametrize("again", ["same-key", '"same-key"'])
def test_the_same_key_and_body_give_the_same_payment(
    merchant: Client, again: str
) -> None:
    first = merchant.submit(FULL, key="same-key")
    second = merchant.submit(FULL, key=again)
    assert second.status_code == 202
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json() == first.json()


def test_null_and_absent_are_the_same_body(merchant: Client) -> None:
    body = stripe_payment()
    first = merchant.submit(body, key="k")
    second = merchant.submit({**body, "execute_at": None, "metadata": None}, key="k")
    assert second.json()["id"] == first.json()["id"]


def test_the_same_key_with_another_body_is_refused_and_changes_nothing(
    web: RunningWeb, merchant: Client
) -> None:
    first = merchant.submit(stripe_payment(), key="k").json()
    second = merchant.submit(stripe_payment(amount=2000), key="k")
    assert second.status_code == 422
    assert second.json()["code"] == "idempotency_key_reused"
    stored = web.stored(first["id"])
    assert stored is not None and stored["amount"] == 1999


def test_equal_keys_of_two_merchants_are_independent(
    web: RunningWeb, merchant: Client
) -> None:
    ids = {one.submit(FULL, key="k").json()["id"] for one in (merchant, web.client())}
    assert len(ids) == 2


def test_concurrent_requests_with_one_key_make_one_payment(
    web: RunningWeb, merchant: Client
) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: merchant.submit(FULL, key="k"), range(32)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    fresh = [one for one in answers if "Idempotent-Replayed" not in one.headers]
    assert len(fresh) == 1
    assert len(merchant.get("/v1/payments").json()["data"]) == 1


def test_a_scheduled_payment_is_due_at_its_requested_time(merchant: Client) -> None:
    at = (now() + timedelta(days=1)).replace(microsecond=0)
    asked = at.astimezone().isoformat()
    answer = merchant.submit(stripe_payment(execute_at=asked))
    assert answer.status_code == 202, answer.text
    [operation] = answer.json()["operations"]
    assert operation["due_at"] == at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_paypal_needs_no_payment_method(merchant: Client) -> None:
    body = {"amount": 500, "currency": "EUR", "provider": "paypal"}
    assert merchant.submit(body).status_code == 202


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"amount": "1999"}, "/amount", "int_type"),
        ({"amount": 19.99}, "/amount", "int_type"),
        ({"amount": 1999.0}, "/amount", "int_type"),
        ({"amount": True}, "/amount", "int_type"),
        ({"amount": None}, "/amount", "int_type"),
        ({"amount": 0}, "/amount", "greater_than_equal"),
        ({"amount": -1}, "/amount", "greater_than_equal"),
        ({"amount": 100_000_000}, "/amount", "not_possible"),
        ({"amount": 2**53}, "/amount", "less_than_equal"),
        ({"currency": "usd"}, "/currency", "form"),
        ({"currency": "XTS"}, "/currency", "not_possible"),
        ({"currency": "KWD"}, "/amount", "not_possible"),
        ({"provider": "adyen"}, "/provider", "literal_error"),
        ({"capture": "later"}, "/capture", "literal_error"),
        ({"payment_method": "pm card"}, "/payment_method", "form"),
        ({"payment_method": None}, "/payment_method", "not_possible"),
        ({"reference": "r" * 101}, "/reference", "string_too_long"),
        ({"reference": "line\nbreak"}, "/reference", "form"),
        ({"description": "d" * 501}, "/description", "string_too_long"),
        ({"description": "nul\x00"}, "/description", "form"),
        ({"description": "\ud800"}, "/description", "string_unicode"),
        ({"return_url": "javascript:alert(1)"}, "/return_url", "form"),
        ({"return_url": "https://user:pw@shop.example"}, "/return_url", "form"),
        ({"return_url": "https://e/" + "x" * 2000}, "/return_url", "string_too_long"),
        ({"customer": {"email": "ada"}}, "/customer/email", "form"),
        ({"customer": {"name": "Ada"}}, "/customer/name", "additional"),
        ({"metadata": {"n": 7}}, "/metadata/n", "string_type"),
        ({"metadata": {"k" * 41: "v"}}, "/metadata", "string_too_long"),
        ({"metadata": {"k": "v" * 501}}, "/metadata/k", "string_too_long"),
        ({"metadata": {f"k{n}": "" for n in range(51)}}, "/metadata", "too_long"),
        ({"metadata": ["a"]}, "/metadata", "dict_type"),
        ({"execute_at": "2030-01-01T00:00:00"}, "/execute_at", "form"),
        ({"execute_at": "2030-13-01T00:00:00Z"}, "/execute_at", "form"),
        ({"execute_at": "0001-01-01T00:00:00+23:00"}, "/execute_at", "form"),
        ({"execute_at": 1893456000}, "/execute_at", "form"),
        ({"execute_at": "2999-01-01T00:00:00Z"}, "/execute_at", "not_possible"),
        ({"amuont": 5}, "/amuont", "additional"),
        ({"a/b~c": 5}, "/a~1b~0c", "additional"),
        ({"u" * 65: 5}, "", "additional"),
    ],
)
def test_a_wrong_field_is_named_by_its_pointer(
    merchant: Client, fields: dict[str, Any], pointer: str, code: str
) -> None:
    answer = merchant.submit(stripe_payment(**fields))
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["code"] == "invalid_payment"
    [fault] = problem["errors"]
    assert (fault["pointer"], fault["code"]) == (pointer, code)
    assert fault["detail"]


def test_every_missing_field_is_named(merchant: Client) -> None:
    problem = merchant.submit({}).json()
    assert {(fault["pointer"], fault["code"]) for fault in problem["errors"]} == {
        ("/amount", "required"),
        ("/currency", "required"),
    }


def test_the_provider_is_required_of_a_merchant_without_own_accounts(
    merchant: Client,
) -> None:
    named = stripe_payment()
    unnamed = {name: one for name, one in named.items() if name != "provider"}
    for body in (unnamed, {**named, "provider": None}):
        answer = merchant.submit(body)
        assert answer.status_code == 422
        [fault] = answer.json()["errors"]
        assert fault["pointer"] == "/provider"


def test_paypal_refuses_a_currency_it_does_not_take(merchant: Client) -> None:
    body = {"amount": 500, "currency": "KRW", "provider": "paypal"}
    problem = merchant.submit(body).json()
    assert problem["errors"][0]["pointer"] == "/currency"


@pytest.mark.parametrize("body", [[], "text", 7, None, True])
def test_a_body_that_is_no_object_is_refused(merchant: Client, body: object) -> None:
    answer = merchant.send(
        "POST",
        "/v1/payments",
        data=json.dumps(body),
        Content_Type="application/json",
        Idempotency_Key="k",
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_payment")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "idempotency_key_required"),
        ("k" * 256, "idempotency_key_malformed"),
        ('"unbalanced', "idempotency_key_malformed"),
        ('""', "idempotency_key_malformed"),
    ],
)
def test_a_request_without_a_proper_key_is_refused(
    merchant: Client, given: str, code: str
) -> None:
    answer = merchant.send(
        "POST",
        "/v1/payments",
        data="{}",
        Content_Type="application/json",
        Idempotency_Key=given,
    )
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize("key", ["k" * 255, "a key, with: ~!", '"a \\"quoted\\" key"'])
def test_unusual_keys_are_accepted(merchant: Client, key: str) -> None:
    assert merchant.submit(stripe_payment(), key=key).status_code == 202


def test_a_trace_context_and_a_request_id_are_kept_with_the_payment(
    web: RunningWeb, merchant: Client
) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = merchant.submit(stripe_payment(), Traceparent=trace, Request_Id="shop-1")
    stored = web.stored(answer.json()["id"])
    assert stored is not None
    origin = stored["operations"][0]["origin"]
    assert origin["traceparent"] == trace
    assert origin["request_id"] == answer.headers["Request-Id"] == "shop-1"


def test_a_malformed_trace_context_is_ignored(
    web: RunningWeb, merchant: Client
) -> None:
    answer = merchant.submit(stripe_payment(), Traceparent="00-zz-1-01")
    stored = web.stored(answer.json()["id"])
    assert stored is not None
    assert stored["operations"][0]["origin"]["traceparent"] is None
