"""`payments reconcile` on a running stack, and the report that its beat makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
from pymongo import MongoClient

from local_stack.state import read_state
from runtime.processes import wait_until
from tests.support.running_stack import RunningStack, running_stack
from tests.support.stack_shop import Shop

#: Seconds that anything may take on a machine that runs other tests.
PATIENCE = 60.0
METRIC = "payments_reconciliation_differences"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack of its own, with unused accounts."""
    with running_stack(tmp_path_factory.mktemp("reconcile")) as running:
        yield running


def since() -> str:
    """A quarter of an hour ago."""
    return (datetime.now(timezone.utc) - timedelta(minutes=15)).isoformat()


def reconciled(stack: RunningStack, *arguments: str, code: int) -> dict[str, Any]:
    """The JSON output of a comparison."""
    done = stack.payments("reconcile", *arguments, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def test_the_comparison_agrees_then_names_drifts_and_fails_with_a_provider(
    stack: RunningStack,
) -> None:
    shop = Shop(stack)
    paid = shop.accepted()
    others = [
        shop.accepted(token="pm_card_chargeDeclined"),
        shop.accepted(provider="paypal", token="vault_ok"),
    ]
    for one in (paid, *others):
        assert shop.settled(one, seconds=PATIENCE)["status"] in ("captured", "failed")

    found = reconciled(stack, "--since", since(), code=0)
    assert {one["provider"]: _sums(one) for one in found["reports"]} == {
        "stripe": [_collected(1999, 1999)],
        "paypal": [_collected(1999, 1999)],
    }
    stripe, paypal = found["reports"]
    assert stripe["may_lack_after"] is None
    assert paypal["since"] <= paypal["may_lack_after"] < paypal["until"]
    result = stack.payments("reconcile", "--since", "15m", "--provider", "paypal")
    assert result.returncode == 0 and result.stderr == ""
    assert "19.99 USD" in result.stdout
    assert "0 differ; PayPal may yet list movements after" in result.stdout
    assert "stripe" not in result.stdout

    ref = _drift(stack, "stripe", do="unknown_charge", amount=77)
    found = reconciled(stack, "--since", since(), code=1)
    [stripe, paypal] = found["reports"]
    [alone] = stripe["differences"]
    assert (alone["kind"], alone["ref"]) == ("theirs_alone", ref)
    assert paypal["differences"] == []
    assert _sums(stripe) == [_collected(1999, 2076)]
    _is_closed_by_a_person(stack, ref)

    match = {"method": "GET", "path": "/v1/reporting"}
    with shop.fault("paypal", do="answer", times=99, match=match):
        failed = stack.payments("reconcile", "--since", since(), "--json")
    assert failed.returncode == 1
    assert "paypal could not be read to the end" in failed.stderr
    printed = json.loads(failed.stdout)
    assert list(printed["failed"]) == ["paypal"]
    assert [one["provider"] for one in printed["reports"]] == ["stripe"]


def _is_closed_by_a_person(stack: RunningStack, ref: str) -> None:
    """Asserts that a difference is open until an operator closes it."""
    [one] = json.loads(stack.payments("reconcile", "open", "--json").stdout)
    assert (one["ref"], one["theirs"]["amount"], one["ours"]) == (ref, 77, None)
    assert ref in stack.payments("reconcile", "open").stdout
    card = ("--reason", "paid by 4242 4242 4242 4242")
    refused = stack.payments("reconcile", "close", one["id"], *card)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "card data" in refused.stderr and "4242" not in refused.stderr
    why = ("--reason", "tried out in the dashboard")
    done = stack.payments("reconcile", "close", one["id"], *why)
    assert (done.returncode, done.stdout) == (0, "1 of 1 closed\n")
    again = stack.payments("reconcile", "close", one["id"], *why)
    assert again.returncode == 1 and one["id"] in again.stderr
    reconciled(stack, "--since", since(), "--provider", "stripe", code=1)
    left = stack.payments("reconcile", "open")
    assert (left.returncode, left.stdout) == (0, "")
    assert "no difference is open" in left.stderr


def test_the_beat_makes_a_report_that_the_exporter_and_the_command_show(
    stack: RunningStack,
) -> None:
    shop = Shop(stack)
    assert shop.settled(shop.accepted(), seconds=PATIENCE)["status"] == "captured"
    ref = _drift(stack, "paypal", do="unknown_charge", amount=88)
    none = stack.payments("reconcile", "--last")
    assert none.returncode == 1 and "no report is stored yet" in none.stderr

    state = read_state(stack.home)
    assert state is not None
    with MongoClient[dict[str, Any]](state.filled["PAYMENTS_MONGO_URL"]) as client:
        turns = client["payments"].reconciliation_turns
        assert wait_until(lambda: turns.count_documents({}) == 2, seconds=PATIENCE)
        turns.update_many({}, [{"$set": {"next_at": "$$NOW"}}])

    def shown() -> bool:
        url = stack.processes()["exporter"]["metrics_url"]
        lines = requests.get(url, timeout=10).text.splitlines()
        alone = f'{METRIC}{{account="paypal",kind="theirs_alone"}} 1.0'
        return alone in lines

    assert wait_until(shown, seconds=PATIENCE)
    found = reconciled(stack, "--last", "--provider", "paypal", code=1)
    [report] = found["reports"]
    assert [one["ref"] for one in report["differences"]] == [ref]


def _collected(ours: int, theirs: int) -> dict[str, Any]:
    return {"direction": "collected", "currency": "USD", "ours": ours, "theirs": theirs}


def _sums(report: dict[str, Any]) -> list[dict[str, Any]]:
    """A report's sums; asserts that the fees are less than the payments."""
    sums = []
    for one in report["totals"]:
        assert 0 < one["fees"] < one["theirs"]
        sums.append({name: value for name, value in one.items() if name != "fees"})
    return sums


def _drift(stack: RunningStack, provider: str, **fields: object) -> str:
    url = f"{stack.urls[provider]}/_drift"
    planted = requests.post(url, json=fields, timeout=10)
    assert planted.status_code == 201, planted.text
    return str(planted.json()["id"])
