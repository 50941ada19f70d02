"""`payments accounts …`: the provider accounts of merchants.

A secret comes from the environment, from a prompt that does not show it, or from the
standard input: never from an argument, which other users of a machine can read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from application import accounts as use_cases
from cli import secrets
from cli.commands import account_options as options, account_output as rows
from cli.commands.account_check import check
from cli.commands.keys import as_json, merchant_name
from cli.database import opened
from domain.account import (
    AccountNotFound,
    AlreadyConnected,
    Credentials,
    StoredAccount,
    TooManyAccounts,
)
from domain.payments.routing import MAX_ACCOUNTS
from domain.payments.submission import Mode, ProviderName
from local_stack.state import StackError
from runtime.settings import Settings

if TYPE_CHECKING:
    from application.ports.accounts import AccountStore


@click.group()
def accounts() -> None:
    """Give a merchant provider accounts of its own, and look after them.

    A merchant that has any has its payments carried out there alone.
    """


accounts.add_command(check)


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
@options.currency
@options.weight
@options.rate
@options.client_id
@options.webhook_id
@options.connected
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
    options.check(name, client_id, webhook_id, connected)
    with _accounts() as (settings, store):
        from runtime import container

        if name is ProviderName.PAYPAL and not client_id:
            raise click.UsageError("PayPal's accounts need --client-id")

        asked = secrets.read(
            options.SECRET_PROMPTS[name], optional=connected is not None
        )
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
            calls_per_second=rate,
            connected_account=connected,
        )
        try:
            use_cases.add_account(fresh, store=store)
        except TooManyAccounts:
            raise StackError(
                f"{merchant} has {MAX_ACCOUNTS} accounts in {mode} mode, which is all"
                " that can be chosen between"
            ) from None
        except AlreadyConnected:
            raise StackError(
                f"{connected} is another account's already: `payments accounts list`"
            ) from None
    rows.show_account(fresh, settings, as_json)
    if not as_json:
        click.echo(rows.next_step(fresh))
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
    with _accounts() as (settings, store):
        listed = store.list(merchant=merchant)
        unreadable = store.list_unreadable(merchant=merchant)
    rows.show_accounts(listed, settings, as_json)
    if unreadable:
        click.echo(
            "Warning: these are not shown, for their credentials cannot be opened:"
            f" {', '.join(unreadable)}. `payments doctor` says more",
            err=True,
        )


@accounts.command()
@options.identified
@as_json
def show(account: str, as_json: bool) -> None:
    """Show an account, without its secrets, and where its webhooks go."""
    with _accounts(account) as (settings, store):
        rows.show_account(store.get(account), settings, as_json)


@accounts.command("set")
@options.identified
@options.currency
@options.weight
@options.rate
@options.webhook_id
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
    if all(one is None for one in (currencies, weight, rate, webhook_id)):
        raise click.UsageError(
            "say what to change: --currency, --weight, --rate or --webhook-id"
        )

    with _accounts(account) as (settings, store):
        options.check(store.get(account).provider, None, webhook_id, None)
        changed = use_cases.configure_account(
            account,
            currencies=currencies,
            weight=weight,
            rate=rate,
            webhook_id=webhook_id,
            store=store,
        )
        rows.show_account(changed, settings, as_json)


@accounts.command()
@options.identified
@options.client_id
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
    with _accounts(account) as (settings, store):
        from runtime import container

        before = store.get(account)
        options.check(before.provider, client_id, None, None)
        if of_webhooks:
            signs = secrets.read_webhook_secrets(before.provider)
            rolled = use_cases.roll_webhook_secrets(
                account, signs, store=store, now=container.clock()
            )
        else:
            secret = secrets.read(options.SECRET_PROMPTS[before.provider])
            secrets.check(before.provider, before.mode, secret, settings)
            rolled = use_cases.roll_secret(
                account,
                secret,
                client_id=client_id,
                store=store,
                now=container.clock(),
            )
        rows.show_account(rolled, settings, as_json)
    if not of_webhooks:
        click.echo(
            "Workers use it in 5 seconds. Where the account's circuit breaker is"
            " open because the"
            " old one was refused, the next probe closes it within a minute. Does it"
            f" work? `payments accounts check {account}`",
            err=True,
        )


@accounts.command()
@options.identified
@click.option("--undo", is_flag=True, help="It takes new payments again.")
@as_json
def retire(account: str, undo: bool, as_json: bool) -> None:
    """Give an account no new payments; captures and refunds of its own go on.

    Payments that were accepted for it before, scheduled ones included, are carried out.
    """
    with _accounts(account) as (settings, store):
        from runtime import container

        if undo:
            changed = use_cases.restore_account(account, store=store)
        else:
            changed = use_cases.retire_account(
                account, store=store, now=container.clock()
            )
        rows.show_account(changed, settings, as_json)


@contextmanager
def _accounts(account: str = "") -> Iterator[tuple[Settings, AccountStore]]:
    """The accounts; says so in its own words where there is no ``account``."""
    if account in set(ProviderName):
        raise StackError(
            f"{account} is the deployment's own account, and described by settings: to"
            f" change it, change PAYMENTS_{account.upper()}_… and start the processes"
            " again"
        )
    with opened() as (settings, database):
        from runtime import container

        try:
            yield settings, container.open_accounts(settings, database)
        except AccountNotFound:
            raise StackError(
                f"there is no account {account}. `payments accounts list` shows all"
            ) from None
