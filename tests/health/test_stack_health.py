"""Stage 1: the health of a stack started by the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient, WriteConcern
from redis import Redis

from local_stack.process_table import PROGRAMS
from tests.support.running_stack import RunningStack, payments


@pytest.fixture(scope="module")
def filled(stack: RunningStack) -> dict[str, str]:
    """The addresses of the embedded servers, from the stack's state."""
    state = json.loads((stack.home / "stack.json").read_text())
    return dict(state["filled"])


def test_mongodb_is_a_primary_that_a_majority_acknowledges(
    filled: dict[str, str],
) -> None:
    durable = WriteConcern("majority", j=True, wtimeout=5000)
    with MongoClient[dict[str, Any]](filled["PAYMENTS_MONGO_URL"]) as client:
        hello = client.admin.command("hello")
        assert (hello["setName"], hello["isWritablePrimary"]) == ("rs0", True)
        written = client.get_database("health", write_concern=durable).checks
        assert written.insert_one({"at": hello["localTime"]}).acknowledged
        client.drop_database("health")


def test_redis_answers_keeps_its_data_and_drops_none(filled: dict[str, str]) -> None:
    with Redis.from_url(filled["PAYMENTS_REDIS_URL"], decode_responses=True) as client:
        assert client.ping()
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {
            "maxmemory-policy": "noeviction"
        }


def test_the_api_is_ready_to_accept(stack: RunningStack) -> None:
    health = stack.processes()["web"]["metrics_url"].removesuffix("/metrics")
    for path in ("/readyz", "/healthz"):
        assert requests.get(f"{health}{path}", timeout=5).status_code == 200
        public = requests.get(f"{stack.urls['api']}{path}", timeout=5)
        assert public.status_code == 404


@pytest.mark.parametrize("name", [one.name for one in PROGRAMS])
def test_metrics_are_scraped_from(stack: RunningStack, name: str) -> None:
    url = stack.processes()[name]["metrics_url"]
    answer = requests.get(url, timeout=5)
    assert answer.status_code == 200
    families = {one.name: one for one in text_string_to_metric_families(answer.text)}
    assert families["payments_build_info"].samples[0].value == 1


@pytest.mark.parametrize("name", ["stripe", "paypal"])
def test_metrics_are_scraped_from_the_simulator_of(
    stack: RunningStack, name: str
) -> None:
    answer = requests.get(stack.processes()[name]["metrics_url"], timeout=5)
    families = {one.name for one in text_string_to_metric_families(answer.text)}
    assert "simulator_movements" in families


MEASURED = {
    "web": {"payments_accepted", "payments_http_seconds"},
    "worker": {
        "payments_settled",
        "payments_attempts",
        "payments_queue_wait_seconds",
        "payments_end_to_end_seconds",
        "payments_provider_seconds",
        "payments_worker_slots",
        "payments_worker_busy",
    },
    "exporter": {
        "payments_due",
        "payments_oldest_due_seconds",
        "payments_unknown",
        "payments_open",
        "payments_webhooks_waiting",
    },
}


def test_each_metric_is_measured_where_its_work_is_done(stack: RunningStack) -> None:
    """A process without the measurement must not report 0."""
    line = {
        "amount": 1999,
        "currency": "USD",
        "provider": "stripe",
        "payment_method": "pm_card_visa",
        "reference": "measured",
    }
    done = payments(
        *("submit", "-", "--wait", "30"),
        environment=stack.environment,
        stdin=json.dumps(line),
    )
    assert done.returncode == 0, done.stderr
    found = {name: _sampled(stack, name) for name in MEASURED}
    for name, expected in MEASURED.items():
        assert expected <= found[name]
        others = set.union(*(found[other] for other in MEASURED if other != name))
        assert not expected & others


def _sampled(stack: RunningStack, name: str) -> set[str]:
    """The metrics of a process that have a value."""
    text = requests.get(stack.processes()[name]["metrics_url"], timeout=5).text
    families = text_string_to_metric_families(text)
    return {family.name for family in families if family.samples}
