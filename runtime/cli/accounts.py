"""`payments accounts …`: the provider accounts of merchants.

A secret comes from the environment, from a prompt that does not show it, or from the
standard input: never from an argument, which other users of a machine can read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from domain.money import CURRENCIES
from domain.routing import MAX_ACCOUNTS, MAX_WEIGHT
from domain.submission import Mode, ProviderName
from runtime.cli import secrets
from runtime.cli.database import opened
from runtime.cli.keys import as_json, merchant_name
from runtime.settings import Settings
from runtime.stack.state import StackError

if TYPE_CHECKING:
    from persistence.accounts import Accounts, StoredAccount

_ID: Final = re.compile(r"acct_[0-9A-HJKMNP-TV-Z]{26}")
#: Stripe's ids of accounts.
_CONNECTED: Final = re.compile(r"acct_[A-Za-z0-9]{1,60}")


def account_id(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Checks an argument that names an account, the deployment's own included."""
    if value not in set(ProviderName) and not _ID.fullmatch(value):
        raise click.BadParameter(
            "write the id of an account, as `payments accounts list` shows it, or"
            " stripe or paypal for the deployment's own"
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
        raise click.BadParameter(f"{wrong[0]} is no currency: write USD,EUR or so")
    return found


def _stripes(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    if value is not None and not _CONNECTED.fullmatch(value):
        raise click.BadParameter("write Stripe's id of the account, acct_ and more")
    return value


_id = click.argument("account", metavar="ID", callback=account_id)
_currency = click.option(
    "--currency",
    "currencies",
    callback=_currencies,
    metavar="CODES",
    help="Takes these alone, comma between; '' for any.",
)
_weight = click.option(
    "--weight",
    type=click.IntRange(0, MAX_WEIGHT),
    help="Its share beside the merchant's others; 0: only where those did not take it.",
)
_rate = click.option(
    "--rate",
    type=click.IntRange(0, 10_000),
    help="Calls a second, of all workers together; 0 for any number.",
)
_client_id = click.option("--client-id", help="PayPal's client id.")
_webhook_id = click.option("--webhook-id", help="PayPal's id of our webhook.")


@click.group()
def accounts() -> None:
    """Give a merchant provider accounts of its own, and look after them.

    A merchant that has any has its payments carried out there alone.
    """


@accounts.command()
@click.option(
    "--merchant", required=True, callback=merchant_name, help="Whose account it is."
)
@click.option(
    "--provider",
    type=click.Choice([one.value for one in ProviderName]),
    required=True,
    help="Where it is.",
)
@click.option(
    "--mode",
    type=click.Choice([one.value for one in Mode]),
    default=Mode.TEST.value,
    show_default=True,
    help="Whether its money is real.",
)
@_currency
@_weight
@_rate
@_client_id
@_webhook_id
@click.option(
    "--connected",
    callback=_stripes,
    help="Stripe's id of a connected account; without a key of its own it is reached by"
    " the deployment's.",
)
@as_json
def add(
    merchant: str,
    provider: str,
    mode: str,
    currencies: tuple[str, ...] | None,
    weight: int | None,
    rate: int | None,
    client_id: str | None,
    webhook_id: str | None,
    connected: str | None,
    as_json: bool,
) -> None:
    """Add an account; its secret is asked for.

    The secret (Stripe's secret key, PayPal's client secret) is read from
    PAYMENTS_ACCOUNT_SECRET, else asked for, or the first line of the standard input.
    """
    name = ProviderName(provider)
    _check_options(name, client_id, webhook_id, connected)
    with _accounts() as (settings, found):
        from persistence.accounts import Credentials, StoredAccount, TooManyAccounts
        from runtime import container

        if name is ProviderName.PAYPAL and not client_id:
            raise click.UsageError("PayPal's accounts need --client-id")

        asked = secrets.read(_ASKS[name], optional=connected is not None)
        secrets.check(name, Mode(mode), asked, settings)
        fresh = StoredAccount(
            id=container.new_id("acct"),
            merchant=merchant,
            mode=Mode(mode),
            provider=name,
            created_at=container.clock(),
            credentials=Credentials(asked, client_id, webhook_id=webhook_id),
            currencies=currencies or (),
            weight=1 if weight is None else weight,
            rate=rate,
            connected=connected,
        )
        try:
            found.add(fresh)
        except TooManyAccounts:
            raise StackError(
                f"{merchant} has {MAX_ACCOUNTS} accounts in {mode} mode, which is all"
                " that can be chosen between"
            ) from None
    _tell(fresh, as_json)
    if fresh.mode is not settings.mode:
        click.echo(
            f"Warning: this is a {mode} account, but PAYMENTS_MODE is"
            f" {settings.mode}: it is not used while that is so.",
            err=True,
        )


@accounts.command("list")
@click.option("--merchant", help="Only this merchant's.")
@as_json
def list_accounts(merchant: str | None, as_json: bool) -> None:
    """List merchants' accounts, without their secrets."""
    with _accounts() as (_, found):
        listed = found.list(merchant=merchant)
    if as_json:
        click.echo(json.dumps([_row(one) for one in listed], indent=2))
        return
    from runtime.cli import told

    columns = ["id", "merchant", "mode", "provider", "currencies", "weight", "retired"]
    rows = [
        [
            *(one.id, one.merchant, one.mode.value, one.provider.value),
            ",".join(one.currencies) or "any",
            str(one.weight),
            one.retired_at.isoformat(" ", "seconds") if one.retired_at else "-",
        ]
        for one in listed
    ]
    click.echo(told.table(columns, rows, whole=["id", "merchant"]))


@accounts.command("set")
@_id
@_currency
@_weight
@_rate
@_webhook_id
@as_json
def change(
    account: str,
    currencies: tuple[str, ...] | None,
    weight: int | None,
    rate: int | None,
    webhook_id: str | None,
    as_json: bool,
) -> None:
    """Change what an account takes, and how much; processes follow in seconds."""

    def step(before: StoredAccount) -> StoredAccount:
        _check_options(before.provider, None, webhook_id, None)
        its = before.credentials
        return replace(
            before,
            currencies=before.currencies if currencies is None else currencies,
            weight=before.weight if weight is None else weight,
            rate=before.rate if rate is None else rate,
            credentials=replace(its, webhook_id=webhook_id or its.webhook_id),
        )

    with _accounts(account) as (_, found):
        _tell(found.change(account, step), as_json)


@accounts.command()
@_id
@_client_id
@click.option(
    "--webhook-secrets",
    "of_webhooks",
    is_flag=True,
    help="What Stripe signs its webhooks with, instead of the key; comma between.",
)
@as_json
def roll(account: str, client_id: str | None, of_webhooks: bool, as_json: bool) -> None:
    """Give an account a new secret; workers use it within seconds.

    It is read as with `add`. Keep the old one valid at the provider until then: calls
    under way still use it.
    """
    with _accounts(account) as (settings, found):
        from runtime import container

        before = found.get(account)
        _check_options(before.provider, client_id, None, None)
        if of_webhooks:
            signs = secrets.read_webhook_secrets(before.provider)
        else:
            secret = secrets.read(_ASKS[before.provider])
            secrets.check(before.provider, before.mode, secret, settings)

        def step(stored: StoredAccount) -> StoredAccount:
            its = stored.credentials
            if of_webhooks:
                its = replace(its, webhook_secrets=signs)
            else:
                client = client_id or its.client_id
                its = replace(its, secret=secret, client_id=client)
            return replace(stored, credentials=its, rolled_at=container.clock())

        _tell(found.change(account, step), as_json)
    if not of_webhooks:
        click.echo(
            "Workers use it in 5 seconds. Where the account's gate is open because the"
            " old one was refused, the next probe closes it within a minute.",
            err=True,
        )


@accounts.command()
@_id
@as_json
def retire(account: str, as_json: bool) -> None:
    """Give an account no new payments; captures and refunds of its own go on.

    Payments that were accepted for it before, scheduled ones included, are carried out.
    """
    with _accounts(account) as (_, found):
        from runtime import container

        def step(before: StoredAccount) -> StoredAccount:
            at = before.retired_at or container.clock()
            return replace(before, retired_at=at)

        _tell(found.change(account, step), as_json)


#: What a provider's secret is called.
_ASKS: Final = {
    ProviderName.STRIPE: "Stripe's secret key",
    ProviderName.PAYPAL: "PayPal's client secret",
}


def _check_options(
    provider: ProviderName,
    client_id: str | None,
    webhook_id: str | None,
    connected: str | None,
) -> None:
    """Raises UsageError where an option is another provider's."""
    if provider is ProviderName.STRIPE and (client_id or webhook_id):
        raise click.UsageError("--client-id and --webhook-id are PayPal's alone")
    if provider is ProviderName.PAYPAL and connected:
        raise click.UsageError("--connected is Stripe's alone")


@contextmanager
def _accounts(account: str = "") -> Iterator[tuple[Settings, Accounts]]:
    """The accounts; says so in its own words where there is no ``account``."""
    if account in set(ProviderName):
        raise StackError(
            f"{account} is the deployment's own account: change PAYMENTS_"
            f"{account.upper()}_… and start the processes again"
        )
    with opened() as (settings, database):
        from persistence.accounts import AccountNotFound, Accounts
        from runtime import container

        try:
            yield settings, Accounts(database, container.open_vault(settings))
        except AccountNotFound:
            raise StackError(
                f"there is no account {account}. `payments accounts list` shows all"
            ) from None


def _tell(account: StoredAccount, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_row(account)))
        return
    currencies = ",".join(account.currencies) or "any currency"
    retired = ", retired" if account.retired_at else ""
    click.echo(
        f"{account.id}: {account.provider} of {account.merchant}, {account.mode} mode,"
        f" {currencies}, weight {account.weight}{retired}"
    )


def _row(account: StoredAccount) -> dict[str, Any]:
    its = account.credentials
    return {
        "id": account.id,
        "merchant": account.merchant,
        "mode": account.mode.value,
        "provider": account.provider.value,
        "currencies": list(account.currencies),
        "weight": account.weight,
        "rate": account.rate,
        "connected": account.connected,
        "own_secret": its.secret is not None,
        "webhooks": bool(its.webhook_secrets or its.webhook_id),
        "created_at": account.created_at.isoformat(),
        "rolled_at": account.rolled_at.isoformat() if account.rolled_at else None,
        "retired_at": account.retired_at.isoformat() if account.retired_at else None,
    }
