"""Replays and resolutions over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from application import operator_actions
from domain.api_keys import Role
from domain.errors import NeedsReview
from persistence.payments import MongoPayments
from runtime import container
from tests.support.fakes import MemoryQueue
from tests.support.running_stack import payments
from tests.support.running_web import Client, RunningWeb, stripe_payment

ODD = NeedsReview("odd")
FOUND = "/v1/operations/payments"
SETS = "/v1/operations/replays"


@pytest.fixture
def operator(web: RunningWeb) -> Client:
    """A client that may operate."""
    return web.client(Role.OPERATOR)


def stuck(web: RunningWeb, merchant: Client, **fields: object) -> str:
    """A payment of the merchant's that waits for a person."""
    payment_id = str(merchant.submit(stripe_payment(**fields)).json()["id"])
    web.work(payment_id, ODD)
    return payment_id


def routed(web: RunningWeb, merchant: Client) -> dict[str, object]:
    """Fields of a payment without a provider, which a merchant with an account of its
    own may leave out."""
    secret = {"PAYMENTS_ACCOUNT_SECRET": "sk_test_routed"}
    environment = {**web.settings.environment(), **secret}
    asked = ("--merchant", merchant.key.merchant, "--provider", "stripe")
    added = payments("accounts", "add", *asked, environment=environment)
    assert added.returncode == 0, added.stderr
    return {"provider": None}


def post(client: Client, path: str, body: Any) -> requests.Response:
    return client.send("POST", path, json.dumps(body), Content_Type="application/json")


def beat(web: RunningWeb) -> int:
    """One tick of the beat."""
    database = web.database()
    vault = container.open_vault(web.settings)
    store = MongoPayments(database, vault, lease_holder="beat")
    try:
        context = container.operator_context(
            web.settings,
            database,
            store=store,
            queue=MemoryQueue(),
            clock=container.clock,
        )
        return operator_actions.run_replays(context)
    finally:
        database.client.close()


def test_a_search_finds_stuck_operations_of_all_merchants(
    web: RunningWeb, merchant: Client, operator: Client
) -> None:
    first = stuck(web, merchant, reference=None)
    second = stuck(web, merchant, reference=None)
    name = merchant.key.merchant
    page = operator.get(f"{FOUND}?merchant={name}&error=ODD&limit=1").json()
    assert [one["payment"] for one in page["data"]] == [second]
    assert page["has_more"]
    [found] = operator.get(
        f"{FOUND}?merchant={name}&limit=1&cursor={page['next_cursor']}"
    ).json()["data"]
    assert (found["payment"], found["state"]) == (first, "review")
    assert (found["error"], found["replay"]) == ("odd", "resend")
    assert (found["merchant"], found["amount"]) == (name, 1999)
    assert operator.get(f"{FOUND}?merchant={name}&state=dead").json()["data"] == []


def test_a_payment_without_a_requested_provider_shows_the_routed_one(
    web: RunningWeb, merchant: Client, operator: Client
) -> None:
    """In the list of operations, in a frozen set, and in both tables."""
    payment_id = stuck(web, merchant, **routed(web, merchant))
    name = merchant.key.merchant
    for asked in ("", "&provider=stripe"):
        [found] = operator.get(f"{FOUND}?merchant={name}{asked}").json()["data"]
        assert (found["payment"], found["provider"]) == (payment_id, "stripe")
    assert not operator.get(f"{FOUND}?merchant={name}&provider=paypal").json()["data"]
    [item] = post(operator, SETS, {"merchant": name}).json()["items"]["data"]
    assert item["provider"] == "stripe"
    environment = {"PAYMENTS_URL": web.base, "PAYMENTS_API_KEY": operator.secret}
    for command in ("dead", "replay"):
        shown = payments(command, "--merchant", name, environment=environment)
        assert shown.returncode == 0, shown.stderr
        assert payment_id in shown.stdout and "stripe" in shown.stdout


def test_a_stuck_operation_without_a_requested_provider_shows_the_routed_one(
    web: RunningWeb, merchant: Client
) -> None:
    environment = {"PAYMENTS_URL": web.base, "PAYMENTS_API_KEY": merchant.secret}
    fields = {**routed(web, merchant), "reference": "routed-1"}
    job = json.dumps(stripe_payment(**fields))
    shown = payments("submit", "-", environment=environment, stdin=job)
    assert shown.returncode == 0, shown.stderr
    [line] = [one for one in shown.stdout.splitlines() if "routed-1" in one]
    assert "stripe" in line


@pytest.mark.parametrize("role", [Role.MERCHANT, Role.OPERATOR, Role.ADMIN])
def test_a_replay_needs_the_role_of_an_operator_or_admin(
    web: RunningWeb, role: Role
) -> None:
    client, allowed = web.client(role), role is not Role.MERCHANT
    answers = [
        client.get(FOUND),
        post(client, SETS, {"merchant": "nobody"}),
        client.get(f"{SETS}/rpl_{'0' * 26}"),
        post(client, f"{SETS}/rpl_{'0' * 26}/run", {"reason": "r"}),
        post(client, f"{SETS}/rpl_{'0' * 26}/cancel", {}),
        post(client, f"{FOUND}/pay_{'0' * 26}/resolve", _verdict("op_" + "0" * 26)),
    ]
    expected = [200, 201, 404, 404, 404, 404] if allowed else [403] * 6
    assert [one.status_code for one in answers] == expected


def test_a_replay_is_previewed_started_and_reported(
    web: RunningWeb, merchant: Client, operator: Client
) -> None:
    payment_id = stuck(web, merchant)
    made = post(operator, SETS, {"merchant": merchant.key.merchant})
    assert made.status_code == 201
    replay = made.json()
    where = made.headers["Location"]
    assert replay["totals"] == [
        {"action": "resend", "currency": "USD", "count": 1, "amount": 1999}
    ]
    assert (replay["stage"], replay["by"]) == ("previewed", operator.key.id)
    [item] = replay["items"]["data"]
    assert (item["payment"], item["outcome"]) == (payment_id, None)

    run = post(operator, f"{where}/run", {"reason": "the bank is back", "rate": 50})
    assert run.status_code == 202
    assert (run.json()["stage"], run.json()["rate"]) == ("running", 50)
    assert beat(web) == 1
    done = operator.get(where).json()
    assert (done["stage"], done["outcomes"]) == ("done", {"replayed": 1})
    assert (done["run_by"], done["reason"]) == (operator.key.id, "the bank is back")
    event = merchant.get(f"/v1/payments/{payment_id}/events").json()["data"][-1]
    assert event["type"] == "operation.replayed"
    assert event["data"]["by"] == operator.key.id
    again = post(operator, f"{where}/run", {"reason": "again"})
    assert (again.status_code, again.json()["reason"]) == (409, "already_done")
    assert beat(web) == 0


def test_a_canceled_replay_is_not_carried_out(
    web: RunningWeb, merchant: Client, operator: Client
) -> None:
    stuck(web, merchant)
    made = post(operator, SETS, {"merchant": merchant.key.merchant})
    where = made.headers["Location"]
    post(operator, f"{where}/run", {"reason": "r"})
    canceled = operator.send("POST", f"{where}/cancel")
    assert (canceled.status_code, canceled.json()["stage"]) == (200, "canceled")
    assert canceled.json()["canceled_by"] == operator.key.id
    assert beat(web) == 0


def test_replay_items_are_read_page_by_page(
    web: RunningWeb, merchant: Client, operator: Client
) -> None:
    ids = [stuck(web, merchant, reference=None) for _ in range(3)]
    where = post(operator, SETS, {"ids": ids}).headers["Location"]
    page = operator.get(f"{where}?limit=2").json()["items"]
    assert [one["number"] for one in page["data"]] == [1, 2]
    rest = operator.get(f"{where}?cursor={page['next_cursor']}").json()["items"]
    assert [one["payment"] for one in rest["data"]] == [ids[0]]
    assert not rest["has_more"]


def test_a_review_is_resolved_by_an_operator(
    web: RunningWeb, merchant: Client, operator: Client
) -> None:
    payment_id = stuck(web, merchant)
    [operation] = merchant.get(f"/v1/payments/{payment_id}").json()["operations"]
    path, verdict = f"{FOUND}/{payment_id}/resolve", _verdict(operation["id"])
    done = post(operator, path, verdict)
    assert (done.status_code, done.json()["status"]) == (200, "captured")
    event = merchant.get(f"/v1/payments/{payment_id}/events").json()["data"][-1]
    assert event["type"] == "operation.resolved"
    assert event["data"]["reason"] == "seen in the dashboard"
    again = post(operator, path, verdict)
    assert (again.status_code, again.json()["reason"]) == (
        409,
        "resolution_not_allowed",
    )


def test_a_negative_resolution_is_shown_to_the_merchant(
    web: RunningWeb, merchant: Client, operator: Client
) -> None:
    payment_id = stuck(web, merchant)
    [operation] = merchant.get(f"/v1/payments/{payment_id}").json()["operations"]
    no = {**_verdict(operation["id"]), "as": "declined"}
    assert post(operator, f"{FOUND}/{payment_id}/resolve", no).status_code == 200
    shown = merchant.get(f"/v1/payments/{payment_id}").json()
    assert (shown["status"], shown["last_error"]["code"]) == (
        "failed",
        "declined_by_operator",
    )
    assert operator.key.id in shown["last_error"]["message"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"state": "lost"}, "/state"),
        ({"ids": ["pay_1"]}, "/ids/0"),
        ({"amount_from": 0}, "/amount_from"),
        ({"everything": True}, "/everything"),
        ({"created_from": "yesterday"}, "/created_from"),
    ],
)
def test_an_invalid_filter_is_refused(
    operator: Client, body: Any, pointer: str
) -> None:
    answer = post(operator, SETS, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


def test_a_replay_needs_a_reason_and_a_rate_within_bounds(operator: Client) -> None:
    where = post(operator, SETS, {"merchant": "nobody"}).headers["Location"]
    for body in ({}, {"reason": ""}, {"reason": "r", "rate": 51}):
        assert post(operator, f"{where}/run", body).status_code == 422
    assert operator.get(where).json()["stage"] == "previewed"


def test_a_search_for_a_state_that_is_not_stuck_needs_a_merchant(
    operator: Client,
) -> None:
    answer = operator.get(f"{FOUND}?state=succeeded")
    assert (answer.status_code, answer.json()["reason"]) == (409, "too_wide")


def _verdict(operation: str) -> dict[str, str]:
    reason = "seen in the dashboard"
    return {"operation": operation, "as": "succeeded", "reason": reason}
