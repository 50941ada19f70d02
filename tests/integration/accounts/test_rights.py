"""`payments accounts check`: the rights of an account's credentials."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.support.account_shop import REFUSED, AccountsShop
from tests.support.running_stack import payments

NOT_ALLOWED = {"name": "NOT_AUTHORIZED", "message": "Not this app."}
WELL = [f"{right}: ok" for right in ("payments", "disputes", "books")]


def check(shop: AccountsShop, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command on this test's database."""
    environment = shop.bench.settings.environment()
    return payments("accounts", "check", *arguments, environment=environment)


def found(done: subprocess.CompletedProcess[str], account: str) -> list[str]:
    """The account's rights and their verdicts, from the JSON."""
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return [
        f"{one['name'].removeprefix(account).strip()}: {one['verdict']}"
        for one in rows
        if one["name"].startswith(f"{account} ")
    ]


def test_the_check_of_every_account_changes_nothing_at_the_providers(
    shop: AccountsShop,
) -> None:
    stripe, paypal = shop.add(), shop.add("paypal")
    posts = [shop.bench.calls(one, "POST") for one in ("stripe", "paypal")]
    done = check(shop, "--json")
    assert done.returncode == 0, done.stdout
    for account in ("stripe", "paypal", stripe.id, paypal.id):
        assert found(done, account) == WELL
    assert [shop.bench.calls(one, "POST") for one in ("stripe", "paypal")] == posts
    assert [one.movements() for one in (shop.bench.stripe, shop.bench.paypal)] == [
        [],
        [],
    ]


def test_a_refused_secret_fails_the_check_with_advice(
    shop: AccountsShop,
) -> None:
    account = shop.add(secret=REFUSED)
    done = check(shop, account.id)
    assert done.returncode == 1
    [line, advice] = done.stdout.splitlines()
    assert line.startswith(f"fail  {account.id} payments: may not be read (")
    assert f"payments accounts roll {account.id}" in advice
    assert REFUSED not in done.stdout + done.stderr
    assert found(check(shop, "stripe", "--json"), "stripe") == WELL


def test_the_deployments_own_secret_is_a_setting(shop: AccountsShop) -> None:
    environment = shop.bench.settings.environment()
    environment["PAYMENTS_STRIPE_SECRET_KEY"] = REFUSED
    for command in (("accounts", "check", "stripe"), ("doctor",)):
        done = payments(*command, environment=environment)
        assert done.returncode == 1
        assert "fail  stripe payments: may not be read (" in done.stdout
        assert "PAYMENTS_STRIPE_…" in done.stdout and REFUSED not in done.stdout


def test_a_client_that_gets_no_token_fails(shop: AccountsShop) -> None:
    account = shop.add("paypal")
    token = {"method": "POST", "path": "/v1/oauth2/token"}
    body = {"error": "invalid_client"}
    shop.bench.paypal.arm(do="answer", status=401, body=body, times=9, match=token)
    done = check(shop, account.id, "--json")
    assert (done.returncode, found(done, account.id)) == (1, ["payments: fail"])
    assert "token_refused" in done.stdout


def test_an_app_without_a_feature_gets_a_warning(shop: AccountsShop) -> None:
    account = shop.add("paypal")
    match = {"method": "GET", "path": "/v1/customer/disputes"}
    shop.bench.paypal.arm(do="answer", status=403, body=NOT_ALLOWED, match=match)
    done = check(shop, account.id)
    assert done.returncode == 0
    assert f"warn  {account.id} disputes: may not be read (not_authorized)" in (
        done.stdout
    )
    assert "allow" in done.stdout and "books: may be read" in done.stdout


def test_an_unavailable_provider_is_not_reported_as_a_missing_right(
    shop: AccountsShop,
) -> None:
    account = shop.add()
    shop.bench.stripe.arm(do="drop", times=9, match={"method": "GET", "path": "/v1/"})
    done = check(shop, account.id)
    assert done.returncode == 1
    assert f"{account.id} payments: could not be checked (no_answer)" in done.stdout


def test_a_missing_account_is_named(shop: AccountsShop) -> None:
    missing = "acct_" + "0" * 26
    done = check(shop, missing)
    assert done.returncode == 1 and missing in done.stderr
    assert "payments accounts list" in done.stderr and not done.stdout
