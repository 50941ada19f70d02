"""`payments accounts`: secrets come in by no argument, and never out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from local_stack.initialise import initialise
from persistence.accounts import MongoAccounts
from runtime import container
from runtime.settings import Settings
from tests.support.running_stack import payments

SECRET, NEXT = "sk_test_first", "sk_test_second"
LIVE = "sk_live_" + "x" * 8


def run(
    settings: Settings, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """One command on this test's database."""
    return payments(
        "accounts", *arguments, environment={**settings.environment(), **environment}
    )


def added(settings: Settings, *arguments: str, secret: str = SECRET) -> dict[str, Any]:
    """A new account of the shop's, as the command shows it."""
    done = run(
        settings,
        *("add", "--merchant", "shop", "--json", *arguments),
        PAYMENTS_ACCOUNT_SECRET=secret,
    )
    assert done.returncode == 0, done.stderr
    assert secret not in done.stdout + done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture
def accounts(settings: Settings) -> Iterator[MongoAccounts]:
    """What is stored."""
    database = container.open_database(settings)
    yield MongoAccounts(database, container.open_account_vault(settings))
    database.client.close()


def test_an_account_is_added_listed_changed_rolled_and_retired(
    settings: Settings, accounts: MongoAccounts
) -> None:
    made = added(settings, "--provider", "stripe", "--currency", "usd,EUR")
    assert (made["currencies"], made["weight"]) == (["USD", "EUR"], 1)
    stored = accounts.get(made["id"])
    assert stored.credentials.secret == SECRET

    options = ("--weight", "7", "--currency", "", "--rate", "5", "--json")
    changed = json.loads(run(settings, "set", made["id"], *options).stdout)
    assert (changed["weight"], changed["rate"]) == (7, 5)
    assert changed["currencies"] == []

    rolled = run(settings, "roll", made["id"], PAYMENTS_ACCOUNT_SECRET=NEXT)
    assert rolled.returncode == 0 and NEXT not in rolled.stdout + rolled.stderr
    assert accounts.get(made["id"]).credentials.secret == NEXT

    retired = json.loads(run(settings, "retire", made["id"], "--json").stdout)
    assert retired["retired_at"] is not None
    again = json.loads(run(settings, "retire", made["id"], "--json").stdout)
    assert again["retired_at"] == retired["retired_at"]
    undone = json.loads(run(settings, "retire", made["id"], "--undo", "--json").stdout)
    assert undone["retired_at"] is None
    retired = json.loads(run(settings, "retire", made["id"], "--json").stdout)

    [listed] = json.loads(run(settings, "list", "--merchant", "shop", "--json").stdout)
    assert listed == retired
    shown = run(settings, "list").stdout
    assert made["id"] in shown and NEXT not in shown
    assert retired["retired_at"] in shown


def test_a_change_of_nothing_is_refused(settings: Settings) -> None:
    made = added(settings, "--provider", "stripe")
    done = run(settings, "set", made["id"])
    assert (
        done.returncode == 2 and "give an option to change: --currency" in done.stderr
    )


def test_a_webhooks_secrets_are_rolled_by_themselves(
    settings: Settings, accounts: MongoAccounts
) -> None:
    made = added(settings, "--provider", "stripe")
    done = run(
        settings,
        *("roll", made["id"], "--webhook-secrets"),
        PAYMENTS_ACCOUNT_SECRET="whsec_new, whsec_old",
    )
    assert done.returncode == 0 and "whsec" not in done.stdout + done.stderr
    its = accounts.get(made["id"]).credentials
    assert (its.secret, its.webhook_secrets) == (SECRET, ("whsec_new", "whsec_old"))


def test_it_is_said_where_webhooks_of_an_account_go_and_whether_they_are_set_up(
    settings: Settings,
) -> None:
    initialise(settings)  # an index knows who is connected
    shop = ("add", "--merchant", "shop", "--provider")
    key = {"PAYMENTS_ACCOUNT_SECRET": SECRET}
    told = run(settings, *shop, "stripe", **key).stdout
    [made] = json.loads(run(settings, "list", "--json").stdout)
    path = f"/v1/webhooks/stripe/{made['id']}"
    assert (made["webhook_path"], made["webhooks"]) == (path, False)
    assert f"{path} (not set up yet)" in told and "--webhook-secrets" in told
    new = {"PAYMENTS_ACCOUNT_SECRET": "whsec_1"}
    run(settings, "roll", made["id"], "--webhook-secrets", **new)
    assert f"{path} (set up)" in run(settings, "show", made["id"]).stdout

    told = run(settings, *shop, "paypal", "--client-id", "app", **key).stdout
    assert "/v1/webhooks/paypal/acct_" in told and "--webhook-id" in told
    assert _heard(settings) == [True, False]

    options = ("stripe", "--connected", "acct_1Shop")
    told = run(settings, *shop, *options, **key).stdout
    assert "/v1/webhooks/stripe (not set up yet)" in told
    assert "PAYMENTS_STRIPE_WEBHOOK_SECRETS" in told
    heard = replace(settings, stripe_webhook_secrets="whsec_2")
    assert _heard(heard) == [True, False, True]
    again = run(settings, *shop, *options, **key)
    assert again.returncode != 0 and "belongs to another account" in again.stderr


def _heard(settings: Settings) -> list[bool]:
    """Of each account, whether its webhooks are set up."""
    assert "webhooks" in run(settings, "list").stdout
    listed = json.loads(run(settings, "list", "--json").stdout)
    return [one["webhooks"] for one in listed]


def test_a_paypal_account_has_its_client_id(
    settings: Settings, accounts: MongoAccounts
) -> None:
    options = ("--provider", "paypal", "--client-id", "app", "--webhook-id", "WH-1")
    made = added(settings, *options)
    its = accounts.get(made["id"]).credentials
    assert (its.client_id, its.secret, its.webhook_id) == ("app", SECRET, "WH-1")
    assert made["client_id"] == "app"
    assert " app " in run(settings, "list").stdout


def test_a_connected_account_needs_no_secret(
    settings: Settings, accounts: MongoAccounts
) -> None:
    done = payments(
        *("accounts", "add", "--merchant", "shop", "--provider", "stripe"),
        *("--connected", "acct_1Shop", "--json"),
        environment=settings.environment(),
    )
    made = json.loads(done.stdout)
    assert (made["connected"], made["own_secret"]) == ("acct_1Shop", False)
    assert accounts.get(made["id"]).credentials.secret is None
    assert " acct_1Shop " in run(settings, "list").stdout


@pytest.mark.parametrize(
    ("arguments", "secret", "told"),
    [
        (("--provider", "stripe"), "", "Stripe's secret key is needed"),
        (("--provider", "stripe"), "whsec_1", "not a secret key of Stripe"),
        (("--provider", "stripe"), LIVE, "this is a live key"),
        (("--provider", "stripe", "--mode", "live"), SECRET, "this is a test key"),
        (("--provider", "paypal"), SECRET, "need --client-id"),
        (("--provider", "paypal", "--connected", "acct_1"), SECRET, "only for Stripe"),
        (("--provider", "stripe", "--client-id", "a"), SECRET, "only for PayPal"),
        (("--provider", "stripe", "--currency", "EURO"), SECRET, "EURO is no currency"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_stored(
    settings: Settings,
    accounts: MongoAccounts,
    arguments: tuple[str, ...],
    secret: str,
    told: str,
) -> None:
    done = run(
        settings,
        *("add", "--merchant", "shop", *arguments),
        PAYMENTS_ACCOUNT_SECRET=secret,
    )
    assert done.returncode != 0
    assert told in " ".join(done.stderr.split())
    assert not secret or secret not in done.stderr
    assert accounts.list() == []


@pytest.mark.parametrize(
    ("account", "told"),
    [
        ("acct_01ARZ3NDEKTSV4RRFFQ69G5FAV", "`payments accounts list` shows all"),
        ("stripe", "change PAYMENTS_STRIPE_"),
        ("acct_1", "write an account's id"),
    ],
)
def test_an_account_that_is_not_there_is_told(
    settings: Settings, account: str, told: str
) -> None:
    done = run(settings, "retire", account)
    assert done.returncode != 0
    assert told in " ".join(done.stderr.split())
