"""GET: one payment, lists, timelines, and long polls."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import quote

import pytest

from domain.api_keys import Role
from domain.errors import NotSent, OutcomeUnknown
from domain.money import Money
from domain.payments.answer import Answer, Failure, NextAction, Verdict
from domain.payments.submission import Mode
from tests.support.running_web import Client, RunningWeb, now, stripe_payment

CAPTURED = Answer(
    Verdict.SUCCEEDED,
    moved=Money(1999, "USD"),
    refs={"payment_intent": "pi_1", "charge": "ch_1"},
)
DECLINED = Answer(
    Verdict.DECLINED,
    failure=Failure(
        code="card_declined",
        message="Your card was declined.",
        decline_code="insufficient_funds",
        advice_code="try_again_later",
        retryable=True,
        provider_request_id="req_stripe",
    ),
)


def submitted(client: Client, **fields: object) -> str:
    return str(client.submit(stripe_payment(**fields)).json()["id"])


def test_a_captured_payment_shows_its_amounts_and_references(
    web: RunningWeb, merchant: Client
) -> None:
    payment_id = submitted(merchant)
    web.work(payment_id, CAPTURED)
    payment = merchant.get(f"/v1/payments/{payment_id}").json()
    assert payment["status"] == "captured"
    assert payment["amount_authorized"] == payment["amount_captured"] == 1999
    assert payment["provider_refs"] == {"payment_intent": "pi_1", "charge": "ch_1"}
    [operation] = payment["operations"]
    assert (operation["state"], operation["attempts"]) == ("succeeded", 1)
    assert operation["due_at"] is None


def test_a_decline_is_shown_with_its_codes(web: RunningWeb, merchant: Client) -> None:
    payment_id = submitted(merchant)
    web.work(payment_id, DECLINED)
    payment = merchant.get(f"/v1/payments/{payment_id}").json()
    assert payment["status"] == "failed"
    assert payment["last_error"] == {
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "advice_code": "try_again_later",
        "message": "Your card was declined.",
        "retryable": True,
        "provider_request_id": "req_stripe",
    }


def test_a_required_action_is_shown_with_its_page(
    web: RunningWeb, merchant: Client
) -> None:
    payment_id = submitted(merchant)
    action = NextAction("https://paypal.example/approve")
    web.work(payment_id, Answer(Verdict.ACTION_REQUIRED, next_action=action))
    payment = merchant.get(f"/v1/payments/{payment_id}").json()
    assert payment["status"] == "requires_action"
    assert payment["next_action"] == {"type": "redirect", "url": action.url}


def test_an_unknown_outcome_shows_the_end_of_safe_resends(
    web: RunningWeb, merchant: Client
) -> None:
    payment_id = submitted(merchant)
    web.work(payment_id, OutcomeUnknown())
    payment = merchant.get(f"/v1/payments/{payment_id}").json()
    [operation] = payment["operations"]
    assert (payment["status"], operation["state"]) == ("processing", "unknown")
    assert operation["safe_retry_until"] > operation["due_at"] > payment["created_at"]
    assert operation["waiting_for"]


def test_a_retry_shows_its_time_and_is_not_unknown(
    web: RunningWeb, merchant: Client
) -> None:
    payment_id = submitted(merchant)
    web.work(payment_id, NotSent())
    [operation] = merchant.get(f"/v1/payments/{payment_id}").json()["operations"]
    assert operation["state"] == "retrying"
    assert operation["due_at"] and operation["safe_retry_until"] is None


def test_an_unchanged_payment_is_not_sent_twice(
    web: RunningWeb, merchant: Client
) -> None:
    payment_id = submitted(merchant)
    path = f"/v1/payments/{payment_id}"
    tag = merchant.get(path).headers["ETag"]
    again = merchant.get(path, If_None_Match=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == tag
    web.work(payment_id, CAPTURED)
    changed = merchant.get(path, If_None_Match=tag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


@pytest.mark.parametrize(
    "payment_id", ["pay_01J00000000000000000000000", "pay_", "x", "%00", "..%2f"]
)
def test_a_missing_payment_is_not_found(merchant: Client, payment_id: str) -> None:
    for path in (f"/v1/payments/{payment_id}", f"/v1/payments/{payment_id}/events"):
        assert merchant.get(path).status_code == 404


def test_another_merchants_payment_is_not_found(
    web: RunningWeb, merchant: Client
) -> None:
    payment_id = submitted(merchant)
    stranger = web.client()
    for path in (f"/v1/payments/{payment_id}", f"/v1/payments/{payment_id}/events"):
        answer = stranger.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "payment_not_found")
    assert stranger.get("/v1/payments").json()["data"] == []


def test_the_timeline_has_every_step_in_order(
    web: RunningWeb, merchant: Client
) -> None:
    payment_id = submitted(merchant)
    web.work(payment_id, CAPTURED)
    answer = merchant.get(f"/v1/payments/{payment_id}/events").json()
    assert (answer["object"], answer["has_more"]) == ("list", False)
    events = answer["data"]
    assert [event["seq"] for event in events] == [1, 2, 3]
    assert [event["type"] for event in events] == [
        "payment.accepted",
        "attempt.sent",
        "attempt.answered",
    ]
    assert events[2]["data"]["to"] == "succeeded"
    assert all(re.fullmatch(r"\S+\.\d{3}Z", event["at"]) for event in events)


def test_a_list_is_read_page_by_page_newest_first(merchant: Client) -> None:
    made = [submitted(merchant, reference=f"order-{n}") for n in range(7)]
    read: list[str] = []
    cursor = ""
    while True:
        page = merchant.get(f"/v1/payments?limit=3{cursor}").json()
        read += [payment["id"] for payment in page["data"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        assert len(page["data"]) == 3
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(read) == sorted(made)
    assert read == sorted(read, reverse=True)


def test_a_last_page_that_is_full_has_no_more(merchant: Client) -> None:
    for _ in range(2):
        submitted(merchant)
    page = merchant.get("/v1/payments?limit=2").json()
    assert (len(page["data"]), page["has_more"]) == (2, False)


def test_a_list_is_narrowed_by_every_filter(web: RunningWeb, merchant: Client) -> None:
    stripe = submitted(merchant, reference="order-1")
    web.work(stripe, CAPTURED)
    paypal = merchant.submit(
        {"amount": 5, "currency": "EUR", "provider": "paypal", "reference": "order 2"}
    ).json()

    def ids(query: str) -> list[str]:
        answer = merchant.get(f"/v1/payments?{query}")
        assert answer.status_code == 200, answer.text
        return [payment["id"] for payment in answer.json()["data"]]

    assert ids("status=captured") == [stripe]
    assert ids("status=processing") == [paypal["id"]]
    assert ids("provider=paypal") == [paypal["id"]]
    assert ids("reference=order%202") == [paypal["id"]]
    assert ids("reference=order-1&provider=paypal") == []
    assert ids("disputed=true") == []
    assert ids("disputed=false&status=captured") == [stripe]
    at = quote(paypal["created_at"])
    assert paypal["id"] in ids(f"created[gte]={at}")
    assert paypal["id"] not in ids(f"created[lt]={at}")
    later = quote((now() + timedelta(hours=1)).isoformat())
    assert ids(f"created[gte]={later}") == []
    assert len(ids(f"created%5Blt%5D={later}")) == 2


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("status=paid", "status"),
        ("provider=adyen", "provider"),
        ("created[gte]=yesterday", "created[gte]"),
        ("created[gte]=2030-01-01T00:00:00", "created[gte]"),
        ("cursor=%21", "cursor"),
        ("cursor=_w", "cursor"),
        ("reference=%00", "reference"),
        ("disputed=1", "disputed"),
        ("page=2", "page"),
    ],
)
def test_a_wrong_parameter_is_named(
    merchant: Client, query: str, parameter: str
) -> None:
    answer = merchant.get(f"/v1/payments?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_query")
    assert [one["parameter"] for one in answer.json()["errors"]] == [parameter]


@pytest.mark.parametrize("wait", ["31", "-1", "soon"])
def test_a_wait_has_bounds(merchant: Client, wait: str) -> None:
    path = f"/v1/payments/{submitted(merchant)}?wait={wait}"
    assert merchant.get(path).status_code == 422


def test_a_read_waits_until_the_payment_is_settled(
    web: RunningWeb, merchant: Client
) -> None:
    payment_id = submitted(merchant)
    with ThreadPoolExecutor(8) as threads:
        path = f"/v1/payments/{payment_id}?wait=30"
        reads = [threads.submit(merchant.get, path) for _ in range(8)]
        web.work(payment_id, CAPTURED)
        began = time.monotonic()
        for read in reads:
            assert read.result().json()["status"] == "captured"
    assert time.monotonic() - began < 5


def test_a_read_of_a_settled_payment_does_not_wait(
    web: RunningWeb, merchant: Client
) -> None:
    payment_id = submitted(merchant)
    web.work(payment_id, DECLINED)
    began = time.monotonic()
    answer = merchant.get(f"/v1/payments/{payment_id}?wait=30")
    assert answer.json()["status"] == "failed"
    assert time.monotonic() - began < 5


def test_a_read_that_times_out_returns_the_current_payment(merchant: Client) -> None:
    payment_id = submitted(merchant)
    began = time.monotonic()
    answer = merchant.get(f"/v1/payments/{payment_id}?wait=1")
    assert answer.json()["status"] == "processing"
    assert 0.9 < time.monotonic() - began < 5


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_an_operators_key_reads_and_does_not_submit(
    web: RunningWeb, role: Role
) -> None:
    operator = web.client(role)
    assert operator.get("/v1/payments").status_code == 200
    answer = operator.submit(stripe_payment())
    assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed")


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_an_operators_key_reads_any_merchants_payment_by_its_id(
    web: RunningWeb, merchant: Client, role: Role
) -> None:
    payment_id = submitted(merchant)
    operator = web.client(role)
    for path in (f"/v1/payments/{payment_id}", f"/v1/payments/{payment_id}/events"):
        assert operator.get(path).json() == merchant.get(path).json()
    nowhere = operator.get("/v1/payments/pay_01J00000000000000000000000")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "payment_not_found")


def test_a_key_of_another_mode_gets_its_own_problem(web: RunningWeb) -> None:
    live = web.client(mode=Mode.LIVE)
    for answer in (live.get("/v1/payments"), live.submit(stripe_payment())):
        assert (answer.status_code, answer.json()["code"]) == (403, "mode_not_served")
