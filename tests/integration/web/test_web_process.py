"""The web process: its start, its end, and its answers without its servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from cryptography.fernet import Fernet

from runtime import processes
from tests.support.running_web import (
    RunningWeb,
    prepared_web,
    running_web,
    stripe_payment,
)


@pytest.fixture(scope="module")
def web(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str, redis_url: str
) -> Iterator[RunningWeb]:
    """A web process with eight threads."""
    home = tmp_path_factory.mktemp("web")
    with prepared_web(home, mongo_url, redis_url, web_threads=8) as running:
        yield running


@pytest.fixture
def own(web: RunningWeb) -> Iterator[RunningWeb]:
    """A web process for one test, which may end it."""
    with running_web(web.settings) as running:
        yield running


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def start(web: RunningWeb, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a second web process on the same settings to its end."""
    return subprocess.run(
        [sys.executable, "-m", "web"],
        env={**os.environ, **web.settings.environment(), **environment},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_a_signal_ends_the_process_quickly_during_a_waiting_request(
    own: RunningWeb, name: str
) -> None:
    client = own.client()
    payment = client.submit(stripe_payment()).json()
    with ThreadPoolExecutor(1) as threads:
        path = f"/v1/payments/{payment['id']}?wait=30"
        read = threads.submit(client.get, path)
        held = "payments_http_waiting 1.0"
        assert processes.wait_until(lambda: held in own.metrics(), seconds=10)
        began = time.monotonic()
        os.kill(own.pid, getattr(signal, f"SIG{name}"))
        answer = read.result()
        assert answer.json()["id"] == payment["id"]
        assert processes.wait_until(lambda: gone(own.pid), seconds=15)
    assert time.monotonic() - began < 15  # the request would have waited 30 s


def test_a_second_process_on_the_same_port_is_an_error(web: RunningWeb) -> None:
    second = start(web)
    assert second.returncode == 2
    assert "is taken" in second.stderr and "PAYMENTS_HTTP_PORT" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("name", ["PAYMENTS_MONGO_URL", "PAYMENTS_REDIS_URL"])
def test_a_missing_setting_is_named(web: RunningWeb, name: str) -> None:
    stopped = start(web, **{name: ""})
    assert stopped.returncode == 2
    assert name in stopped.stderr and "Traceback" not in stopped.stderr


def test_the_request_log_names_the_route_and_never_the_path(web: RunningWeb) -> None:
    client = web.client()
    made = client.submit(stripe_payment(), Request_Id="shop-7").json()
    client.get("/v1/payments/canary-path?limit=canary-query")
    log = web.log.read_text()
    assert all(line.startswith("{") for line in log.splitlines())
    [accepted] = [one for one in log.splitlines() if made["id"] in one]
    for part in ("payment_accepted", "shop-7", client.key.merchant):
        assert part in accepted
    assert "/v1/payments/<payment_id>" in log and "canary" not in log


def test_metrics_count_new_payments_once_and_requests_by_route(
    own: RunningWeb,
) -> None:
    client = own.client()
    body = stripe_payment()
    for _ in range(3):
        client.submit(body, key="the-same")
    client.send("BREW", "/v1/payments")
    metrics = own.metrics()
    accepted = 'payments_accepted_total{operation="charge",provider="stripe"} 1.0'
    assert accepted in metrics
    counted = 'method="POST",route="/v1/payments",status="202"} 3.0'
    assert f"payments_http_seconds_count{{{counted}" in metrics
    assert "BREW" not in metrics and "pay_" not in metrics


def test_a_web_process_is_ready_if_both_servers_answer(web: RunningWeb) -> None:
    answer = requests.get(f"{web.health}/readyz", timeout=10)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "checks": {"mongodb": "ok", "redis": "ok", "encryption": "ok"},
    }


def test_keys_that_do_not_fit_the_stored_data_make_the_process_unready(
    web: RunningWeb,
) -> None:
    assert requests.get(f"{web.health}/readyz", timeout=10).ok
    payments, accounts = (Fernet.generate_key().decode() for _ in range(2))
    other = replace(
        web.settings, encryption_keys=payments, account_encryption_keys=accounts
    )
    with running_web(other) as alone:
        ready = requests.get(f"{alone.health}/readyz", timeout=10)
        assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
        assert "do not open" in ready.json()["checks"]["encryption"]


def test_a_payment_is_accepted_without_redis(web: RunningWeb) -> None:
    closed = f"redis://127.0.0.1:{processes.free_port()}/0"
    client = web.client()
    with running_web(replace(web.settings, redis_url=closed)) as alone:
        answer = requests.get(f"{alone.health}/readyz", timeout=10)
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        began = time.monotonic()
        accepted = replace(client, base=alone.base).submit(stripe_payment())
        assert accepted.status_code == 202
        assert time.monotonic() - began < 2
    assert web.stored(accepted.json()["id"]) is not None


def test_a_payment_is_refused_without_mongodb(web: RunningWeb) -> None:
    closed = f"mongodb://127.0.0.1:{processes.free_port()}/?directConnection=true"
    client = web.client()
    with running_web(replace(web.settings, mongo_url=closed)) as alone:
        answers = [
            replace(client, base=alone.base).submit(stripe_payment()),
            replace(client, base=alone.base).get("/v1/payments"),
        ]
        for answer in answers:
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "1"
            assert answer.json()["code"] == "store_unavailable"
            assert "127.0.0.1" not in answer.text
        ready = requests.get(f"{alone.health}/readyz", timeout=10)
        assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
        assert ready.json()["checks"]["mongodb"] != "ok"
        assert requests.get(f"{alone.health}/healthz", timeout=10).ok


def test_waiting_reads_never_take_all_threads(web: RunningWeb) -> None:
    """Eight threads, four of them may wait; the others are answered at once."""
    client = web.client()
    payment_id = client.submit(stripe_payment()).json()["id"]
    with ThreadPoolExecutor(12) as threads:
        began = time.monotonic()
        reads = [
            threads.submit(client.get, f"/v1/payments/{payment_id}?wait=3")
            for _ in range(12)
        ]
        assert client.submit(stripe_payment()).status_code == 202
        assert time.monotonic() - began < 2
        took = [read.result().elapsed.total_seconds() for read in reads]
    assert sum(seconds > 2.5 for seconds in took) == 4


def test_another_wsgi_server_can_serve_the_application(
    web: RunningWeb, tmp_path: Path
) -> None:
    port = processes.free_port()
    base = f"http://127.0.0.1:{port}"
    client = replace(web.client(), base=base)

    def alive() -> bool:
        try:
            return requests.get(f"{base}/docs", timeout=1).ok
        except requests.RequestException:
            return False

    with processes.running(
        "gunicorn",
        [
            *(sys.executable, "-m", "gunicorn", "web.app:from_environment()"),
            *("--bind", f"127.0.0.1:{port}", "--threads", "4", "--no-control-socket"),
        ],
        environment={**os.environ, **web.settings.environment()},
        log=tmp_path / "gunicorn.log",
        ready=alive,
        seconds=30,
    ):
        assert client.submit(stripe_payment()).status_code == 202
        too_large = client.send(
            "POST",
            "/v1/payments",
            data=iter([b"x" * 70_000]),
            Content_Type="application/json",
            Idempotency_Key="k",
        )
        assert too_large.status_code == 413
