"""`payments accounts`: secrets are no arguments, and are never printed."""

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
    """Adds an account of the shop; returns the command's JSON."""
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
    """The stored accounts."""
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


def test_a_change_without_options_is_refused(settings: Settings) -> None:
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
    credentials = accounts.get(made["id"]).credentials
    assert (credentials.secret, credentials.webhook_secrets) == (
        SECRET,
        ("whsec_new", "whsec_old"),
    )


def test_an_accounts_webhook_address_and_its_set_up_are_shown(
    settings: Settings,
) -> None:
    initialise(settings)  # a unique index refuses a second connection
    shop = ("add", "--merchant", "shop", "--provider")
    key = {"PAYMENTS_ACCOUNT_SECRET": SECRET}
    output = run(settings, *shop, "stripe", **key).stdout
    [made] = json.loads(run(settings, "list", "--json").stdout)
    path = f"/v1/webhooks/stripe/{made['id']}"
    assert (made["webhook_path"], made["webhooks"]) == (path, False)
    assert f"{path} (not set up yet)" in output and "--webhook-secrets" in output
    new = {"PAYMENTS_ACCOUNT_SECRET": "whsec_1"}
    run(settings, "roll", made["id"], "--webhook-secrets", **new)
    assert f"{path} (set up)" in run(settings, "show", made["id"]).stdout

    output = run(settings, *shop, "paypal", "--client-id", "app", **key).stdout
    assert "/v1/webhooks/paypal/acct_" in output and "--webhook-id" in output
    assert _webhooks_set_up(settings) == [True, False]

    options = ("stripe", "--connected", "acct_1Shop")
    output = run(settings, *shop, *options, **key).stdout
    assert "/v1/webhooks/stripe (not set up yet)" in output
    assert "PAYMENTS_STRIPE_WEBHOOK_SECRETS" in output
    with_secrets = replace(settings, stripe_webhook_secrets="whsec_2")
    assert _webhooks_set_up(with_secrets) == [True, False, True]
    again = run(settings, *shop, *options, **key)
    assert again.returncode != 0 and "belongs to another account" in again.stderr


def _webhooks_set_up(settings: Settings) -> list[bool]:
    """Whether the webhooks of each account are set up."""
    assert "webhooks" in run(settings, "list").stdout
    listed = json.loads(run(settings, "list", "--json").stdout)
    return [one["webhooks"] for one in listed]


def test_a_paypal_account_has_its_client_id(
    settings: Settings, accounts: MongoAccounts
) -> None:
    options = ("--provider", "paypal", "--client-id", "app", "--webhook-id", "WH-1")
    made = added(settings, *options)
    credentials = accounts.get(made["id"]).credentials
    assert (credentials.client_id, credentials.secret, credentials.webhook_id) == (
        "app",
        SECRET,
        "WH-1",
    )
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
    ("arguments", "secret", "message"),
    [
        (("--provider", "stripe"), "", "Stripe's secret key is needed"),
        (("--provider", "stripe"), "whsec_1", "not a secret key of Stripe"),
        (("--provider", "stripe"), LIVE, "this is a live key"),
        (("--provider", "stripe", "--mode", "live"), SECRET, "this is a test key"),
        (("--provider", "paypal"), SECRET, "need --client-id"),
        (("--provider", "paypal", "--connected", "acct_1"), SECRET, "only for Stripe"),
        (("--provider", "stripe", "--client-id", "a"), SECRET, "only for PayPal"),
        (
            ("--provider", "stripe", "--currency", "EURO"),
            SECRET,
            "EURO is not a currency",
        ),
    ],
)
def test_contradictory_options_are_refused_and_nothing_is_stored(
    settings: Settings,
    accounts: MongoAccounts,
    arguments: tuple[str, ...],
    secret: str,
    message: str,
) -> None:
    done = run(
        settings,
        *("add", "--merchant", "shop", *arguments),
        PAYMENTS_ACCOUNT_SECRET=secret,
    )
    assert done.returncode != 0
    assert message in " ".join(done.stderr.split())
    assert not secret or secret not in done.stderr
    assert accounts.list() == []


@pytest.mark.parametrize(
    ("account", "message"),
    [
        ("acct_01ARZ3NDEKTSV4RRFFQ69G5FAV", "`payments accounts list` shows all"),
        ("stripe", "change the settings PAYMENTS_STRIPE_"),
        ("acct_1", "write an account's id"),
    ],
)
def test_a_missing_account_gets_an_error_with_advice(
    settings: Settings, account: str, message: str
) -> None:
    done = run(settings, "retire", account)
    assert done.returncode != 0
    assert message in " ".join(done.stderr.split())
