"""Card data is refused wherever it comes in, and is found nowhere afterwards.

The numbers are the card schemes' published test numbers.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from random import Random
from typing import Any

import pytest
import requests
from redis import Redis

from domain.card_numbers import NOT_A_CARD
from tests.support.card_number_lookalikes import SHAPES
from tests.support.running_web import Client, RunningWeb, stripe_payment

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
    "in a sentence": f"please charge {VISA} today",
    "between letters": f"card{VISA}end",
    "url": f"https://shop.example/?card={VISA}",
    "percent-encoded": "".join(f"%{ord(digit):02x}" for digit in VISA),
    "arabic digits": ARABIC,
    "full-width digits": FULL_WIDTH,
    "zero-width spaces": "\u200b".join(VISA),
    "soft hyphens": "4242\u00ad4242\u00ad4242\u00ad4242",
    "no-break spaces": "4242\u00a04242\u00a04242\u00a04242",
    "tabs": "4242\t4242\t4242\t4242",
    "fillers": "\u3164".join(VISA),
    "variation selectors": "\ufe0f".join(VISA),
    "after a percent sign": f"10%{MASTERCARD}",
    "percent-encoded twice": "".join(f"%25{ord(digit):02x}" for digit in VISA),
    "HTML entities": "".join(f"&#{ord(digit)};" for digit in VISA),
    "with expiry and code": "4242 4242 4242 4242 12/28 123",
    "track 1": f"%B{VISA}^DOE/JOHN^30121010000000000000?",
    "track 1 of an unknown issuer": "%B1234567890123^DOE/JOHN^3012101?",
    "track 2": ";1234567890123=30121010000000000000?",
    "track 2 of a chip": "1234567890123D30121010000000000000F",
    "security code in an address": "https://shop.example/?cvv=123",
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
        '{"amount": -4242424242424242}',
        '{"note": "\\u0034242424242424242"}',
        '{"note": "4242\\u20094242\\u20094242\\u20094242"}',
        '{"4242424242424242": {"4242424242424242": "4242424242424242"}}',
        '{"4242": {"4242": {"4242": {"4242": "5555555555554444"}}}}',
        '{"metadata": {"note": "{\\"cvv\\": \\"123\\"}"}}',
    ],
)
def test_a_card_number_is_refused_in_every_notation(
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


@pytest.mark.parametrize("shape", SHAPES)
def test_a_key_reference_or_metadata_of_a_common_shape_is_accepted(
    merchant: Client, shape: str
) -> None:
    source = Random(f"one payment {shape}")
    key, reference, note = (SHAPES[shape](source) for _ in range(3))
    body = stripe_payment(reference=reference[:100], metadata={"note": note})
    assert merchant.submit(body, key=f"k {key}"[:255]).status_code == 202


def test_an_identifier_written_like_a_card_number_is_accepted_with_a_prefix(
    merchant: Client,
) -> None:
    body = stripe_payment(reference=VISA)
    [fault] = refused(merchant.submit(body))["errors"]
    assert NOT_A_CARD in fault["detail"]
    body["reference"] = NOT_A_CARD + VISA
    answer = merchant.submit(body, key=f"order-{NOT_A_CARD}{VISA}")
    assert answer.status_code == 202
    assert answer.json()["reference"] == f"nocard_{VISA}"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (stripe_payment(metadata={"cvv": "123"}), "/metadata/cvv"),
        (stripe_payment(metadata={"cardCvc": "12"}), "/metadata/cardCvc"),
        (stripe_payment(metadata={"pin_block": "0A"}), "/metadata/pin_block"),
        (stripe_payment(metadata={"track2": "x"}), "/metadata/track2"),
        (stripe_payment(metadata={"PIN": "1234"}), "/metadata/PIN"),
        (stripe_payment(customer={"card_number": "x"}), "/customer/card_number"),
        ({"a": [{"card[cvc]": 1}]}, "/a/0/card[cvc]"),
    ],
)
def test_a_field_named_for_card_data_is_refused(
    merchant: Client, body: object, pointer: str
) -> None:
    answer = merchant.submit(body)
    assert [fault["pointer"] for fault in refused(answer)["errors"]] == [pointer]


def test_fields_that_only_sound_like_card_data_are_accepted(merchant: Client) -> None:
    metadata = {
        "pin_code_postal": "1234",
        "company": "Pancake Ltd",
        "tracking_number": "1Z999AA10123456784",
        "pinned": "1234",
        "track": "Main stage",
        "pan": "ABCDE1234F",
        "cvc_check": "pass",
    }
    answer = merchant.submit(stripe_payment(metadata=metadata))
    assert answer.status_code == 202
    assert answer.json()["metadata"] == metadata


def test_a_query_named_for_card_data_is_refused(merchant: Client) -> None:
    for query in ("cvv=123", "pin=1234", "card%5Bcvc%5D=123", f"reference={VISA}"):
        refused(merchant.get(f"/v1/payments?{query}"))


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"n": [4242, 4242, 4242, 4242]}},
        {"amount": 0.4242424242424242},
    ],
)
def test_a_card_number_in_pieces_is_refused_as_an_invalid_payment(
    merchant: Client, body: object
) -> None:
    answer = merchant.submit(body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_payment")


def test_a_refused_number_is_neither_stored_nor_logged(
    web: RunningWeb, merchant: Client
) -> None:
    """Not in the database, not in Redis, not in a log, not in a metric or an answer."""
    canary = "6011000990139424"
    answers = []
    for place in PLACES.values():
        answers.append(merchant.submit(place(canary)))
    answers.append(merchant.submit(stripe_payment(), key=canary))
    answers.append(merchant.submit(stripe_payment(), Request_Id=canary))
    answers.append(merchant.submit(stripe_payment(), User_Agent=canary))
    trace = f"00-{canary}{canary}-{canary}-01"
    answers.append(merchant.submit(stripe_payment(), Traceparent=trace))
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
        answers.append(merchant.get(path))
        answers.append(merchant.send("DELETE", path))
    answers.append(merchant.get("/v1/payments", Authorization=f"Bearer {canary}"))
    answers.append(requests.get(f"{web.health}/metrics", timeout=10))
    assert {answer.status_code for answer in answers} >= {202, 401, 404, 405, 422}
    for answer in answers:
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
