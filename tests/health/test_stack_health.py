"""Stage 1: the servers of a stack that was started as a user does are well."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient, WriteConcern
from redis import Redis

from runtime.stack.process_table import PROGRAMS
from tests.running_stack import RunningStack


@pytest.fixture(scope="module")
def filled(stack: RunningStack) -> dict[str, str]:
    """The addresses of the embedded servers, as the stack's state has them."""
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
    assert requests.get(f"{stack.urls['api']}/readyz", timeout=5).status_code == 200
    assert requests.get(f"{stack.urls['api']}/healthz", timeout=5).status_code == 200


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
