"""Operators list the breakers of provider accounts, and pause and resume accounts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from domain.account import Credentials, StoredAccount
from domain.api_keys import Role
from domain.circuit_breaker import TripReason
from domain.payments.submission import Mode, ProviderName
from persistence.accounts import MongoAccounts
from persistence.circuit_breakers import MongoBreakerStore
from runtime import container
from runtime.processes import wait_until
from tests.support.running_web import Client, RunningWeb, stripe_payment

ACCOUNTS = "/v1/operations/accounts"
JSON = "application/json"


@pytest.fixture(params=[Role.OPERATOR, Role.ADMIN])
def operator(request: pytest.FixtureRequest, web: RunningWeb) -> Iterator[Client]:
    """A client that may pause accounts; all breakers are reset before and after."""
    database = web.database()
    database.circuit_breakers.delete_many({})
    yield web.client(request.param)
    database.circuit_breakers.delete_many({})
    database.client.close()


def breaker(client: Client, provider: str = "stripe") -> dict[str, Any]:
    """A provider's breaker as it is listed."""
    answer = client.get(ACCOUNTS)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["data"]
    return next(one for one in found if one["provider"] == provider)


def test_breakers_that_never_changed_are_closed(operator: Client) -> None:
    answer = operator.get(ACCOUNTS).json()
    assert [one["provider"] for one in answer["data"]] == ["stripe", "paypal"]
    for one in answer["data"]:
        assert one == {
            "object": "circuit_breaker",
            "account": one["provider"],
            "calls": None,
            "provider": one["provider"],
            "merchant": None,
            "state": "closed",
            "trip_reason": None,
            "reason": None,
            "by": None,
            "since": None,
            "next_probe_at": None,
            "changes": [],
        }


def test_a_paused_account_shows_author_and_reason_until_it_is_resumed(
    operator: Client,
) -> None:
    opened = operator.send(
        "POST",
        f"{ACCOUNTS}/stripe/pause",
        '{"reason": "Stripe called"}',
        Content_Type=JSON,
    )
    assert opened.status_code == 200
    assert opened.json() == breaker(operator)
    assert opened.json()["state"] == "open"
    assert (opened.json()["trip_reason"], opened.json()["reason"]) == (
        "operator",
        "Stripe called",
    )
    assert opened.json()["next_probe_at"] is None
    assert operator.key.id in opened.json()["by"]
    assert breaker(operator, "paypal")["state"] == "closed"
    closed = operator.send(
        "POST", f"{ACCOUNTS}/stripe/resume", '{"reason": "all well"}', Content_Type=JSON
    )
    assert closed.json() == breaker(operator)
    assert (closed.json()["state"], closed.json()["trip_reason"]) == ("closed", None)
    changes = closed.json()["changes"]
    assert [(one["state"], one["reason"]) for one in changes] == [
        ("open", "Stripe called"),
        ("closed", "all well"),
    ]
    assert all(operator.key.id in one["by"] for one in changes)


def test_a_payment_waits_for_a_paused_account_until_it_is_resumed(
    operator: Client, merchant: Client
) -> None:
    path = merchant.submit(stripe_payment()).headers["Location"]

    def change(action: str) -> None:
        address, body = f"{ACCOUNTS}/stripe/{action}", '{"reason": "Stripe called"}'
        answer = operator.send("POST", address, body, Content_Type=JSON)
        assert answer.status_code == 200

    def waits_for(text: str | None) -> bool:
        read, [listed] = merchant.get(path), merchant.get("/v1/payments").json()["data"]
        shown = [one["operations"][0]["waiting_for"] for one in (read.json(), listed)]
        tags.append(read.headers["ETag"])
        return shown == [text, text]

    tags = list[str]()
    assert waits_for(None)
    change("pause")
    assert wait_until(
        lambda: waits_for("the circuit breaker of stripe to close"), seconds=9
    )
    assert tags[-1] != tags[0], "a conditional read gets the change"
    assert merchant.get(path, If_None_Match=tags[-1]).status_code == 304
    change("resume")
    assert wait_until(lambda: waits_for(None), seconds=9)
    assert tags[-1] == tags[0]


def test_a_breaker_that_a_worker_opened_shows_its_next_probe(
    web: RunningWeb, operator: Client
) -> None:
    database = web.database()
    MongoBreakerStore(database).open(
        ProviderName.PAYPAL,
        trip_reason=TripReason.FAILING,
        reason="9 of 9",
        by="worker",
    )
    database.client.close()
    found = breaker(operator, "paypal")
    assert (found["trip_reason"], found["reason"], found["by"]) == (
        "failing",
        "9 of 9",
        "worker",
    )
    assert found["since"] < found["next_probe_at"]


def test_one_kind_of_calls_is_paused_and_resumed_by_itself(
    operator: Client,
) -> None:
    body = '{"reason": "an audit", "calls": "refunds"}'
    opened = operator.send("POST", f"{ACCOUNTS}/stripe/pause", body, Content_Type=JSON)
    assert (opened.status_code, opened.json()["calls"]) == (200, "refunds")
    assert opened.json()["state"] == "open"
    listed = operator.get(ACCOUNTS).json()["data"]
    states = {(one["account"], one["calls"]): one["state"] for one in listed}
    assert states == {
        ("stripe", None): "closed",
        ("stripe", "refunds"): "open",
        ("paypal", None): "closed",
    }
    closed = operator.send("POST", f"{ACCOUNTS}/stripe/resume", body, Content_Type=JSON)
    assert (closed.json()["calls"], closed.json()["state"]) == ("refunds", "closed")


def test_an_account_that_is_not_paused_may_be_resumed(operator: Client) -> None:
    answer = operator.send(
        "POST", f"{ACCOUNTS}/stripe/resume", '{"reason": "sure"}', Content_Type=JSON
    )
    assert (answer.status_code, answer.json()["state"]) == (200, "closed")
    assert answer.json()["changes"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", "/stripe/pause"), ("POST", "/stripe/resume")],
)
def test_a_merchant_may_not_list_or_change_breakers(
    web: RunningWeb, operator: Client, merchant: Client, method: str, path: str
) -> None:
    body = '{"reason": "mine"}' if method == "POST" else None
    answer = merchant.send(method, ACCOUNTS + path, body, Content_Type=JSON)
    assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed")
    assert breaker(operator)["state"] == "closed"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/adyen/pause", '{"reason": "r"}', 404, "breaker_not_found"),
        ("/stripe/pause", "{}", 422, "invalid_request"),
        ("/stripe/pause", '{"reason": ""}', 422, "invalid_request"),
        ("/stripe/pause", '{"reason": 7}', 422, "invalid_request"),
        ("/stripe/pause", '{"reason": "r", "for": 5}', 422, "invalid_request"),
        ("/stripe/pause", '{"reason": "r", "calls": "x"}', 422, "invalid_request"),
        ("/stripe/pause", '{"reason": "a\\nb"}', 422, "invalid_request"),
        ("/stripe/pause", f'{{"reason": "{"r" * 501}"}}', 422, "invalid_request"),
        ("/stripe/pause", '{"reason": "4242424242424242"}', 422, "card_number_refused"),
        ("/stripe/pause", "reason", 400, "malformed_json"),
    ],
)
def test_an_invalid_pause_is_refused_and_changes_nothing(
    operator: Client, path: str, body: str, status: int, code: str
) -> None:
    answer = operator.send("POST", ACCOUNTS + path, body, Content_Type=JSON)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert breaker(operator)["state"] == "closed"


def test_a_merchants_account_is_paused_by_its_id(
    web: RunningWeb, operator: Client
) -> None:
    database = web.database()
    account = StoredAccount(
        id=container.new_id("acct"),
        merchant="a-shop",
        mode=Mode.TEST,
        provider=ProviderName.PAYPAL,
        created_at=container.clock(),
        credentials=Credentials("secret", "client"),
    )
    MongoAccounts(database, container.open_account_vault(web.settings)).add(account)
    path = f"{ACCOUNTS}/{account.id}/pause"
    opened = operator.send("POST", path, '{"reason": "audit"}', Content_Type=JSON)
    assert opened.status_code == 200
    shown = opened.json()
    assert (shown["account"], shown["provider"]) == (account.id, "paypal")
    assert (shown["merchant"], shown["state"]) == ("a-shop", "open")
    assert shown in operator.get(ACCOUNTS).json()["data"]
    assert breaker(operator)["state"] == "closed"
    gone = path.replace(account.id, container.new_id("acct"))
    answer = operator.send("POST", gone, '{"reason": "audit"}', Content_Type=JSON)
    assert (answer.status_code, answer.json()["code"]) == (404, "breaker_not_found")
    database.accounts.delete_many({})
    database.client.close()
