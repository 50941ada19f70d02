"""Web processes with a wrong clock: accepted requests are due by MongoDB's clock."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from ulid import ULID

from domain.api_keys import Role
from domain.errors import NeedsReview
from domain.payments.answer import Answer, Verdict
from domain.payments.payment import WAKEUP_GRACE
from domain.payments.states import Status
from persistence.webhooks import MongoWebhooks
from runtime import container
from tests.suites.samples import PRICE
from tests.support.running_web import RunningWeb, now, prepared_web, stripe_payment

#: Seconds.
SKEWS = (120.0, -120.0)
SECRET = "whsec_of_the_test"
#: Time between two steps of a test on a busy machine.
SLACK = timedelta(seconds=10)
PAID = Answer(Verdict.SUCCEEDED, PRICE, {"payment_intent": "pi_1"})


def at_another_time(seconds: float) -> list[str]:
    """The command of a web process with its clock ``seconds`` ahead."""
    code = (
        "import runpy, time\n"
        "time_, time_ns = time.time, time.time_ns\n"
        f"time.time = lambda: time_() + {seconds}\n"
        f"time.time_ns = lambda: time_ns() + int({seconds} * 1e9)\n"
        "runpy.run_module('web', run_name='__main__')\n"
    )
    return [sys.executable, "-c", code]


@pytest.fixture(scope="module", params=SKEWS)
def skewed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    mongo_url: str,
    redis_url: str,
) -> Iterator[RunningWeb]:
    """A web process with a wrong clock and without workers."""
    with prepared_web(
        tmp_path_factory.mktemp("skewed"),
        mongo_url,
        redis_url,
        command=at_another_time(request.param),
        stripe_webhook_secrets=SECRET,
    ) as running:
        yield running


def is_due_now(at: datetime) -> bool:
    """Whether it became due just now, or is due within the grace of a wake-up."""
    return now() - SLACK <= at <= now() + WAKEUP_GRACE


def test_a_payment_is_due_and_carried_out_at_once(skewed: RunningWeb) -> None:
    client = skewed.client()
    payment = client.submit(stripe_payment()).json()
    stored = skewed.stored(payment["id"])
    assert stored is not None and is_due_now(stored["due_at"])
    assert now() - SLACK <= datetime.fromisoformat(payment["created_at"]) <= now()
    assert skewed.work(payment["id"], PAID).status is Status.CAPTURED


def test_a_refund_is_due_and_carried_out_at_once(skewed: RunningWeb) -> None:
    client = skewed.client()
    payment_id = client.submit(stripe_payment()).json()["id"]
    skewed.work(payment_id, PAID)
    answer = client.send(
        "POST",
        f"/v1/payments/{payment_id}/refunds",
        json.dumps({}),
        Content_Type="application/json",
        Idempotency_Key="refund",
    )
    assert answer.status_code == 202, answer.text
    stored = skewed.stored(payment_id)
    assert stored is not None and is_due_now(stored["due_at"])
    done = skewed.work(payment_id, Answer(Verdict.SUCCEEDED, PRICE, {"refund": "re_1"}))
    assert done.status is Status.REFUNDED


def test_a_webhook_is_accepted_and_due_at_once(skewed: RunningWeb) -> None:
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "livemode": False,
        "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
    }
    body = json.dumps(event)
    at = str(int(now().timestamp()))
    signature = hmac.new(SECRET.encode(), f"{at}.{body}".encode(), hashlib.sha256)
    answer = skewed.client().send(
        "POST",
        "/v1/webhooks/stripe",
        body,
        Authorization="",
        Content_Type="application/json",
        Stripe_Signature=f"t={at},v1={signature.hexdigest()}",
    )
    assert answer.status_code == 200, answer.text
    with closing(skewed.database().client) as client:
        database = client[skewed.settings.database]
        [kept] = database.webhooks.find()
        assert is_due_now(kept["due_at"])
        inbox = MongoWebhooks(
            database,
            container.open_vault(skewed.settings),
            skewed.settings.mode,
            clock=container.clock,
        )
        assert [one.event for one in inbox.load([kept["_id"]])] == ["evt_1"]


def test_a_replay_is_due_at_once(skewed: RunningWeb) -> None:
    merchant, operator = skewed.client(), skewed.client(Role.OPERATOR)
    payment_id = merchant.submit(stripe_payment()).json()["id"]
    skewed.work(payment_id, NeedsReview("odd"))

    def post(path: str, body: Any) -> Any:
        text = json.dumps(body)
        return operator.send("POST", path, text, Content_Type="application/json").json()

    made = post("/v1/operations/replays", {"merchant": merchant.key.merchant})
    post(
        f"/v1/operations/replays/{made['id']}/run",
        {"reason": "the provider is back"},
    )
    with closing(skewed.database().client) as client:
        replay = client[skewed.settings.database].replays.find_one({"_id": made["id"]})
    assert replay is not None and is_due_now(replay["next_at"])


def test_ids_sort_by_the_time_of_the_database(skewed: RunningWeb) -> None:
    payment_id = skewed.client().submit(stripe_payment()).json()["id"]
    earlier = container.new_id("pay")
    assert abs(_made_at(payment_id) - _made_at(earlier)) < SLACK


def test_the_skew_is_a_metric(skewed: RunningWeb) -> None:
    text = requests.get(f"{skewed.health}/metrics", timeout=10).text
    [skew] = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "payments_clock_skew_seconds"
    ]
    assert min(abs(skew - one) for one in SKEWS) < 1


def _made_at(name: str) -> datetime:
    return datetime.fromtimestamp(
        ULID.from_str(name.rpartition("_")[2]).timestamp, timezone.utc
    )
