"""Every refusal is an RFC 9457 problem without internal details."""

from __future__ import annotations

import json

import pytest
import requests

from tests.support.running_web import Client, RunningWeb, stripe_payment


def test_a_problem_has_every_member_and_names_the_request(merchant: Client) -> None:
    answer = merchant.get("/v1/payments/pay_x", Request_Id="shop.42")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/payment_not_found",
        "title": "Payment not found",
        "status": 404,
        "detail": "You have no payment with this id, or the payment has no such"
        " operation.",
        "code": "payment_not_found",
        "request_id": "shop.42",
    }
    assert answer.headers["Request-Id"] == "shop.42"


def test_the_type_of_a_problem_leads_to_its_explanation(merchant: Client) -> None:
    problem = merchant.get("/nowhere").json()
    page = merchant.get(problem["type"])
    assert page.status_code == 200
    assert problem["title"] in page.text


def test_an_unknown_address_is_a_problem(merchant: Client) -> None:
    answer = merchant.get("/v2/payments")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_wrong_method_gets_the_allowed_ones(merchant: Client) -> None:
    answer = merchant.send("DELETE", "/v1/payments")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"],
)
def test_another_content_type_is_refused(merchant: Client, content_type: str) -> None:
    answer = merchant.send(
        "POST",
        "/v1/payments",
        data=json.dumps(stripe_payment()).encode(),
        Content_Type=content_type,
        Idempotency_Key="k",
    )
    assert answer.status_code == 415
    assert answer.json()["code"] == "content_type_not_supported"


def test_a_charset_does_not_matter(merchant: Client) -> None:
    answer = merchant.send(
        "POST",
        "/v1/payments",
        data=json.dumps(stripe_payment()),
        Content_Type="application/json; charset=utf-8",
        Idempotency_Key="k",
    )
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"amount": NaN}',
        b'{"amount": -Infinity}',
        b'{"amount": 1, "amount": 2}',
        b'{"metadata": {"a": "1", "a": "2"}}',
        b"\xff\xfe{}",
        b'\xef\xbb\xbf{"amount": 1}',
        b'{"amount": 1} trailing',
        b"{'amount': 1}",
        b'{"amount": 1e99999999999999999999}',
        b'{"amount": ' + b"9" * 5000 + b"}",
        b"[" * 60_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    ],
    ids=range(14),
)
def test_a_body_that_is_not_plain_json_is_refused(
    merchant: Client, body: bytes
) -> None:
    answer = merchant.send(
        "POST",
        "/v1/payments",
        data=body,
        Content_Type="application/json",
        Idempotency_Key="k",
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_64_kib_is_refused(merchant: Client, chunked: bool) -> None:
    body = json.dumps(stripe_payment(description="d" * 70_000)).encode()
    answer = merchant.send(
        "POST",
        "/v1/payments",
        data=iter([body]) if chunked else body,
        Content_Type="application/json",
        Idempotency_Key="k",
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_problem_lists_at_most_twenty_errors(merchant: Client) -> None:
    body = stripe_payment(**{f"field{n}": n for n in range(1000)})
    assert len(merchant.submit(body).json()["errors"]) == 20


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "api_key_required"),
        ("Bearer", "api_key_invalid"),
        ("Bearer ", "api_key_invalid"),
        ("Bearer sk_test_", "api_key_invalid"),
        ("Bearer sk_test_" + "0" * 64, "api_key_invalid"),
        ("Bearer " + "x" * 5_000, "api_key_invalid"),
        ("Basic c2s6", "api_key_invalid"),
        ("Bearer two words", "api_key_invalid"),
    ],
)
def test_a_request_without_a_live_key_is_challenged(
    web: RunningWeb, authorization: str, code: str
) -> None:
    headers = {"Authorization": authorization.strip()} if authorization else {}
    for method in ("GET", "POST"):
        answer = requests.request(
            method, f"{web.base}/v1/payments", headers=headers, timeout=10
        )
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_answer_has_its_request_id_and_safe_headers(merchant: Client) -> None:
    for path in ("/v1/payments", "/nowhere", "/docs", "/openapi.json"):
        headers = merchant.get(path).headers
        assert headers["Request-Id"].startswith("req_")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert merchant.get("/v1/payments").headers["Cache-Control"] == "no-store"
