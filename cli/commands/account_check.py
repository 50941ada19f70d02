"""`payments accounts check`: tests the credentials of accounts."""

from __future__ import annotations

import sys
from functools import partial

import click

from cli.commands.account_options import account_id
from cli.database import opened
from cli.options import as_json
from cli.findings import FAIL
from local_stack.state import StackError


@click.command()
@click.argument("account", metavar="[ID]", required=False, callback=account_id)
@as_json
def check(account: str | None, as_json: bool) -> None:
    """Check the rights of an account's credentials; by default of all accounts.

    ID may be stripe or paypal for the deployment's own account. The check sends a few
    reads per account, which do not count against its rate limit.
    """
    with opened() as (settings, database):
        from cli import output
        from cli.commands import account_credentials
        from runtime import container

        adapters = container.open_adapters(settings, database, connections=1)
        found = [
            finding
            for one in container.list_accounts(settings, database)
            if account in (None, one.id)
            for finding in account_credentials.findings(
                one.id, partial(adapters.for_account, one)
            )
        ]
    if not found:
        raise StackError(
            f"there is no account {account} in {settings.mode} mode. `payments accounts"
            " list` shows all"
        )
    click.echo(output.findings_json(found) if as_json else output.findings(found))
    sys.exit(any(one.verdict == FAIL for one in found))
