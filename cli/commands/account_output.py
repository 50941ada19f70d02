"""Prints accounts without their secrets, and with the address of their webhooks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cli.output import table
from cli.provider_options import PROVIDER_OPTIONS
from domain.provider_rules import RULES
from domain.timestamps import format_rfc3339
from runtime.settings import PROVIDER_SETTINGS

if TYPE_CHECKING:
    from domain.account import StoredAccount
    from runtime.settings import Settings


def show_account(account: StoredAccount, settings: Settings, as_json: bool) -> None:
    """Prints one account."""
    if as_json:
        click.echo(json.dumps(_row(account, settings)))
        return
    currencies = ",".join(account.currencies) or "any currency"
    retired = ", retired" if account.retired_at else ""
    click.echo(
        f"{account.id}: {account.provider} of {account.merchant}, {account.mode} mode,"
        f" {currencies}, weight {account.weight}{retired}"
    )
    is_up = "set up" if _has_webhook_secret(account, settings) else "not set up yet"
    click.echo(f"Webhooks: {webhook_path(account)} ({is_up})")


def show_accounts(
    accounts: Sequence[StoredAccount], settings: Settings, as_json: bool
) -> None:
    """Prints accounts as a table."""
    if as_json:
        click.echo(json.dumps([_row(one, settings) for one in accounts], indent=2))
        return
    columns = ["id", "merchant", "mode", "provider", "currencies", "weight"]
    rows = [
        [
            *(one.id, one.merchant, one.mode.value, one.provider.value),
            ",".join(one.currencies) or "any",
            str(one.weight),
            one.connected_account or one.credentials.client_id or "-",
            "yes" if _has_webhook_secret(one, settings) else "no",
            format_rfc3339(one.retired_at) if one.retired_at else "-",
        ]
        for one in accounts
    ]
    columns += ["at provider", "webhooks", "retired"]
    click.echo(table(columns, rows, whole=["id", "merchant", "at provider"]))


def next_step(account: StoredAccount) -> str:
    """Describes the check of a new account's secret and the setup of its webhooks."""
    check = f"Check its secret: `payments accounts check {account.id}`"
    register = f"{check}\nRegister {webhook_path(account)} of this deployment at"
    name = RULES[account.provider].name
    if account.connected_account is not None:
        setting = PROVIDER_SETTINGS[account.provider].webhook_secret
        return (
            f"{register} {name} for the events of connected accounts, and add its"
            f" secret to PAYMENTS_{setting.upper()}."
        )
    setup = PROVIDER_OPTIONS[account.provider].webhook_setup.format(id=account.id)
    return f"{register} {name}, then `{setup}`."


def webhook_path(account: StoredAccount) -> str:
    """Returns the path of the account's webhooks.

    A connected account without its own signing secrets uses the deployment's path.
    """
    path = f"/v1/webhooks/{account.provider}"
    has_own = account.connected_account is None or account.credentials.webhook_secrets
    return f"{path}/{account.id}" if has_own else path


def _has_webhook_secret(account: StoredAccount, settings: Settings) -> bool:
    """Whether the account's webhooks can be verified."""
    credentials = account.credentials
    if account.connected_account is not None:
        setting = PROVIDER_SETTINGS[account.provider].webhook_secret
        if getattr(settings, setting):
            return True
    return bool(credentials.webhook_secrets or credentials.webhook_id)


def _row(account: StoredAccount, settings: Settings) -> dict[str, Any]:
    credentials = account.credentials
    return {
        "id": account.id,
        "merchant": account.merchant,
        "mode": account.mode.value,
        "provider": account.provider.value,
        "currencies": list(account.currencies),
        "weight": account.weight,
        "rate": account.calls_per_second,
        "client_id": credentials.client_id,
        "connected": account.connected_account,
        "own_secret": credentials.secret is not None,
        "webhooks": _has_webhook_secret(account, settings),
        "webhook_path": webhook_path(account),
        "created_at": format_rfc3339(account.created_at),
        "rolled_at": format_rfc3339(account.rolled_at) if account.rolled_at else None,
        "retired_at": (
            format_rfc3339(account.retired_at) if account.retired_at else None
        ),
    }
