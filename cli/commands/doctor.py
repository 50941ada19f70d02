"""`payments doctor`: checks of everything that the service depends on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from cli.commands.doctor_providers import providers, worker_proxies
from cli.commands.doctor_secrets import encryption, secret_files
from cli.findings import FAIL, OK, TIMEOUT, WARN, Finding, unset
from domain.circuit_breaker import CircuitBreaker
from domain.errors import StoreUnavailable
from domain.payments.submission import Mode
from domain.timestamps import format_rfc3339
from local_stack import probe
from local_stack.state import read_state
from persistence import document_faults
from persistence.circuit_breakers import MongoBreakerStore
from persistence.document_faults import FaultyDocument
from persistence.indexes import IndexComparison, compare_indexes
from runtime import processes
from runtime.settings import Settings
from runtime.settings_checks import hosts_of

#: Seconds by which clocks may differ: far below a lease (15 s), so that no worker takes
#: over another's work too early.
CLOCK_LIMIT: Final = 1.0
#: Used part of Redis's memory above which messages may soon be refused.
MEMORY_LIMIT: Final = 0.7
#: Workers send a heartbeat every 5 seconds; a worker that misses three counts as dead.
HEARTBEAT_LIMIT: Final = timedelta(seconds=20)
#: The clock skew on a process's metrics page.
_SKEW: Final = re.compile(r"^payments_clock_skew_seconds (\S+)$", re.MULTILINE)
#: Faulty documents in a finding.
FAULTS: Final = 5
#: Older releases lack the durable defaults that the service relies on.
OLDEST_MONGODB: Final = (6, 0)


def examine(settings: Settings) -> list[Finding]:
    """Runs all checks once. Faults become findings, not exceptions."""
    checks: list[Callable[[Settings], Iterator[Finding]]] = [
        _http_port,
        _redis,
        _mongodb,
        _process_clocks,
        providers,
        secret_files,
        encryption,
    ]
    return [finding for check in checks for finding in check(settings)]


def clock_finding(
    name: str, theirs: datetime, before: datetime, after: datetime
) -> Finding:
    """Compares two clocks; ``theirs`` was read between our times before and after."""
    ahead = max(theirs - after, before - theirs, timedelta()).total_seconds()
    if ahead < CLOCK_LIMIT:
        return Finding(name, OK, f"within {CLOCK_LIMIT:g} s of this machine's")
    return Finding(
        name,
        FAIL,
        f"{ahead:.1f} s away from this machine's",
        "Synchronise both clocks by NTP, because leases and schedules depend on them",
    )


def _http_port(settings: Settings) -> Iterator[Finding]:
    """Checks the API of the home's own stack, or at the settings' port without one."""
    state = read_state(settings.home)
    address = f"{probe.reachable(settings.host)}:{settings.port}"
    # With port 0 the process picks a port that is not known here.
    host = probe.reachable(settings.metrics_host)
    ready = f"http://{host}:{settings.metrics_port}/readyz"
    if state:
        address = urlsplit(state.urls["api"]).netloc
        webs = [one.ready_url for one in state.processes if one.name == "web"]
        ready = webs[0] if webs else ready  # the web process may still be starting
    none = f"no stack runs in {settings.home}"
    verdict, advice = FAIL, ""
    serves = probe.is_ready(f"http://{address}/openapi.json")
    if serves and probe.is_ready(ready):
        verdict, words = OK, f"the API at {address} accepts payments"
    elif serves and (state or settings.metrics_port):
        words = f"the API at {address} runs but cannot accept payments"
        advice = f"See what is missing: curl {ready}"
    elif serves:
        verdict, words = WARN, f"the API at {address} runs"
        advice = "Set PAYMENTS_METRICS_PORT for the service and here to check readiness"
    elif state:
        words = f"the API at {address} does not answer; its stack is {state.phase}"
        advice = "See which process is down: payments status"
    elif processes.port_is_free(settings.host, settings.port):
        verdict, words = WARN, f"{none}, and nothing listens on {address}"
        advice = "Start the service with `payments up`"
    else:
        words = f"{none}, and something else listens on {address}"
        advice = "Free the port, or set PAYMENTS_HTTP_PORT to another"
    yield Finding("http", verdict, words, advice)


def _redis(settings: Settings) -> Iterator[Finding]:
    if not settings.redis_url:
        yield unset("redis", "PAYMENTS_REDIS_URL")
        return
    with Redis.from_url(
        settings.redis_url,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        try:
            facts: dict[str, Any] = client.info("everything")
            before = datetime.now(timezone.utc)
            seconds, microseconds = client.time()
            after = datetime.now(timezone.utc)
        except RedisError as error:
            yield Finding(
                "redis",
                FAIL,
                f"{hosts_of(settings.redis_url)} does not answer"
                f" ({type(error).__name__})",
                "Start it, or correct PAYMENTS_REDIS_URL. Until then payments are"
                " accepted and wait",
            )
            return
    yield Finding("redis", OK, f"{_version(facts)} answers")
    yield from _redis_facts(facts)
    theirs = datetime.fromtimestamp(seconds + microseconds / 1e6, timezone.utc)
    yield clock_finding("redis clock", theirs, before, after)


def _version(facts: dict[str, Any]) -> str:
    """Names server and version; Valkey also reports a compatible Redis version."""
    if "valkey_version" in facts:
        return f"Valkey {facts['valkey_version']}"
    return f"version {facts['redis_version']}"


def _redis_facts(facts: dict[str, Any]) -> Iterator[Finding]:
    if facts.get("aof_enabled"):
        yield Finding("redis persistence", OK, "append-only file")
    else:
        yield Finding(
            "redis persistence",
            WARN,
            "no append-only file",
            "Set `appendonly yes`, or a restart delays the payments that were queued",
        )
    policy = str(facts.get("maxmemory_policy"))
    if policy == "noeviction":
        yield Finding("redis eviction", OK, policy)
    else:
        yield Finding(
            "redis eviction",
            FAIL,
            f"{policy} drops messages when the memory is full",
            "Set `maxmemory-policy noeviction`",
        )
    used = int(facts["used_memory"])
    limit = int(facts.get("maxmemory") or 0) or int(facts["total_system_memory"])
    share = used / limit
    text = f"{share:.0%} of {limit // 2**20} MiB in use"
    if share < MEMORY_LIMIT:
        yield Finding("redis memory", OK, text)
    else:
        yield Finding(
            "redis memory", FAIL, text, "Give it more memory, or start more workers"
        )


def _mongodb(settings: Settings) -> Iterator[Finding]:
    if not settings.mongo_url:
        yield unset("mongodb", "PAYMENTS_MONGO_URL")
        return
    with MongoClient[dict[str, Any]](
        settings.mongo_url,
        tz_aware=True,
        serverSelectionTimeoutMS=int(TIMEOUT * 1000),
        timeoutMS=int(TIMEOUT * 1000),
    ) as client:
        try:
            before = datetime.now(timezone.utc)
            hello = client.admin.command("hello")
            after = datetime.now(timezone.utc)
            version = str(client.server_info()["version"])
            workers = list(client[settings.database].workers.find())
            breakers = MongoBreakerStore(client[settings.database]).load_all().values()
            indexes = compare_indexes(client[settings.database])
            faulty = document_faults.list_latest(client[settings.database], FAULTS)
        except (PyMongoError, StoreUnavailable) as error:
            yield Finding(
                "mongodb",
                FAIL,
                f"{hosts_of(settings.mongo_url)} has no primary that answers"
                f" ({type(error).__name__})",
                "Start it, or correct PAYMENTS_MONGO_URL. No payment is accepted"
                " without it",
            )
            return
    yield from _replica_set(hello, version, settings.mode)
    # Commands answer in UTC without a time zone. Heartbeats use the same clock.
    theirs = hello["localTime"].replace(tzinfo=timezone.utc)
    yield clock_finding("mongodb clock", theirs, before, after)
    yield from _indexes(indexes)
    yield _documents(faulty)
    live = [one for one in workers if theirs - one["at"] <= HEARTBEAT_LIMIT]
    yield _workers(workers, live)
    yield from worker_proxies(live, settings)
    yield from (_open_breaker(one) for one in breakers if one.is_open)


def _process_clocks(settings: Settings) -> Iterator[Finding]:
    """Checks the clock skews that the processes of the home's own stack report."""
    state = read_state(settings.home)
    for row in state.processes if state else ():
        try:
            page = probe.fetch(row.metrics_url).decode() if row.metrics_url else ""
        except (OSError, HTTPException):
            continue
        if skew := _SKEW.search(page):
            yield skew_finding(f"{row.name} clock", float(skew[1]))


def skew_finding(name: str, skew: float) -> Finding:
    """Returns the finding of a process's clock, ``skew`` seconds ahead of MongoDB's."""
    if abs(skew) < CLOCK_LIMIT:
        return Finding(name, OK, f"within {CLOCK_LIMIT:g} s of MongoDB's")
    return Finding(
        name,
        WARN,
        f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} MongoDB's",
        "Synchronise it by NTP. Until then the process uses MongoDB's clock",
    )


def _replica_set(hello: dict[str, Any], version: str, mode: Mode) -> Iterator[Finding]:
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_MONGODB:
        yield Finding(
            "mongodb",
            FAIL,
            f"version {version} is too old",
            "Run MongoDB 6.0 or later",
        )
    else:
        yield Finding("mongodb", OK, f"version {version} answers")
    members = len(hello.get("hosts", ()))
    name = hello.get("setName")
    if not name or not hello.get("isWritablePrimary"):
        yield Finding(
            "mongodb replica set",
            FAIL,
            "not the primary of a replica set, so no write is durable",
            "Start mongod with --replSet and run rs.initiate(), and name the set in"
            " PAYMENTS_MONGO_URL by ?replicaSet=",
        )
    elif mode is Mode.LIVE and members < 3:
        yield Finding(
            "mongodb replica set",
            WARN,
            f"{name} has a majority of {members // 2 + 1} of {members}",
            "Use three members for live payments, so that one may fail",
        )
    else:
        yield Finding(
            "mongodb replica set",
            OK,
            f"{name} has a primary; a majority is {members // 2 + 1} of {members}",
        )


def _indexes(found: IndexComparison) -> Iterator[Finding]:
    missing = [one for one in found.missing if one not in found.building]
    if found.building:
        names = ", ".join(map(str, found.building))
        words = f"{names} under construction, so some queries are slow"
        yield Finding("indexes", WARN, words, "Show the progress: payments init")
    if missing:
        verdict = FAIL if any(one.unique for one in missing) else WARN
        words = f"{', '.join(map(str, missing))} missing, or with other fields"
        yield Finding("indexes", verdict, words, "Build them: payments init")
    if found.unwanted:
        words = f"{', '.join(map(str, found.unwanted))} used by no query"
        advice = "; ".join(one.drop for one in found.unwanted)
        yield Finding(
            "unused indexes", WARN, words, f"Drop them unless they are yours: {advice}"
        )
    if not found.missing:
        yield Finding("indexes", OK, "all in place")


def _documents(faulty: Sequence[FaultyDocument]) -> Finding:
    if not faulty:
        return Finding("documents", OK, "none was refused or unreadable lately")
    listed = [
        f"{one.id} of {one.collection} {one.fault} ({one.code},"
        f" {one.count} times, last {format_rfc3339(one.last_at)})"
        for one in faulty
    ]
    return Finding(
        "documents",
        FAIL,
        "; ".join(listed),
        "Correct each in MongoDB. The cause is a validator, a field of another type,"
        " the size or a missing key. Its work then continues",
    )


def _open_breaker(breaker: CircuitBreaker) -> Finding:
    return Finding(
        (
            f"{breaker.account} {breaker.call_kind} circuit breaker"
            if breaker.call_kind
            else f"{breaker.account} circuit breaker"
        ),
        WARN,
        f"open, so its {breaker.call_kind or 'payments'} wait: {breaker.reason}",
        "See `payments breakers`. A breaker that no operator opened closes by itself",
    )


def _workers(found: list[dict[str, Any]], live: list[dict[str, Any]]) -> Finding:
    """``live`` are those of ``found`` whose heartbeats are recent."""
    if live:
        slots = sum(int(one["slots"]) for one in live)
        busy = sum(int(one["busy"]) for one in live)
        # This may include a worker that has stopped since its last heartbeat.
        return Finding(
            "workers",
            OK,
            f"{len(live)} seen in the last {HEARTBEAT_LIMIT.seconds} s,"
            f" {busy} of {slots} slots busy",
        )
    if found:
        last = max(one["at"] for one in found)
        silent = f"{len(found)} silent since {format_rfc3339(last)}"
        return Finding("workers", FAIL, silent, "Start one: python -m workers")
    return Finding(
        "workers", FAIL, "no worker has reported", "Start one: python -m workers"
    )
