"""Pauses and rate limits of accounts on a stack with several workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from runtime import processes
from tests.support.running_stack import RunningStack, running_stack
from tests.support.stack_shop import Shop

#: Calls a second, as the limit of the simulator and of the deployment.
LIMIT = 40
#: Payments: three seconds' worth.
COUNT = 3 * LIMIT
#: Seconds for a payment after its breaker closed; it is due again after 20 at most.
RETURN = 60.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack of three workers."""
    home = tmp_path_factory.mktemp("pauses")
    limit = {"PAYMENTS_STRIPE_RATE": str(LIMIT)}
    with running_stack(home, "--workers", "3", **limit) as running:
        yield running


def counted(text: str, name: str, label: str = "") -> float:
    """The sum of a metric's samples that have ``label``."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith(name) and label in line
    )


def test_a_paused_account_makes_no_call_until_it_is_resumed(
    stack: RunningStack,
) -> None:
    shop = Shop(stack)
    opened = stack.payments("accounts", "pause", "stripe", "--reason", "an audit")
    assert opened.returncode == 0, opened.stderr
    assert "calls wait" in opened.stdout
    stopped = shop.accepted()
    if shop.settled(stopped, seconds=2)["status"] == "captured":
        # Its worker had cached the closed breaker for a second.
        stopped = shop.accepted()
    passing = shop.accepted(provider="paypal", token="vault_ok")
    assert shop.settled(passing, seconds=RETURN)["status"] == "captured"
    payment = shop.get(stopped)
    assert payment["status"] == "processing"
    assert payment["operations"][0]["attempts"] == 0
    assert shop.movements("stripe", stopped) == []
    listed = json.loads(stack.payments("breakers", "--json").stdout)
    [stripe] = [each for each in listed if each["provider"] == "stripe"]
    assert (stripe["state"], stripe["trip_reason"], stripe["reason"]) == (
        "open",
        "operator",
        "an audit",
    )
    shown = stack.payments("show", stopped)
    assert "waits for the circuit breaker of stripe" in shown.stdout
    assert "an audit" in shown.stdout
    served = requests.get(stack.processes()["web"]["metrics_url"], timeout=10).text
    assert "payments_breaker_state" not in served
    exported = stack.processes()["exporter"]["metrics_url"]
    line = 'payments_breaker_state{account="stripe",calls="all",state="open"} 1.0'
    assert processes.wait_until(
        lambda: line in requests.get(exported, timeout=10).text, seconds=15
    )
    closed = stack.payments(
        "accounts", "resume", "stripe", "--reason", "done", "--json"
    )
    assert json.loads(closed.stdout)["state"] == "closed"
    assert shop.settled(stopped, seconds=RETURN)["status"] == "captured"
    assert len(shop.movements("stripe", stopped)) == 1


def test_several_worker_processes_stay_below_an_accounts_limit(
    stack: RunningStack,
) -> None:
    shop, stripe = Shop(stack), stack.urls["stripe"]
    set_to = requests.post(
        f"{stripe}/_rate_limit", json={"per_second": LIMIT}, timeout=10
    )
    assert set_to.status_code == 200
    before = requests.get(f"{stripe}/_ledger", timeout=10).json()["movements"]
    with ThreadPoolExecutor(16) as customers:
        ids = list(
            customers.map(lambda _: shop.pay().json()["id"], range(COUNT)),
        )
        paid = list(
            customers.map(lambda one: shop.settled(one, seconds=RETURN), ids),
        )
    assert {one["status"] for one in paid} == {"captured"}
    moved = requests.get(f"{stripe}/_ledger", timeout=10).json()["movements"]
    assert len(moved) - len(before) == COUNT
    text = requests.get(f"{stripe}/metrics", timeout=10).text
    refused = counted(text, "simulator_requests_total", 'status="429"')
    assert refused <= COUNT / 100
    workers = [
        process["metrics_url"]
        for name, process in stack.processes().items()
        if name.startswith("worker")
    ]
    postponed = sum(
        counted(requests.get(url, timeout=10).text, "payments_postponed_total")
        for url in workers
    )
    assert postponed > 0, "the workers reached the limit"


def test_paused_refunds_wait_while_charges_continue(
    stack: RunningStack,
) -> None:
    shop = Shop(stack)
    paid = shop.accepted()
    assert shop.settled(paid, seconds=RETURN)["status"] == "captured"
    options = ("--calls", "refunds", "--reason", "an audit")
    opened = stack.payments("accounts", "pause", "stripe", *options)
    assert opened.returncode == 0, opened.stderr
    exported = stack.processes()["exporter"]["metrics_url"]
    line = 'payments_breaker_state{account="stripe",calls="refunds",state="open"} 1.0'
    assert processes.wait_until(
        lambda: line in requests.get(exported, timeout=10).text, seconds=15
    )
    asked = shop.refund(paid)
    assert asked.status_code == 202, asked.text
    assert shop.settled(shop.accepted(), seconds=RETURN)["status"] == "captured"

    def waits_for() -> str:
        return str(shop.get(paid)["operations"][-1]["waiting_for"])

    words = "the circuit breaker of refunds at stripe"
    assert processes.wait_until(lambda: words in waits_for(), seconds=15)
    shown = stack.payments("show", paid).stdout
    assert f"waits for {words}" in shown and "an audit" in shown
    listed = json.loads(stack.payments("breakers", "--json").stdout)
    states = {(one["account"], one["calls"]): one["state"] for one in listed}
    assert states["stripe", "refunds"] == "open"
    assert states["stripe", None] == "closed"
    examined = json.loads(stack.payments("doctor", "--json").stdout)
    [found] = [
        one for one in examined if one["name"] == "stripe refunds circuit breaker"
    ]
    assert found["verdict"] == "warn" and "its refunds wait" in found["words"]
    closed = stack.payments("accounts", "resume", "stripe", *options)
    assert closed.returncode == 0, closed.stderr
    assert processes.wait_until(
        lambda: shop.get(paid)["status"] == "refunded", seconds=RETURN
    )


def test_a_wrong_command_gets_an_error_without_a_traceback(stack: RunningStack) -> None:
    for arguments in (
        ("accounts", "pause", "adyen", "--reason", "r"),
        ("accounts", "pause", "stripe"),
        ("accounts", "pause", "stripe", "--reason", "a\nb"),
        ("accounts", "pause", "stripe", "--calls", "payouts", "--reason", "r"),
    ):
        ended = stack.payments(*arguments)
        assert ended.returncode != 0
        assert "Traceback" not in ended.stderr and ended.stderr
