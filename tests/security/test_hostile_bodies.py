"""Bodies made to be expensive cost little memory and CPU, in proportion to their size.

The corpus goes to the reader of bodies; two that once stopped a process go over HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
import time
import tracemalloc
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Final

import pytest
from flask import Flask, Request
from werkzeug.test import EnvironBuilder

from domain.account import Account
from domain.errors import WebhookDropped
from domain.payments.submission import Mode, ProviderName
from providers.stripe.webhooks import StripeWebhooks
from tests.support.process_usage import cpu_seconds, peak_memory
from tests.support.running_web import Client, RunningWeb
from web import parsing
from web.models.requests import PaymentRequest
from web.problems import Problem, encode

SIZE: Final = parsing.MAX_BODY
#: Bytes of a webhook.
LARGE: Final = 1024 * 1024
#: Bytes that a body may take while it is read: its own size two hundred times.
MEMORY: Final = 16_000_000
#: Seconds of CPU of one body: ten times that of the dearest body on a slow core.
CPU: Final = 1.0
#: The allowed refusals of such a body.
REFUSALS: Final = frozenset(
    {"invalid_request", "malformed_json", "body_too_large", "card_number_refused"}
)


def _filled(unit: str, size: int) -> str:
    """``unit`` as often as it fits into ``size`` bytes."""
    return unit * (size // len(unit.encode()))


def _text(unit: str) -> Callable[[int], str]:
    """A body whose only text repeats ``unit``."""
    return lambda size: '{"a":["' + _filled(unit, size - 12) + '"]}'


def _list(unit: str) -> Callable[[int], str]:
    return lambda size: '{"a":[' + _filled(f"{unit},", size - 20) + "0]}"


def _names(form: str) -> Callable[[int], str]:
    def body(size: int) -> str:
        names = (form.format(at) for at in range(size // (len(form) + 12)))
        return "{" + ",".join(f'"{name}":0' for name in names) + "}"

    return body


#: Bodies of a size; none is a payment.
CORPUS: Final[dict[str, Callable[[int], str]]] = {
    "long name, many items": lambda size: (
        '{"' + "x" * (size // 2) + '":[' + _filled("0,", size // 2 - 20) + "0]}"
    ),
    "long names, nested": lambda size: (
        ('{"' + "x" * 2000 + '":') * (size // 2010) + "0" + "}" * (size // 2010)
    ),
    "names of the longest, nested": lambda size: (
        ('{"' + "x" * 250 + '":') * 15 + "[" + _filled("0,", 3900) + "0]" + "}" * 15
    ),
    "names": _names("n{}"),
    "long names": _names("x" * 200 + "{}"),
    "names of card numbers that are wrong": _names("4242 4242 4242 4243 {}"),
    "one name again and again": lambda size: (
        "{" + ",".join(['"a":0'] * (size // 6)) + "}"
    ),
    "empty names": lambda size: "{" + ",".join(['"":0'] * (size // 5)) + "}",
    "deep lists": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "deep lists, open": lambda size: "[" * size,
    "deep objects": lambda size: '{"a":' * (size // 6) + "0" + "}" * (size // 6),
    "empty lists": _list("[]"),
    "empty objects": _list("{}"),
    "numbers": _list("5"),
    "texts": _list('"5"'),
    "digits apart": _text("5 "),
    "digits with hyphens": _text("5-"),
    "eight digits with hyphens": _text("12345678-"),
    "groups": _text("1234 "),
    "groups with hyphens": _text("4242-"),
    "wrong card numbers": _text("4242 4242 4242 4243 "),
    "wrong card numbers, encoded": _text("%2534242424242424243 "),
    "wrong card numbers, encoded at the end": lambda size: (
        '{"a":["' + _filled("4242 4242 4242 4243 ", size - 20) + '%252541"]}'
    ),
    "wrong card numbers in one piece": _text("4242424242424243 "),
    "hexadecimal": _text("4242424242424243-abca"),
    "digits": _text("4"),
    "text expanded by NFKC": _text("\ufdfa"),
    "text expanded by NFKC, with digits": _text("\ufdfa1234567890123 "),
    "other digits": _text("\u0664"),
    "invisible": _text("4\u3164\ufe0f"),
    "percent signs": _text("%"),
    "percent signs, encoded": _text("%25"),
    "entities": _text("&#52;"),
    "ampersands": _text("&amp;"),
    "entities that are none": _text("&" + "a" * 32 + ";"),
    "entities of many digits": _text("&#" + "9" * 5000 + ";"),
    "escapes": _text("\\u0034"),
    "surrogates": _text("\\ud800"),
    "track 1, broken": _text("1234567890123 ^"),
    "track 2, broken": _text(";1234567890123="),
    "security codes, broken": _text("cvv2=x"),
    "IBANs": _text("DE89 3704 "),
    "addresses": lambda size: '{"customer":{"email":"'
    + "@a" * (size // 2 - 20)
    + '"}}',
    "big integer": lambda size: '{"amount":' + "9" * (size - 12) + "}",
    "big integers": _list("9" * 4300),
    "big decimal": lambda size: '{"amount":0.' + "9" * (size - 14) + "}",
    "exponents": _list("1e999999"),
    "exponents of many digits": _list("1e" + "9" * 100),
    "negative exponents": _list("1e-999999"),
    "an amount with an exponent": lambda size: '{"amount":1e999999}',
    "metadata that is wrong": lambda size: (
        '{"metadata":{' + ",".join(f'"{n}":{n}' for n in range(1900)) + "}}"
    ),
}


@pytest.mark.parametrize("kind", CORPUS)
def test_an_expensive_body_is_refused_within_its_ceilings(kind: str) -> None:
    body = CORPUS[kind](SIZE).encode()
    assert len(body) <= SIZE
    began = time.process_time()
    code, length = _refusal(body)
    assert time.process_time() - began < CPU
    assert code in REFUSALS
    assert length < 8_000
    tracemalloc.start()
    try:
        _refusal(body)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", CORPUS)
def test_an_expensive_webhook_is_read_within_its_ceilings(kind: str) -> None:
    """Signed webhooks have bounds too, although a sender needs the secret."""
    body = CORPUS[kind](LARGE).encode()
    assert len(body) <= LARGE
    account = Account.own(ProviderName.STRIPE)
    verifier = StripeWebhooks(lambda _: account, secrets=["whsec_test"], mode=Mode.TEST)
    now = datetime.now(timezone.utc)
    at = int(now.timestamp())
    signed = hmac.new(b"whsec_test", f"{at}.".encode() + body, hashlib.sha256)
    headers = {"stripe-signature": f"t={at},v1={signed.hexdigest()}"}
    tracemalloc.start()
    try:
        began = time.process_time()
        with pytest.raises(WebhookDropped):
            verifier.verify(headers, body, now=now)
        assert time.process_time() - began < CPU * LARGE / SIZE
        assert tracemalloc.get_traced_memory()[1] < MEMORY * LARGE / SIZE / 2
    finally:
        tracemalloc.stop()


def test_the_time_to_refuse_a_body_grows_with_its_size_alone() -> None:
    """Eight times the bytes take eight times the CPU; a square would take 64 times."""

    def seconds(kind: str, size: int) -> float:
        body = CORPUS[kind](size).encode()
        return min(_timed(body) for _ in range(5))

    for kind in CORPUS:
        small, large = seconds(kind, SIZE // 8), seconds(kind, SIZE)
        assert large < 24 * small + 0.005, kind


@pytest.mark.parametrize(
    "body",
    [
        '{"' + "x" * 32_000 + '": [' + "0, " * 10_000 + "0]}",
        '{"a": ["' + "5 " * 32_000 + '"]}',
    ],
    ids=["a long name and many items", "digits apart"],
)
def test_a_body_that_once_stopped_the_process_is_cheap(
    web: RunningWeb, merchant: Client, body: str
) -> None:
    def refused() -> int:
        answer = merchant.send(
            "POST",
            "/v1/payments",
            data=body,
            Content_Type="application/json",
            Idempotency_Key=uuid.uuid4().hex,
        )
        return answer.status_code

    assert refused() in (413, 422)
    peak, cpu = peak_memory(web.pid), cpu_seconds(web.pid)
    assert {refused() for _ in range(10)} <= {413, 422}
    assert peak_memory(web.pid) - peak < 30_000_000
    assert cpu_seconds(web.pid) - cpu < 2.0


def test_a_query_of_many_names_is_refused_with_one_error(merchant: Client) -> None:
    query = "&".join(f"n{at}=x" for at in range(2_000))
    answer = merchant.get(f"/v1/payments?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_query")
    assert len(answer.json()["errors"]) == 1


def _refusal(body: bytes) -> tuple[str, int]:
    """The code that a body is refused with, and the bytes of the answer."""
    environ = EnvironBuilder(
        method="POST", data=body, content_type="application/json"
    ).get_environ()
    with Flask(__name__).app_context(), pytest.raises(Problem) as refused:
        parsing.parse_body(Request(environ), PaymentRequest)
    return refused.value.code, len(encode(refused.value.document))


def _timed(body: bytes) -> float:
    began = time.process_time()
    _refusal(body)
    return time.process_time() - began
