"""The options of `payments accounts …`."""

from __future__ import annotations

import re
from typing import Final

import click

from cli.provider_options import PROVIDER_OPTIONS
from domain.money import CURRENCIES
from domain.payments.routing import MAX_WEIGHT
from domain.payments.submission import ProviderName
from domain.provider_rules import RULES

_ID: Final = re.compile(r"acct_[0-9A-HJKMNP-TV-Z]{26}")
#: Stripe's ids of accounts.
_CONNECTED: Final = re.compile(r"acct_[A-Za-z0-9]{1,60}")


def account_id(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Checks an optional account id; it may be that of a deployment's own account."""
    if value is None:
        return None
    if value not in set(ProviderName) and not _ID.fullmatch(value):
        raise click.BadParameter(
            "write an account's id from `payments accounts list`, or"
            f" {' or '.join(ProviderName)} for the deployment's own account"
        )
    return value


def _currencies(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    if value is None:
        return None
    found = tuple(dict.fromkeys(one.strip().upper() for one in value.split(",") if one))
    wrong = sorted(set(found) - set(CURRENCIES))
    if wrong:
        raise click.BadParameter(
            f"{wrong[0]} is not a currency; write codes like USD,EUR"
        )
    return found


def _connected_account(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    if value is not None and not _CONNECTED.fullmatch(value):
        raise click.BadParameter("write Stripe's id of the account, acct_…")
    return value


identified = click.argument("account", metavar="ID", callback=account_id)
currency = click.option(
    "--currency",
    "currencies",
    callback=_currencies,
    metavar="CODES",
    help="Accepted currencies, separated by commas; '' for any.",
)
weight = click.option(
    "--weight",
    type=click.IntRange(0, MAX_WEIGHT),
    help="Share of the merchant's payments; 0: only payments that no other account"
    " took.",
)
rate = click.option(
    "--rate",
    type=click.IntRange(0, 10_000),
    help="Calls a second of all workers together; 0 for no limit.",
)
client_id = click.option("--client-id", help="PayPal's client id.")
webhook_id = click.option("--webhook-id", help="PayPal's id of our webhook.")
connected = click.option(
    "--connected",
    callback=_connected_account,
    help="Stripe's id of a connected account; without its own key it uses the"
    " deployment's.",
)


def check(
    provider: ProviderName,
    *,
    client_id: str | None = None,
    webhook_id: str | None = None,
    connected: str | None = None,
) -> None:
    """Raises UsageError for an option of another provider."""
    given = {
        "--client-id": client_id,
        "--webhook-id": webhook_id,
        "--connected": connected,
    }
    for option, value in given.items():
        if value and option not in PROVIDER_OPTIONS[provider].options:
            names = [
                RULES[name].name
                for name, row in PROVIDER_OPTIONS.items()
                if option in row.options
            ]
            raise click.UsageError(f"{option} is only for {' and '.join(names)}")
