"""Tests of the HTTP session of all provider calls and of its failures."""

from __future__ import annotations

import ssl
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
import requests
import stripe
from requests.adapters import HTTPAdapter
from urllib3 import (
    BaseHTTPResponse,
    HTTPConnectionPool,
    HTTPResponse,
    HTTPSConnectionPool,
    PoolManager,
    Retry,
    Timeout,
)
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from providers.http import TIMEOUT, PooledSession, parse_retry_after, is_unsent
from providers.sanitize import parse_paypal_code, parse_sentence, parse_stripe_code
from providers.stripe.client import PooledClient, connection_pools

POOL = HTTPConnectionPool("127.0.0.1", 9)
REFUSED = NewConnectionError(HTTPConnection("127.0.0.1", 9), "refused")


class Witness(HTTPAdapter):
    """Answers every request itself and records it."""

    def __init__(self) -> None:
        super().__init__()
        self.options: list[dict[str, Any]] = []

    def send(  # type: ignore[override]  # requests passes all options by name
        self, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        """Answer 302 to wherever it goes."""
        self.options.append(options)
        response = requests.Response()
        response.status_code = 302
        response.headers["Location"] = "http://elsewhere.test/"
        response.request, response.url = request, request.url or ""
        response.raw = None
        response._content = b""
        return response


def observed(seen: list[tuple[str, str]], **options: Any) -> tuple[Any, Witness]:
    """A session whose calls reach a recording adapter and are reported to ``seen``."""

    def observe(call: str, status_class: str, seconds: float) -> None:
        seen.append((call, status_class))

    session, witness = (
        PooledSession(connections=3, observe=observe, **options),
        Witness(),
    )
    session.mount("http://", witness)
    return session, witness


@pytest.mark.parametrize("given", [{}, {"timeout": None}])
def test_every_call_has_both_timeouts(given: dict[str, Any]) -> None:
    session, witness = observed([])
    session.request("POST", "http://provider.test/", **given)
    assert witness.options[0]["timeout"] == TIMEOUT == (3.0, 10.0)


def test_a_session_may_have_other_timeouts_and_a_call_its_own() -> None:
    session, witness = observed([], timeout=(1.0, 2.0))
    session.request("POST", "http://provider.test/")
    session.request("POST", "http://provider.test/", timeout=(0.1, 0.2))
    assert [o["timeout"] for o in witness.options] == [(1.0, 2.0), (0.1, 0.2)]


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    session, witness = observed([])
    assert session.request("POST", "http://provider.test/").status_code == 302
    assert len(witness.options) == 1


def test_a_session_has_room_for_all_connections_and_never_retries() -> None:
    session, _ = observed([])
    adapter = session.get_adapter("https://provider.test/")
    assert adapter.max_retries.total == 0
    pool = adapter.poolmanager.connection_from_url("https://provider.test/").pool
    assert pool is not None
    assert pool.maxsize == 3


class PoolWitness(PoolManager):
    """Answers every request of urllib3 itself and records it."""

    def __init__(self) -> None:
        super().__init__()
        self.options: list[dict[str, Any]] = []

    def urlopen(  # type: ignore[override]  # its options are passed by name
        self, method: str, url: str, **options: Any
    ) -> BaseHTTPResponse:
        """Answer 302 to wherever it goes."""
        self.options.append(options)
        return HTTPResponse(BytesIO(), {"Location": "http://elsewhere.test/"}, 302)


def test_the_pools_of_stripe_have_timeouts_and_room_and_never_retry() -> None:
    pools = connection_pools(connections=3)
    pool = pools.connection_from_url("https://provider.test/")
    assert isinstance(pool, HTTPSConnectionPool) and pool.timeout is not None
    assert str(pool.timeout) == str(Timeout(*TIMEOUT))
    assert isinstance(pool.retries, Retry) and pool.retries.total is False
    assert pool.pool is not None and pool.pool.maxsize == 3
    assert (pool.ca_certs, pool.cert_reqs) == (stripe.ca_bundle_path, "CERT_REQUIRED")


def test_a_redirect_of_stripe_is_an_answer_and_no_call_has_options_of_its_own() -> None:
    seen: list[tuple[str, str]] = []
    witness = PoolWitness()
    client = PooledClient(
        witness, observe=lambda call, status_class, _: seen.append((call, status_class))
    )
    _, status, headers = client.request(
        "post", "http://stripe.test/v1/refunds/re_3MtwBwLkdIwHu7ix", {"a": "b"}, "x=1"
    )
    assert (status, headers["Location"]) == (302, "http://elsewhere.test/")
    assert seen == [("POST /v1/refunds/{id}", "3xx")]
    assert witness.options == [
        {"redirect": False, "body": b"x=1", "headers": {"a": "b"}}
    ]


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/v1/payment_intents", "/v1/payment_intents"),
        ("/v1/payment_intents/pi_3MtwBwLkdIwHu7ix", "/v1/payment_intents/{id}"),
        (
            "/v2/checkout/orders/5O190127TN364715T/capture",
            "/v2/checkout/orders/{id}/capture",
        ),
        ("/v1/oauth2/token", "/v1/oauth2/token"),
        ("/v1/payment_intents?limit=3", "/v1/payment_intents"),
    ],
)
def test_calls_are_reported_by_route_and_never_by_id(path: str, label: str) -> None:
    seen: list[tuple[str, str]] = []
    session, _ = observed(seen)
    session.request("post", f"http://provider.test{path}")
    assert seen == [(f"POST {label}", "3xx")]


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError(MaxRetryError(POOL, "/", REFUSED)),
        requests.ConnectTimeout(MaxRetryError(POOL, "/", ConnectTimeoutError("slow"))),
        requests.exceptions.SSLError(
            MaxRetryError(POOL, "/", ssl.SSLCertVerificationError("self-signed"))
        ),
    ],
)
def test_a_failed_connection_proves_that_nothing_was_sent(error: Exception) -> None:
    assert is_unsent(error)
    wrapped = RuntimeError("the SDK's own")
    wrapped.__cause__ = error
    assert is_unsent(wrapped)


@pytest.mark.parametrize(
    "error",
    [
        requests.ReadTimeout(ReadTimeoutError(POOL, "/", "slow")),
        requests.ConnectionError(ProtocolError("aborted", ConnectionResetError())),
        requests.exceptions.ChunkedEncodingError("cut off"),
        requests.exceptions.SSLError(MaxRetryError(POOL, "/", ssl.SSLEOFError())),
        ValueError("anything"),
    ],
)
def test_any_other_failure_leaves_the_outcome_unknown(error: Exception) -> None:
    assert not is_unsent(error)


def test_the_failure_of_an_earlier_call_does_not_count_for_a_later_one() -> None:
    lost = requests.ReadTimeout(ReadTimeoutError(POOL, "/", "slow"))
    lost.__context__ = REFUSED
    assert not is_unsent(lost)


def test_errors_that_contain_each_other_are_read_once() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert not is_unsent(one)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("0", timedelta()),
        ("30", timedelta(seconds=30)),
        ("3601", timedelta(hours=1)),
        ("9" * 400, timedelta(hours=1)),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_and_an_hour_at_most(
    text: str | None, wait: timedelta | None
) -> None:
    assert parse_retry_after(text) == wait


#: Of Stripe's and PayPal's published codes, with 65 characters.
LONGEST = "payment_method_microdeposit_verification_descriptor_code_mismatch"


@pytest.mark.parametrize("value", ["card_declined", "tls1_2", "x", LONGEST])
def test_a_code_is_kept(value: str) -> None:
    assert parse_stripe_code(value) == value
    assert parse_paypal_code(value.upper()) == value.upper()


@pytest.mark.parametrize(
    "value",
    [None, 17, "", "two words", "4242424242424242", "pm_1234", "x" * 81, "a\n", "ä"],
)
def test_a_text_that_is_not_a_code_is_dropped(value: object) -> None:
    assert parse_stripe_code(value) is None
    assert parse_paypal_code(value.upper() if isinstance(value, str) else value) is None


@pytest.mark.parametrize("value", ["tok_1Qab2CdEfGh", "tok_QuotedByTheProvider"])
def test_a_possible_token_is_not_a_code(value: str) -> None:
    assert parse_stripe_code(value) is parse_paypal_code(value) is None


def test_a_provider_has_codes_in_its_own_case() -> None:
    assert (
        parse_stripe_code("INSTRUMENT_DECLINED")
        is parse_paypal_code("vault_ada")
        is None
    )


def test_a_sentence_is_kept_up_to_300_characters() -> None:
    assert parse_sentence("x" * 301, otherwise="no") == "x" * 300
    assert [parse_sentence(v, otherwise="no") for v in (None, "", 17)] == ["no"] * 3


def test_a_sentence_that_quotes_card_data_is_not_kept() -> None:
    quoted = "Your card number 4242 4242 4242 4242 is not supported."
    assert parse_sentence(quoted, otherwise="no") == "no"


def test_half_a_character_is_not_kept() -> None:
    assert parse_sentence("so sad \ud83d", otherwise="no") == "so sad ?"
