"""Tests that ``post`` sends and raises the same as the SDK's ``raw_request``."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

import pytest
from stripe import StripeError
from urllib3 import HTTPResponse, PoolManager

from providers.stripe.client import PooledClient, PostClient, create_client

#: The headers that name the account, the request and the version.
HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "Stripe-Account"),
    *("Stripe-Version", "User-Agent"),
)


class Answering(PoolManager):
    """Answers every request of urllib3 itself and records it."""

    def __init__(self, body: bytes = b'{"id": "pi_1"}', status: int = 200) -> None:
        super().__init__()
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self._body, self._status = body, status

    def urlopen(  # type: ignore[override]  # its options are passed by name
        self, method: str, url: str, **options: Any
    ) -> HTTPResponse:
        """Answer with the body and a request id."""
        self.sent.append((f"{method} {url}", options))
        headers = {"Request-Id": "req_1", "Retry-After": "2"}
        return HTTPResponse(BytesIO(self._body), headers, self._status)


def client(pools: PoolManager) -> PostClient:
    """A client for a connected account."""
    return create_client(
        api_base="http://stripe.test/",
        secret_key="sk_test_1",
        transport=PooledClient(pools, observe=lambda *_: None),
        connected="acct_1",
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"amount": 1999, "confirm": True, "off_session": False, "customer": None},
        {"metadata": {"order": "a&b=c [1] {}", "empty": ""}, "expand": ["a.b", "c"]},
        {"payment_method_options": {"card": {"request_multicapture": "if_available"}}},
        {
            "description": "Zwölf Äpfel + 1 Birne\n",
            "items": [{"price": "p", "on": [1]}],
        },
    ],
)
def test_a_post_is_the_request_that_the_sdk_makes(params: dict[str, Any]) -> None:
    pools = Answering()
    posting: Any = client(pools)
    made = posting.post("/v1/refunds", params, key="op_1-1")
    posting.raw_request("post", "/v1/refunds", **params, idempotency_key="op_1-1")
    (line, ours), (sdk_line, sdks) = pools.sent
    assert line == sdk_line == "POST http://stripe.test/v1/refunds"
    assert parse_qsl(ours["body"].decode(), keep_blank_values=True) == parse_qsl(
        sdks["body"].decode(), keep_blank_values=True
    )
    assert {name: ours["headers"][name] for name in HEADERS} == {
        name: sdks["headers"][name] for name in HEADERS
    }
    assert (made.id, made.last_response.request_id) == ("pi_1", "req_1")


@pytest.mark.parametrize("code", ["card_declined", "lock_timeout", "rate_limit"])
@pytest.mark.parametrize("status", [307, 400, 401, 402, 403, 404, 409, 429, 500, 503])
def test_an_error_answer_raises_the_error_of_the_sdk(status: int, code: str) -> None:
    body = b'{"error": {"type": "card_error", "message": "No.", "code": "%s"}}'
    assert_same_error(Answering(body % code.encode(), status))


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"id":', b"[" * 100_000])
@pytest.mark.parametrize("status", [200, 502])
def test_an_answer_that_is_not_json_raises_the_error_of_the_sdk(
    body: bytes, status: int
) -> None:
    assert_same_error(Answering(body, status))


def assert_same_error(pools: PoolManager) -> None:
    """Compare the errors of ``post`` and of the SDK."""
    posting: Any = client(pools)
    with pytest.raises(StripeError) as ours:
        posting.post("/v1/refunds", {}, key="op_1-1")
    with pytest.raises(StripeError) as sdks:
        posting.raw_request("post", "/v1/refunds")
    assert ours.type is sdks.type
    assert vars(ours.value).keys() == vars(sdks.value).keys()
    for name in ("user_message", "code", "http_status", "headers", "request_id"):
        assert getattr(ours.value, name) == getattr(sdks.value, name)
