"""Quotas and long polls over HTTP, with Redis available, hanging and absent."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
import requests
from redis import Redis

from application.api_keys import create_key
from runtime import container, processes
from runtime.queue.wakeups import connect_redis
from runtime.quotas import UNSHARED_PART, QuotaName, Quotas
from runtime.settings import Settings
from tests.support.running_web import (
    Client,
    RunningWeb,
    now,
    prepared_web,
    running_web,
    stripe_payment,
)

KEY, MERCHANT, ADDRESS, WEBHOOKS = 30, 40, 20, 10
SECRET = "whsec_of_the_test"
#: Places for waiting reads: half of the threads.
PLACES = 4


@pytest.fixture(scope="module")
def web(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str, redis_url: str
) -> Iterator[RunningWeb]:
    """A web process with small quotas, behind a proxy on this machine."""
    with prepared_web(
        tmp_path_factory.mktemp("quotas"),
        mongo_url,
        redis_url,
        web_threads=2 * PLACES,
        rate_key=f"{KEY}/hour",
        rate_merchant=f"{MERCHANT}/hour",
        rate_address=f"{ADDRESS}/hour",
        rate_webhooks=f"{WEBHOOKS}/hour",
        trusted_proxies="127.0.0.0/8",
        stripe_webhook_secrets=SECRET,
    ) as running:
        yield running


def another_address() -> str:
    """An address that no test has used."""
    return f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}::1"


def sibling(web: RunningWeb, client: Client) -> Client:
    """Another key of the same merchant."""
    with closing(web.database().client) as connected:
        keys = container.open_keys(web.settings, connected[web.settings.database])
        key, secret = create_key(
            merchant=client.key.merchant,
            role=client.key.role,
            mode=client.key.mode,
            store=keys,
            now=container.clock(),
        )
    return replace(client, key=key, secret=secret)


def remaining(answer: requests.Response, quota: str) -> int:
    """The remaining requests in an answer."""
    found = re.search(rf'"{quota}";r=(\d+);t=\d+', answer.headers["RateLimit"])
    assert found, answer.headers["RateLimit"]
    return int(found[1])


def refused(answer: requests.Response, quota: str) -> bool:
    """Whether an answer is a 429, which must be for that quota."""
    if answer.status_code != 429:
        return False
    problem = answer.json()
    assert (problem["code"], problem["quota"]) == ("too_many_requests", quota)
    assert 1 <= int(answer.headers["Retry-After"]) <= 3600
    assert remaining(answer, quota) == 0
    return True


def test_a_key_and_its_merchant_have_quotas(web: RunningWeb) -> None:
    client = web.client()
    for left in reversed(range(KEY)):
        answer = client.get("/v1/payments")
        assert answer.status_code == 200
        assert remaining(answer, "key") == left
    policy = f'"key";q={KEY};w=3600, "merchant";q={MERCHANT};w=3600'
    assert answer.headers["RateLimit-Policy"] == policy
    assert refused(client.get("/v1/payments"), "key")
    assert refused(client.submit(stripe_payment()), "key"), "of every call"
    other = sibling(web, client)
    for _ in range(MERCHANT - KEY):
        assert other.get("/v1/payments").status_code == 200
    assert refused(other.get("/v1/payments"), "merchant")
    assert web.client().submit(stripe_payment()).status_code == 202


def test_an_address_without_a_valid_key_has_a_quota(web: RunningWeb) -> None:
    client, address = web.client(), another_address()
    assert client.get("/v1/payments", X_Forwarded_For=address).status_code == 200
    forged = replace(client, secret=client.secret[:-1] + "x")
    for _ in range(ADDRESS):
        assert forged.get("/v1/payments", X_Forwarded_For=address).status_code == 401
    assert refused(forged.get("/v1/payments", X_Forwarded_For=address), "address")
    neighbour = address.replace("::1", "::2:1")
    bare = client.get("/docs", Authorization="", X_Forwarded_For=neighbour)
    assert refused(bare, "address"), "the whole network, on every page"
    known = client.get("/v1/payments", X_Forwarded_For=address)
    assert known.status_code == 200, "a recently valid key is admitted"
    other = forged.get("/v1/payments", X_Forwarded_For=another_address())
    assert other.status_code == 401


def webhook(web: RunningWeb, address: str, secret: str) -> requests.Response:
    """An event signed with ``secret``."""
    event = {
        "id": f"evt_{uuid.uuid4().hex}",
        "object": "event",
        "type": "payment_intent.succeeded",
        "livemode": False,
        "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
    }
    body, at = json.dumps(event), int(now().timestamp())
    signature = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256)
    return requests.post(
        f"{web.base}/v1/webhooks/stripe",
        data=body,
        headers={
            "Stripe-Signature": f"t={at},v1={signature.hexdigest()}",
            "X-Forwarded-For": address,
        },
        timeout=10,
    )


def test_forged_webhooks_use_up_the_quota_of_their_own_address(
    web: RunningWeb,
) -> None:
    flood, provider = another_address(), another_address()
    statuses = [webhook(web, flood, "guessed").status_code for _ in range(2 * WEBHOOKS)]
    assert statuses == [401] * WEBHOOKS + [429] * WEBHOOKS
    assert refused(webhook(web, flood, SECRET), "webhooks")
    assert webhook(web, provider, SECRET).status_code == 200


def test_two_processes_share_a_quota(web: RunningWeb) -> None:
    client = web.client()
    with running_web(web.settings) as second:
        there = replace(client, base=second.base)
        for _ in range(KEY - 10):
            client.get("/v1/payments")
        seen = KEY
        for _ in range(KEY // UNSHARED_PART + 1):
            seen = remaining(there.get("/v1/payments"), "key")
        deadline = time.monotonic() + 10
        while seen > 10 - KEY // UNSHARED_PART and time.monotonic() < deadline:
            time.sleep(1)  # each read is a request, and few are left
            seen = remaining(there.get("/v1/payments"), "key")
        assert seen < 10, "it has the count of the first process"


def test_a_forged_count_leaves_each_process_a_part(
    web: RunningWeb, redis_url: str
) -> None:
    client = web.client()
    with Redis.from_url(redis_url) as redis:
        window = int(now().timestamp() // 3600)
        name = f"payments:quota:key:{client.key.id}:{window}"
        redis.set(name, 10**12)
        for _ in range(KEY // UNSHARED_PART):
            assert client.get("/v1/payments").status_code == 200
        assert client.get("/v1/payments").status_code == 200

        def is_refused() -> bool:
            return client.get("/v1/payments").status_code == 429

        assert processes.wait_until(is_refused, seconds=10), "the count is shared"


@pytest.mark.parametrize("forged", ["list", "text"])
def test_a_malformed_count_is_ignored(redis_database: str, forged: str) -> None:
    settings = replace(Settings(), redis_url=redis_database)
    quotas = opened(settings)
    window = int(now().timestamp() // 3600)
    with Redis.from_url(redis_database) as redis:
        key = f"payments:quota:key:a:{window}"
        if forged == "list":
            redis.lpush(key, "x")
        else:
            redis.set(key, "x")
    for _ in range(100):
        usage = quotas.hit(QuotaName.KEY, "a")
        assert usage is not None and not usage.is_exceeded
    usage = quotas.hit(QuotaName.KEY, "a")
    assert usage is not None and usage.is_exceeded


def opened(settings: Settings) -> Quotas:
    """Quotas of 100 an hour."""
    return Quotas(
        {QuotaName.KEY: "100/hour", QuotaName.MERCHANT: "off"},
        connect_redis(settings),
        clock=time.time,
        share_period=0.01,
    )


@pytest.mark.parametrize("state", ["hanging", "absent"])
def test_an_unresponsive_redis_neither_slows_nor_refuses_requests(
    state: str, caplog: pytest.LogCaptureFixture
) -> None:
    of_other_tests = {thread.ident for thread in threading.enumerate()}
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.1", 0))
        if state == "hanging":
            listener.listen()  # it accepts the connection and never answers
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        quotas = opened(replace(Settings(), redis_url=url))

        def said() -> list[str]:
            return [
                one.message
                for one in caplog.records
                if one.name == "runtime.quotas" and one.thread not in of_other_tests
            ]

        slowest = 0.0
        for number in range(100):
            began = time.perf_counter()
            usage = quotas.hit(QuotaName.KEY, "a")
            slowest = max(slowest, time.perf_counter() - began)
            assert usage is not None and not usage.is_exceeded
            if number == 50 and state == "absent":
                assert processes.wait_until(lambda: bool(said()), seconds=10)
            elif number == 50:  # the sharing thread waits for an answer
                listener.settimeout(10)
                stack.enter_context(closing(listener.accept()[0]))
        usage = quotas.hit(QuotaName.KEY, "a")
        assert usage is not None and usage.is_exceeded, "it continues to count alone"
        assert slowest < 0.1
        if state == "absent":
            assert said() == ["quotas_not_shared"], "an outage is one line"


def test_a_disabled_quota_counts_no_request() -> None:
    quotas = opened(Settings(redis_url="redis://127.0.0.1:1/0"))
    assert quotas.hit(QuotaName.MERCHANT, "a") is None
    assert quotas.read_usage(QuotaName.MERCHANT, "a") is None


def waiting(web: RunningWeb) -> int:
    """The number of waiting reads."""
    text = requests.get(f"{web.health}/metrics", timeout=10).text
    found = re.search(r"^payments_http_waiting (\d+)", text, re.MULTILINE)
    assert found
    return int(found[1])


def test_a_merchant_with_many_waiting_reads_leaves_places_for_others(
    web: RunningWeb,
) -> None:
    many, few = web.client(), web.client()
    ids = [
        client.submit(stripe_payment()).json()["id"]
        for client in (many, many, many, many, many, few, few, few)
    ]
    with ThreadPoolExecutor(12) as pool:

        def read(client: Client, number: int) -> float:
            began = time.monotonic()
            answer = client.get(f"/v1/payments/{ids[number]}?wait=8")
            assert answer.json()["status"] == "processing"
            return time.monotonic() - began

        first = []
        for number in range(PLACES):
            first.append(pool.submit(read, many, number))
            assert processes.wait_until(lambda: waiting(web) == len(first), seconds=5)
        assert read(many, 4) < 4, "it has all places and gets no more"
        second = [pool.submit(read, few, number) for number in (5, 6)]
        for displaced in first[: PLACES // 2]:
            assert displaced.result() < 6, "the oldest reads are answered at once"
        assert read(few, 7) < 4, "each has its half"
        for kept in (*first[PLACES // 2 :], *second):
            assert kept.result() >= 7.5
