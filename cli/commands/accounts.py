"""`payments accounts …`: the provider accounts of merchants.

A secret comes from the environment, from a hidden prompt or from the standard input,
but never from an argument, which other users of the machine could read.
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
from cli.database import opened
from cli.options import as_json, merchant_name, warn_of_mode
from cli.provider_options import PROVIDER_OPTIONS
from domain.account import (
    AccountNotFound,
    AlreadyConnected,
    Credentials,
    StoredAccount,
    TooManyAccounts,
)
from domain.payments.routing import MAX_ACCOUNTS
from domain.payments.submission import Mode, ProviderName
from domain.provider_rules import RULES
from local_stack.state import StackError
from runtime.settings import Settings

if TYPE_CHECKING:
    from application.ports.accounts import AccountStore


@click.group()
def accounts() -> None:
    """Manage merchants' own provider accounts.

    The payments of a merchant with own accounts are carried out only there.
    """


accounts.add_command(check)


@accounts.command()
@click.option(
    "--merchant", required=True, callback=merchant_name, help="The account's merchant."
)
@click.option(
    "--provider",
    type=click.Choice([one.value for one in ProviderName]),
    required=True,
    help="The account's provider.",
)
@click.option(
    "--mode",
    type=click.Choice([one.value for one in Mode]),
    default=Mode.TEST.value,
    show_default=True,
    help="live for real money.",
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
    """Add an account.

    Its secret (Stripe's secret key, PayPal's client secret) is read from
    PAYMENTS_ACCOUNT_SECRET, from a prompt, or from the first line of the standard
    input.
    """
    name = ProviderName(provider)
    row = PROVIDER_OPTIONS[name]
    options.check(name, client_id=client_id, webhook_id=webhook_id, connected=connected)
    if "--client-id" in row.required and not client_id:
        raise click.UsageError(f"{RULES[name].name}'s accounts need --client-id")
    with _accounts() as (settings, store):
        from runtime import container

        secret = secrets.read(row.secret, optional=connected is not None)
        row.check_secret(Mode(mode), secret, settings)
        fresh = StoredAccount(
            id=container.new_id("acct"),
            merchant=merchant,
            mode=Mode(mode),
            provider=name,
            created_at=container.clock(),
            credentials=Credentials(secret, client_id, webhook_id=webhook_id),
            currencies=currencies or (),
            weight=1 if weight is None else weight,
            calls_per_second=rate,
            connected_account=connected,
        )
        try:
            use_cases.add_account(fresh, store=store)
        except TooManyAccounts:
            raise StackError(
                f"{merchant} has {MAX_ACCOUNTS} accounts in {mode} mode, which is the"
                " limit"
            ) from None
        except AlreadyConnected:
            raise StackError(
                f"{connected} belongs to another account; see `payments accounts list`"
            ) from None
    rows.show_account(fresh, settings, as_json)
    if not as_json:
        click.echo(rows.next_step(fresh))
    warn_of_mode("account", fresh.mode, settings)


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
            "Warning: the credentials of these accounts cannot be decrypted:"
            f" {', '.join(unreadable)}. See `payments doctor`",
            err=True,
        )


@accounts.command()
@options.identified
@as_json
def show(account: str, as_json: bool) -> None:
    """Show an account without its secrets, and the address of its webhooks."""
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
    """Change an account's options; processes follow within seconds."""
    if all(one is None for one in (currencies, weight, rate, webhook_id)):
        raise click.UsageError(
            "give an option to change: --currency, --weight, --rate or --webhook-id"
        )

    with _accounts(account) as (settings, store):
        options.check(store.get(account).provider, webhook_id=webhook_id)
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
    help="Roll Stripe's signing secrets (separated by commas) instead of the key.",
)
@as_json
def roll(account: str, client_id: str | None, of_webhooks: bool, as_json: bool) -> None:
    """Replace an account's secret; workers use the new one within seconds.

    The secret is read as with `add`. Keep the old one valid at the provider for some
    seconds, because calls in progress still use it.
    """
    with _accounts(account) as (settings, store):
        from runtime import container

        before = store.get(account)
        row = PROVIDER_OPTIONS[before.provider]
        options.check(before.provider, client_id=client_id)
        if of_webhooks:
            signing = secrets.read_webhook_secrets(before)
            rolled = use_cases.roll_webhook_secrets(
                account, signing, store=store, now=container.clock()
            )
        else:
            secret = secrets.read(row.secret)
            row.check_secret(before.mode, secret, settings)
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
            "Workers use the secret within 5 seconds. If the account's circuit breaker"
            " is open because the old secret was refused, the next probe closes it"
            f" within a minute. Check the secret: `payments accounts check {account}`",
            err=True,
        )


@accounts.command()
@options.identified
@click.option("--undo", is_flag=True, help="Give it new payments again.")
@as_json
def retire(account: str, undo: bool, as_json: bool) -> None:
    """Give an account no new payments. Its captures and refunds continue.

    Already accepted payments, scheduled ones included, are still carried out.
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
    """Opens the accounts. Raises StackError if ``account`` is not a stored one."""
    if account in set(ProviderName):
        raise StackError(
            f"{account} is the deployment's own account. To change it, change the"
            f" settings PAYMENTS_{account.upper()}_… and restart the processes"
        )
    with opened() as (settings, database):
        from runtime import container

        try:
            yield settings, container.open_accounts(settings, database)
        except AccountNotFound:
            raise StackError(
                f"there is no account {account}. `payments accounts list` shows all"
            ) from None
