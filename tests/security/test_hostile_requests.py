"""Requests that no client library sends."""

from __future__ import annotations

import socket
import uuid
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.process_usage import memory
from tests.support.running_web import Client, RunningWeb, stripe_payment


def raw(web: RunningWeb, request: bytes) -> bytes:
    """The bytes of the server's answer to ``request``, up to its end."""
    address = urlsplit(web.base)
    found = b""
    with socket.create_connection((address.hostname, address.port or 80), 10) as sent:
        try:
            sent.sendall(request)
            # The server still waits for the rest of the request.
            sent.settimeout(1)
            while part := sent.recv(65536):
                found += part
        except (ConnectionError, TimeoutError):
            pass  # it hung up on us, or waits
    return found


def alive(web: RunningWeb) -> bool:
    return requests.get(f"{web.base}/docs", timeout=10).ok


@pytest.mark.parametrize(
    "path",
    [
        "/v1/payments/",
        "/v1//payments",
        "/v1/./payments",
        "/v1/x/../payments",
        "/v1/%2e%2e/v1/payments",
        "/v1/payments%00",
        "/V1/payments",
        "/v1/payments;a=b",
        "/docs/assets/../../../../../../etc/passwd",
        "/docs/assets/..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "/docs/assets/%2e%2e/%2e%2e/__init__.py",
        "/static/openapi.py",
        "/problems/..%2f..%2fetc%2fpasswd",
    ],
)
def test_an_address_that_is_not_exact_is_not_found(
    web: RunningWeb, merchant: Client, path: str
) -> None:
    request = (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {merchant.secret}\r\n\r\n"
    )
    answer = raw(web, request.encode())
    assert answer.startswith(b"HTTP/1.1 404"), answer[:100]
    assert b"root:" not in answer and path.encode() not in answer


@pytest.mark.parametrize(
    "given",
    ["a b", "a\tb", "a;b", "é", "x" * 65, "<script>", '"quoted"', "4242424242424242"],
)
def test_an_unsafe_request_id_is_replaced(merchant: Client, given: str) -> None:
    answer = merchant.get("/docs", Request_Id=given.encode().decode("latin-1"))
    assert answer.headers["Request-Id"].startswith("req_")


def test_a_header_cannot_be_smuggled_into_an_answer(web: RunningWeb) -> None:
    for line in (
        b"Request-Id: a%0d%0aSet-Cookie: x=1",
        b"Request-Id: a\nSet-Cookie: x=1",
        b"Request-Id: a\rSet-Cookie: x=1",
    ):
        request = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        answer = raw(web, request + line + b"\r\n\r\n")
        assert b"set-cookie" not in answer.lower()
    assert alive(web)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Content-Length: 6\r\n\r\n{}",
        b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"GET /docs HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["binary", "version", "negative", "two lengths", "chunks", "header", "line"],
)
def test_malformed_http_does_no_harm(web: RunningWeb, request_bytes: bytes) -> None:
    answer = raw(web, request_bytes)
    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))
    assert alive(web)


def test_a_request_cannot_be_smuggled_inside_another(
    web: RunningWeb, merchant: Client
) -> None:
    """Content-Length against Transfer-Encoding: only one of them frames the body."""
    rider = b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n"
    request = (
        b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n"
        b"Authorization: Bearer " + merchant.secret.encode() + b"\r\n\r\n"
        b"0\r\n\r\n" + rider
    )
    answer = raw(web, request)
    # With chunked framing the rider is an honest second request; with the length it
    # would be cut in its middle. Both readings at once must not happen.
    assert answer.count(b"HTTP/1.1 ") <= 2
    assert b"202" not in answer.split(b"\r\n")[0]


@pytest.mark.parametrize("size", [100_000, 20_000_000])
def test_a_huge_body_is_refused_without_being_kept(
    web: RunningWeb, merchant: Client, size: int
) -> None:
    before = memory(web.pid)
    for _ in range(3):
        try:
            answer = merchant.send(
                "POST",
                "/v1/payments",
                data=b"x" * size,
                Content_Type="application/json",
                Idempotency_Key="k",
            )
            assert answer.status_code == 413
        except OSError:
            pass  # the answer came while we still wrote, and the connection closed
    assert memory(web.pid) - before < 30_000_000
    assert alive(web)


def test_names_special_to_python_or_mongodb_are_plain_data(
    web: RunningWeb, merchant: Client
) -> None:
    metadata = {
        "$where": "sleep(1000)",
        "__class__": "x",
        "a.b": "c",
        "{{7*7}}": "${7*7}",
        "'; drop": "--",
    }
    payment = merchant.submit(stripe_payment(metadata=metadata)).json()
    read = merchant.get(f"/v1/payments/{payment['id']}").json()
    assert read["metadata"] == metadata
    for query in ("reference[$ne]=x", "status[$ne]=x", "reference=%7B%22$ne%22:1%7D"):
        answer = merchant.get(f"/v1/payments?{query}")
        assert answer.status_code == 422 or answer.json()["data"] == []


def test_an_error_shows_no_internal_detail(merchant: Client) -> None:
    wrong = [
        merchant.submit({"amount": {"$gt": 1}}),
        merchant.submit(stripe_payment(description="\ud800")),
        merchant.get("/v1/payments/%ff%fe"),
        merchant.get("/v1/payments?cursor=AAAA"),
        merchant.get("/v1/payments?limit=" + "9" * 5000),
        merchant.submit(stripe_payment(), key=uuid.uuid4().hex, Traceparent="x" * 9000),
    ]
    for answer in wrong:
        assert answer.status_code < 500, answer.text
        for word in ("Traceback", "pymongo", "pydantic", "File ", "werkzeug", "$gt"):
            assert word not in answer.text
