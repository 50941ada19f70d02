"""Card numbers are refused wherever they hide, and are found nowhere afterwards.

The numbers are the card schemes' published test numbers.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any

import pytest
import requests
from redis import Redis

from domain.card_numbers import looks_like_card_number
from tests.running_web import Client, RunningWeb, stripe_payment

VISA = "4242424242424242"
MASTERCARD = "5555555555554444"
AMEX = "378282246310005"
MAESTRO = "6759649826438453"
ARABIC = VISA.translate({ord(str(n)): chr(0x660 + n) for n in range(10)})
FULL_WIDTH = VISA.translate({ord(str(n)): chr(0xFF10 + n) for n in range(10)})

DISGUISES = {
    "bare": VISA,
    "mastercard": MASTERCARD,
    "amex": AMEX,
    "maestro": MAESTRO,
    "spaces": "4242 4242 4242 4242",
    "hyphens": "4242-4242-4242-4242",
    "dots": "4242.4242.4242.4242",
    "slashes": "4242/4242/4242/4242",
    "amex groups": "3782 822463 10005",
    "every digit apart": " ".join(VISA),
    "in a sentence": f"please charge {VISA} today",
    "between letters": f"card{VISA}end",
    "url": f"https://shop.example/?card={VISA}",
    "percent-encoded": "".join(f"%{ord(digit):02x}" for digit in VISA),
    "arabic digits": ARABIC,
    "full-width digits": FULL_WIDTH,
    "zero-width spaces": "\u200b".join(VISA),
    "soft hyphens": "4242\u00ad4242\u00ad4242\u00ad4242",
    "no-break spaces": "4242\u00a04242\u00a04242\u00a04242",
    "tabs and lines": "4242\t4242\n4242\r\n4242",
    "laid out like a UUID": "42424242-4242-4242-8242-424242424242",
}
PLACES: dict[str, Any] = {
    "payment_method": lambda text: stripe_payment(payment_method=text),
    "reference": lambda text: stripe_payment(reference=text),
    "description": lambda text: stripe_payment(description=text),
    "return_url": lambda text: stripe_payment(return_url=text),
    "email": lambda text: stripe_payment(customer={"email": f"{text}@shop.example"}),
    "metadata value": lambda text: stripe_payment(metadata={"note": text}),
    "metadata name": lambda text: stripe_payment(metadata={text: "note"}),
    "currency": lambda text: stripe_payment(currency=text),
    "amount": lambda text: stripe_payment(amount=text),
    "execute_at": lambda text: stripe_payment(execute_at=text),
    "unknown field": lambda text: stripe_payment(card={"number": text}),
    "unknown name": lambda text: stripe_payment(**{text: 1}),
    "deep": lambda text: {"a": [{"b": [[{"c": text}]]}]},
    "no object": lambda text: [text],
    "alone": lambda text: text,
}


def refused(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 422, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == "card_number_refused"
    return problem


@pytest.mark.parametrize("text", DISGUISES.values(), ids=list(DISGUISES))
def test_a_card_number_is_refused_in_every_disguise(
    merchant: Client, text: str
) -> None:
    answer = merchant.submit(stripe_payment(metadata={"note": text}))
    [fault] = refused(answer)["errors"]
    assert fault["pointer"] == "/metadata/note"
    assert not re.search(r"[0-9\u0660-\u0669\uff10-\uff19]{4}", fault["detail"])


@pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))
def test_a_card_number_is_refused_in_every_place(merchant: Client, place: Any) -> None:
    answer = merchant.submit(place(VISA))
    refused(answer)
    assert VISA not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        '{"amount": 4242424242424242}',
        '{"amount": 4242424242424242.0}',
        '{"amount": 4.242424242424242e15}',
        '{"amount": 42424242424242.42}',
        '{"amount": -4242424242424242}',
        '{"amount": 0.4242424242424242}',
        '{"metadata": {"n": [4242, 4242, 4242, 4242]}}',
        '{"metadata": {"n": ["4242", "4242", "4242", "4242"]}}',
        '{"note": "\\u0034242424242424242"}',
        '{"note": "4242\\u20094242\\u20094242\\u20094242"}',
        '{"4242424242424242": {"4242424242424242": "4242424242424242"}}',
        '{"4242": {"4242": {"4242": {"4242": "5555555555554444"}}}}',
    ],
)
def test_a_card_number_is_refused_however_it_is_written(
    merchant: Client, body: str
) -> None:
    answer = merchant.send(
        "POST",
        "/v1/payments",
        data=body,
        Content_Type="application/json",
        Idempotency_Key=uuid.uuid4().hex,
    )
    refused(answer)
    assert not re.search(r"[0-9]{13}|4242/4242", answer.text.split("request_id")[0])
    assert "/4242" not in json.dumps(answer.json().get("errors"))


@pytest.mark.parametrize(
    "key", [VISA, f'"{VISA}"', f"order-{VISA}", "4242 4242 4242 4242"]
)
def test_a_card_number_as_idempotency_key_is_refused(
    merchant: Client, key: str
) -> None:
    answer = merchant.submit(stripe_payment(), key=key)
    assert refused(answer)["errors"][0]["parameter"] == "Idempotency-Key"
    assert VISA not in answer.text


def test_identifiers_and_times_are_not_taken_for_card_numbers(
    merchant: Client,
) -> None:
    harmless = [
        "6044a21e-4165-4b9e-8b4d-30f4a5551134",
        "4111111111111111aaaaaaaaaaaaaaaa",
        "2030-07-04T14:45:30.123456+02:00",
        "order-1042",
        "+49 30 901820",
        "1785600000000",
    ]
    for text in harmless:
        answer = merchant.submit(stripe_payment(reference=text))
        assert answer.status_code == 202, text


@pytest.mark.parametrize(
    "key",
    [
        "61502dee-3518-4376-8241-0ad1f6da7a63",
        "order:0572d077-725f-432c-b1a5-409831722549",
        "5d8f6cce532a7aeb57196be62344095936793400b3aeb3580d248b17d5518a86",
    ],
)
def test_a_random_key_that_passes_for_a_card_number_is_taken(
    merchant: Client, key: str
) -> None:
    """One UUID in 700 has such digits, and its payment could never be made."""
    assert looks_like_card_number(key)
    assert merchant.submit(stripe_payment(), key=key).status_code == 202


def test_a_refused_number_is_nowhere_afterwards(
    web: RunningWeb, merchant: Client
) -> None:
    """Not in the database, not in Redis, not in a log, not in a metric or an answer."""
    canary = "6011000990139424"
    told = []
    for place in PLACES.values():
        told.append(merchant.submit(place(canary)))
    told.append(merchant.submit(stripe_payment(), key=canary))
    told.append(merchant.submit(stripe_payment(), Request_Id=canary))
    told.append(merchant.submit(stripe_payment(), User_Agent=canary))
    trace = f"00-{canary}{canary}-{canary}-01"
    told.append(merchant.submit(stripe_payment(), Traceparent=trace))
    for path in (
        f"/{canary}",
        f"/v1/payments/{canary}",
        f"/v1/payments/{canary}/events",
        f"/v1/payments?reference={canary}",
        f"/v1/payments?cursor={canary}",
        f"/v1/payments?{canary}={canary}",
        f"/v1/payments?limit={canary}",
        f"/problems/{canary}",
    ):
        told.append(merchant.get(path))
        told.append(merchant.send("DELETE", path))
    told.append(merchant.get("/v1/payments", Authorization=f"Bearer {canary}"))
    told.append(merchant.send("GET", "/metrics"))
    assert {answer.status_code for answer in told} >= {202, 401, 404, 405, 422}
    for answer in told:
        assert canary not in answer.text and canary not in str(answer.headers)

    database = web.database()
    for name in database.list_collection_names():
        for document in database[name].find():
            assert canary not in repr(document), name
    database.client.close()
    with Redis.from_url(web.settings.redis_url) as redis:
        for key in redis.scan_iter():
            assert canary.encode() not in key + (redis.dump(key) or b"")
    # Lines are written in order: once the last request's is there, all are.
    last = merchant.get("/nowhere", Request_Id="the-last-one").headers["Request-Id"]
    deadline = time.monotonic() + 5
    while last not in (log := web.log.read_text()):
        assert time.monotonic() < deadline
    assert "payment_accepted" in log and canary not in log
