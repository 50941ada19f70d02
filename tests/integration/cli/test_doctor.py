"""`payments doctor` against servers that are well, ill and absent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient
from redis import Redis

from cli.commands import doctor
from cli.findings import FAIL, OK, WARN, Finding
from domain.circuit_breaker import TripReason
from local_stack.initialise import initialise
from local_stack.state import StackError
from persistence import monitoring
from persistence.circuit_breakers import MongoBreakerStore
from runtime import container, processes
from runtime.settings import Settings
from runtime.settings_checks import without_credentials
from tests.support.running_stack import RunningStack


def verdicts(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in doctor.examine(settings)}


def test_a_running_stack_passes_the_check(stack: RunningStack) -> None:
    examined = stack.payments("doctor", "--json")
    found = {one["name"]: one for one in json.loads(examined.stdout)}
    assert {one["verdict"] for one in found.values()} == {"ok"}, found
    assert examined.returncode == 0
    assert urlsplit(stack.urls["api"]).netloc in found["http"]["words"]
    assert found["workers"]["words"].startswith("1 seen in the last 20 s, ")
    for name in ("web", "worker", "beat", "exporter"):
        assert found[f"{name} clock"]["words"] == "within 1 s of MongoDB's"


@pytest.mark.parametrize(
    ("skew", "words"),
    [(120.04, "120.0 s ahead of MongoDB's"), (-1.5, "1.5 s behind MongoDB's")],
)
def test_a_process_with_a_wrong_clock_is_named(skew: float, words: str) -> None:
    found = doctor.skew_finding("web clock", skew)
    assert (found.verdict, found.words) == (WARN, words)
    assert "NTP" in found.advice


def test_the_homes_own_stack_is_checked_regardless_of_the_settings_port(
    stack: RunningStack,
) -> None:
    for port in ("", str(processes.free_port())):
        environment = {**stack.environment, "PAYMENTS_HTTP_PORT": port}
        examined = replace(stack, environment=environment).payments("doctor", "--json")
        [http] = [one for one in json.loads(examined.stdout) if one["name"] == "http"]
        assert http["verdict"] == "ok"
        assert urlsplit(stack.urls["api"]).netloc in http["words"]


def test_a_stack_with_a_dead_redis_fails_with_advice(stack: RunningStack) -> None:
    nowhere = f"redis://127.0.0.1:{processes.free_port()}/0"
    environment = {**stack.environment, "PAYMENTS_REDIS_URL": nowhere}
    examined = replace(stack, environment=environment).payments("doctor")
    assert examined.returncode == 1
    assert f"fail  redis: {urlsplit(nowhere).netloc} does not answer" in examined.stdout
    assert "PAYMENTS_REDIS_URL" in examined.stdout


def test_lost_encryption_keys_are_named_and_none_are_made(settings: Settings) -> None:
    assert verdicts(settings)["encryption keys"].words == "nothing is sealed yet"
    initialise(settings)
    assert verdicts(settings)["encryption keys"].verdict == OK
    source = container.PAYMENT_KEYS.source(settings)
    source.path.unlink()
    found = verdicts(settings)["encryption keys"]
    assert (found.verdict, found.words) == (FAIL, f"{source.path} is missing")
    assert not source.path.exists()
    with pytest.raises(StackError, match="keys in .*encryption_keys do not open"):
        initialise(settings)
    assert verdicts(settings)["encryption keys"].verdict == FAIL


def test_an_open_breaker_is_a_warning_with_its_reason(settings: Settings) -> None:
    initialise(settings)
    database = container.open_database(settings)
    breakers = MongoBreakerStore(database)
    breakers.open(
        "paypal", trip_reason=TripReason.OPERATOR, reason="an audit", by="ann"
    )
    found = verdicts(settings)["paypal circuit breaker"]
    assert (found.verdict, "an audit" in found.words) == (WARN, True)
    breakers.close("paypal", reason="done", by="ann")
    assert "paypal circuit breaker" not in verdicts(settings)
    database.client.close()


def test_servers_that_are_not_configured_fail(settings: Settings) -> None:
    bare = replace(settings, redis_url="", mongo_url="", stripe_api_base="")
    found = verdicts(bare)
    for name in ("redis", "mongodb", "stripe"):
        assert found[name].verdict == FAIL
        assert "payments up" in found[name].advice


def test_a_database_that_does_not_answer_fails(settings: Settings) -> None:
    nowhere = f"mongodb://127.0.0.1:{processes.free_port()}/?directConnection=true"
    found = verdicts(replace(settings, mongo_url=nowhere))
    assert found["mongodb"].verdict == FAIL
    assert "PAYMENTS_MONGO_URL" in found["mongodb"].advice


def test_a_provider_that_cannot_be_reached_fails(settings: Settings) -> None:
    nowhere = f"http://127.0.0.1:{processes.free_port()}"
    found = verdicts(replace(settings, paypal_api_base=nowhere))
    assert found["paypal"].verdict == FAIL
    assert found["stripe"].verdict == OK


@pytest.mark.parametrize(
    ("option", "value", "name", "verdict"),
    [
        ("maxmemory-policy", "allkeys-lru", "redis eviction", FAIL),
        ("appendonly", "no", "redis persistence", WARN),
        ("maxmemory", "1500kb", "redis memory", FAIL),
    ],
)
def test_a_redis_that_may_lose_messages_is_a_finding(
    settings: Settings, option: str, value: str, name: str, verdict: str
) -> None:
    assert verdicts(settings)[name].verdict == OK
    with configured(settings.redis_url, option, value):
        found = verdicts(settings)[name]
    assert found.verdict == verdict
    assert found.advice


def test_workers_count_only_while_their_heartbeats_are_recent(
    settings: Settings,
) -> None:
    assert verdicts(settings)["workers"].words == "no worker has reported"
    now = datetime.now(timezone.utc)
    with MongoClient[dict[str, Any]](settings.mongo_url) as client:
        workers = client[settings.database].workers
        workers.insert_one(
            {"_id": "old", "at": now - timedelta(seconds=25), "slots": 9, "busy": 9}
        )
        silent = verdicts(settings)["workers"]
        workers.insert_one({"_id": "new", "at": now, "slots": 100, "busy": 7})
        alive = verdicts(settings)["workers"]
    assert (silent.verdict, silent.words[:8]) == (FAIL, "1 silent")
    assert silent.words.endswith("Z")
    assert alive == Finding(
        "workers", OK, "1 seen in the last 20 s, 7 of 100 slots busy"
    )


def test_the_proxy_of_a_running_worker_is_examined_without_the_services_settings(
    settings: Settings,
) -> None:
    """The worker's heartbeat names it; this command has another setting."""
    assert settings.provider_proxy == ""
    gone = f"http://egress:p%40ss@127.0.0.1:{processes.free_port()}"
    with MongoClient[dict[str, Any]](settings.mongo_url) as client:
        database = client[settings.database]
        shown = without_credentials(gone)
        monitoring.report_alive(database, "w1", slots=8, busy=0, proxy=shown)
        dead = verdicts(settings)["worker proxy"]
        heartbeats = list(database.workers.find())
        same = verdicts(replace(settings, provider_proxy=gone))
        place = urlsplit(settings.stripe_api_base).netloc
        monitoring.report_alive(
            database, "w1", slots=8, busy=0, proxy=f"http://{place}"
        )
        other = verdicts(settings)["worker proxy"]
        monitoring.report_alive(database, "w1", slots=8, busy=0)
        none = verdicts(settings)
    assert (dead.verdict, "cannot be reached" in dead.words) == (FAIL, True)
    assert shown in dead.words and "p%40ss" not in f"{dead} {heartbeats}"
    assert "worker proxy" not in same and same["stripe"].verdict == FAIL
    assert (other.verdict, place in other.words) == (WARN, True)
    assert "PAYMENTS_PROVIDER_PROXY" in other.advice
    assert "worker proxy" not in none


def test_a_key_file_that_others_can_read_fails(settings: Settings) -> None:
    file = settings.home / "keys" / "pepper"
    file.parent.mkdir(parents=True)
    file.write_text("secret")
    file.chmod(0o644)
    found = verdicts(settings)["key files"]
    assert (found.verdict, found.advice) == (FAIL, f"Run: chmod 600 {file}")
    file.chmod(0o600)
    assert verdicts(settings)["key files"].verdict == OK


def test_an_api_port_that_something_else_holds_fails(
    settings: Settings, stripe_url: str
) -> None:
    taken = int(stripe_url.rpartition(":")[2])
    found = verdicts(replace(settings, port=taken))["http"]
    assert found.verdict == FAIL
    assert "PAYMENTS_HTTP_PORT" in found.advice
    free = verdicts(replace(settings, port=processes.free_port()))["http"]
    assert free.verdict == WARN
    for one in (found, free):
        assert f"no stack runs in {settings.home}" in one.words


@contextmanager
def configured(url: str, option: str, value: str) -> Iterator[None]:
    """The session's Redis with another setting, put back at the end."""
    with Redis.from_url(url, decode_responses=True) as client:
        before = client.config_get(option)[option]
        client.config_set(option, value)
        try:
            yield
        finally:
            client.config_set(option, before)
