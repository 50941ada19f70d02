"""The commands that talk to a stack: keys, submit, show."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from application.api_keys import authenticate
from runtime import container
from runtime.settings import Settings
from tests.support.running_stack import RunningStack, payments

PAID = {
    "amount": 1999,
    "currency": "USD",
    "provider": "stripe",
    "payment_method": "pm_card_visa",
}
#: A test token of Stripe's that its bank declines.
DECLINED = {**PAID, "payment_method": "pm_card_visa_chargeDeclined"}


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_key_is_made_listed_rolled_and_revoked(settings: Settings) -> None:
    environment = settings.environment()

    def run(*arguments: str) -> Any:
        done = payments("keys", *arguments, "--json", environment=environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    made = run("create", "--merchant", "shop", "--role", "operator", "--mode", "test")
    assert list(made) == ["id", "key", "merchant", "role", "mode"]
    assert (made["merchant"], made["role"], made["mode"]) == (
        "shop",
        "operator",
        "test",
    )
    assert made["key"].startswith("sk_test_")

    rolled = run("roll", made["id"], "--overlap", "1")
    listed = {key["id"]: key for key in run("list", "--merchant", "shop")}
    assert set(listed) == {made["id"], rolled["id"]}
    assert listed[made["id"]]["expires_at"] is not None
    assert "key" not in listed[made["id"]]
    table = payments("keys", "list", environment=environment).stdout
    for name in ("created_at", "expires_at"):
        assert str(listed[made["id"]][name]) in table

    run("revoke", made["id"])
    database = container.open_database(settings)
    try:
        keys = container.open_keys(settings, database)
        clock = container.open_clock(database)
        assert authenticate(made["key"], store=keys, clock=clock) is None
        found = authenticate(rolled["key"], store=keys, clock=clock)
        assert found is not None and found.id == rolled["id"]
    finally:
        database.client.close()


def test_an_unknown_key_is_an_error_of_one_line(settings: Settings) -> None:
    refused = payments("keys", "revoke", "key_0", environment=settings.environment())
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: there is no key key_0")
    assert len(refused.stderr.splitlines()) == 1


def test_a_key_of_the_other_mode_is_made_with_a_warning(settings: Settings) -> None:
    made = payments(
        *("keys", "create", "--merchant", "shop", "--mode", "live"),
        environment=settings.environment(),
    )
    assert made.returncode == 0
    assert made.stdout.startswith("sk_live_")
    assert "Warning: this is a live key, but PAYMENTS_MODE is test" in made.stderr


def test_a_rotation_reseals_everything_while_the_stack_runs(
    stack: RunningStack,
) -> None:
    line = json.dumps({**PAID, "reference": "rotated", "metadata": {"basket": "77"}})
    submit = ("submit", "-", "--wait", "60", "--json")
    before = payments(*submit, environment=stack.environment, stdin=line)

    rotated = stack.payments("rotate-keys", "--drop-old")

    assert rotated.returncode == 0, rotated.stderr
    lines = rotated.stdout.splitlines()
    # The stack's simulators have sent events, so there are webhooks as well.
    assert re.match(r"\d+ payments? and \d+ webhooks? were sealed anew", lines[-2])
    assert "pass found nothing left." in lines[-2]
    assert "" not in lines
    [earlier] = rows(before.stdout)
    shown = json.loads(stack.payments("show", earlier["id"], "--json").stdout)
    assert shown["payment"]["metadata"] == {"basket": "77"}
    later = json.dumps({**PAID, "reference": "after the rotation"})
    after = payments(*submit, environment=stack.environment, stdin=later)
    assert [row["status"] for row in rows(after.stdout)] == ["captured"]


def test_home_and_keys_are_readable_by_their_owner_alone(stack: RunningStack) -> None:
    assert stat.S_IMODE(stack.home.stat().st_mode) == 0o700
    modes = {
        file.name: stat.S_IMODE(file.stat().st_mode)
        for file in (stack.home / "keys").iterdir()
    }
    assert set(modes) - {"encryption_keys.lock"} == {
        *("demo_test_key", "demo_operator_key"),
        *("encryption_keys", "account_encryption_keys", "pepper"),
    }
    assert set(modes.values()) == {0o600}
    assert stack.key not in (stack.home / "logs" / "stack.log").read_text()


def test_a_file_submitted_twice_is_charged_once(
    stack: RunningStack, tmp_path: Path
) -> None:
    file = tmp_path / "payments.ndjson"
    lines = [
        {**PAID, "reference": f"twice-{time.time_ns()}"},
        {"payment": {**DECLINED, "reference": "no"}, "expect": "failed"},
    ]
    file.write_text("\n".join(map(json.dumps, lines)) + "\n")
    before = movements(stack)

    first = stack.payments("submit", str(file), "--wait", "60", "--json")
    again = stack.payments("submit", str(file), "--wait", "60", "--json")

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    one, two = rows(first.stdout), rows(again.stdout)
    assert [row["status"] for row in one] == ["captured", "failed"]
    assert [row["id"] for row in one] == [row["id"] for row in two]
    assert [row["is_repeat"] for row in two] == [True, True]
    assert one[1]["error"] is not None
    assert movements(stack) - before == 1


def test_an_unexpected_status_fails_the_command(
    stack: RunningStack, tmp_path: Path
) -> None:
    line = {
        "idempotency_key": f"unlucky-{time.time_ns()}",
        "payment": {**DECLINED, "reference": "unlucky"},
        "expect": "captured",
    }
    file = tmp_path / "payments.ndjson"
    file.write_text(json.dumps(line))
    done = stack.payments("submit", str(file), "--wait", "60")
    assert done.returncode == 1
    assert "1 of 1 are not as expected" in done.stderr
    assert "unlucky" in done.stdout and "NO" in done.stdout


def test_a_failed_payment_without_expectation_fails_the_command(
    stack: RunningStack,
) -> None:
    line = json.dumps({**DECLINED, "reference": f"alone-{time.time_ns()}"})
    environment = stack.environment
    done = payments("submit", "-", "--wait", "60", environment=environment, stdin=line)
    assert done.returncode == 1
    assert "1 of 1 are not as expected: 1 failed." in done.stderr


def test_a_search_for_other_states_needs_a_merchant(
    stack: RunningStack,
) -> None:
    asked = stack.payments("dead", "--state", "succeeded")
    assert asked.returncode == 1
    assert "--merchant" in asked.stderr
    merchants = ("--merchant", "demo")
    assert stack.payments("dead", "--state", "succeeded", *merchants).returncode == 0


def test_a_refused_payment_is_reported_and_the_others_are_sent(
    stack: RunningStack,
) -> None:
    good, bad = PAID, {**PAID, "amount": -1}
    done = payments(
        *("submit", "-", "--json"),
        environment=stack.environment,
        stdin=f"{json.dumps(bad)}\n{json.dumps(good)}\n",
    )
    assert done.returncode == 1
    refused, accepted = rows(done.stdout)
    assert refused["error"].startswith("422 ") and not refused["ok"]
    assert accepted["id"].startswith("pay_") and accepted["ok"]


def test_show_prints_a_payment_and_its_timeline(
    stack: RunningStack, tmp_path: Path
) -> None:
    file = tmp_path / "payments.ndjson"
    file.write_text(json.dumps({**PAID, "reference": "shown"}))
    done = stack.payments("submit", str(file), "--wait", "60", "--json")
    (row,) = rows(done.stdout)
    shown = json.loads(stack.payments("show", row["id"], "--json").stdout)
    assert shown["payment"]["reference"] == "shown"
    assert len(shown["events"]) >= 3
    table = stack.payments("show", row["id"])
    assert table.returncode == 0
    assert "19.99 USD" in table.stdout and "object" not in table.stdout
    assert "shown" in table.stdout
    assert row["id"] in table.stdout


def test_an_unknown_payment_is_an_error_of_one_line(stack: RunningStack) -> None:
    done = stack.payments("show", "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: 404 ")


@pytest.mark.parametrize("arguments", [["--help"], ["keys", "--help"]])
def test_help_is_quick_because_it_loads_no_driver(arguments: list[str]) -> None:
    script = (
        "import sys; from cli.main import main\n"
        f"try: main({arguments!r})\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout[:6]) == (0, "Usage:")
    drivers = {"celery", "flask", "pymongo", "redis", "requests", "stripe", "pydantic"}
    assert drivers & set(done.stderr.split()) == set()


def movements(stack: RunningStack) -> int:
    """How often money moved at the Stripe simulator."""
    answer = requests.get(f"{stack.urls['stripe']}/_ledger", timeout=5)
    return len(answer.json()["movements"])
