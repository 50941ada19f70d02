"""Dead letters and reviews on a running stack: found, previewed, replayed once."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from pymongo import MongoClient
from pymongo.database import Database

from local_stack.state import read_state
from runtime.container import clock
from runtime.processes import wait_until
from tests.support.running_stack import RunningStack
from tests.support.stack_shop import Shop

INTENTS = {"method": "POST", "path": "/v1/payment_intents"}
#: More than any test makes.
ALWAYS = 100_000
#: Seconds until a payment reaches its state, with the waits between attempts.
DRIVE = 60.0


@pytest.fixture
def shop(stack: RunningStack) -> Shop:
    return Shop(stack)


@pytest.fixture
def database(stack: RunningStack) -> Iterator[Database[dict[str, Any]]]:
    """The stack's own, to let days pass in."""
    state = read_state(stack.home)
    assert state is not None
    with MongoClient[dict[str, Any]](state.filled["PAYMENTS_MONGO_URL"]) as client:
        yield client["payments"]


def aged(
    database: Database[dict[str, Any]], payment_id: str, until: str, **fields: Any
) -> bool:
    """Changes an operation outside claims, and makes it due at once.

    One that has come to the state ``until`` is left alone: work on it would move it on.
    """
    now = clock()
    changed = {f"operations.0.{name}": value for name, value in fields.items()}
    due = {"due_at": now, "operations.0.due_at": now}
    result = database.payments.update_one(
        {
            "_id": payment_id,
            "lease_holder": None,
            "operations.0.state": {"$nin": ["queued", until]},
        },
        {"$set": {**changed, **due}, "$inc": {"version": 1}},
    )
    return bool(result.matched_count)


def drive(
    shop: Shop, database: Database[Any], payment_id: str, state: str, **fields: Any
) -> None:
    """Lets days pass for a payment until it is in ``state``."""

    def there() -> bool:
        if shop.get(payment_id)["operations"][0]["state"] == state:
            return True
        aged(database, payment_id, state, **fields)
        return False

    assert wait_until(there, seconds=DRIVE), shop.get(payment_id)


def read_json(shop: Shop, *arguments: str) -> dict[str, Any]:
    """The JSON output of a command."""
    done = shop.stack.payments(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_set_of_dead_letters_and_reviews_is_replayed_and_each_is_charged_once(
    shop: Shop, database: Database[dict[str, Any]]
) -> None:
    long_ago = clock() - timedelta(days=5)
    with shop.fault("stripe", do="rate_limit", times=ALWAYS, match=INTENTS):
        dead = shop.accepted()
        drive(shop, database, dead, "dead", started_at=long_ago)
    with shop.fault("stripe", do="commit_then_drop", times=1, match=INTENTS):
        # A webhook would resolve it without a replay.
        with (
            shop.fault("stripe", do="drop", times=ALWAYS),
            shop.fault("stripe", do="webhooks", how="drop", times=ALWAYS),
        ):
            review = shop.accepted()
            assert wait_until(lambda: _charges(shop, review) == 1, seconds=DRIVE)
            past = {"lookups_since": long_ago, "send.window_ends_at": long_ago}
            drive(shop, database, review, "review", **past)

    found = read_json(shop, "dead", "--merchant", "demo")["data"]
    states = {one["payment"]: (one["state"], one["replay"]) for one in found}
    assert states[dead] == ("dead", "resend")
    assert states[review] == ("review", "lookup")

    preview = read_json(shop, "replay", dead, review)
    assert preview["stage"] == "previewed"
    assert {(one["action"], one["amount"]) for one in preview["totals"]} == {
        ("resend", 1999),
        ("lookup", 1999),
    }
    assert shop.get(dead)["operations"][0]["state"] == "dead"

    done = read_json(shop, "replay", preview["id"], "--reason", "the bank is back")
    assert (done["stage"], done["outcomes"]) == ("done", {"replayed": 2})
    for payment_id in (dead, review):
        assert shop.settled(payment_id, seconds=DRIVE)["status"] == "captured"
        assert _charges(shop, payment_id) == 1

    again = shop.stack.payments("replay", preview["id"], "--reason", "again")
    assert again.returncode == 1 and "has been carried out" in again.stderr
    assert [_charges(shop, one) for one in (dead, review)] == [1, 1]
    events = read_json(shop, "show", dead)["events"]
    [replayed] = [one for one in events if one["type"] == "operation.replayed"]
    assert replayed["data"]["reason"] == "the bank is back"
    assert replayed["data"]["by"].startswith("key_")


def test_a_refund_that_failed_later_is_found_by_a_replay_and_can_be_repeated(
    shop: Shop,
) -> None:
    payment_id = shop.accepted(token="pm_card_refundFail")
    assert shop.settled(payment_id, seconds=DRIVE)["status"] == "captured"
    assert _refund(shop, payment_id) == 202

    def refunded() -> bool:
        return bool(shop.get(payment_id)["amount_refunded"] == 1999)

    assert wait_until(refunded, seconds=DRIVE), shop.get(payment_id)
    assert _refund(shop, payment_id) == 409
    url = f"{shop.stack.urls['stripe']}/_clock"
    with shop.fault("stripe", do="webhooks", how="drop", times=ALWAYS):
        requests.post(url, json={"advance_seconds": 90_000}, timeout=10)

    empty = shop.stack.payments("replay", payment_id)
    assert empty.returncode == 0 and "is empty" in empty.stdout
    preview = read_json(shop, "replay", payment_id, "--state", "succeeded")
    assert {one["action"] for one in preview["totals"]} == {"lookup"}
    read_json(shop, "replay", preview["id"], "--reason", "the payer asks where it is")

    def corrected() -> bool:
        states = [one["state"] for one in shop.get(payment_id)["operations"]]
        return states == ["succeeded", "declined"]

    assert wait_until(corrected, seconds=DRIVE), shop.get(payment_id)
    assert shop.get(payment_id)["status"] == "captured"
    types = [one["type"] for one in read_json(shop, "show", payment_id)["events"]]
    assert "operation.corrected" in types
    assert _refund(shop, payment_id) == 202


def _charges(shop: Shop, payment_id: str) -> int:
    return len(shop.movements("stripe", payment_id))


def _refund(shop: Shop, payment_id: str) -> int:
    answer = requests.post(
        f"{shop.stack.urls['api']}/v1/payments/{payment_id}/refunds",
        headers={
            "Authorization": f"Bearer {shop.stack.key}",
            "Idempotency-Key": secrets.token_hex(16),
        },
        timeout=10,
    )
    return answer.status_code
