"""`payments breakers`: what stands before the providers' accounts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from cli.commands.account_options import account_id
from cli.commands.accounts import accounts
from cli.commands.payments import connected
from domain.circuit_breaker import CallKind
from local_stack import demo_keys

_ACCOUNTS: Final = "/v1/operations/accounts"

#: What a breaker's position means to whoever has not read the glossary.
_DESCRIPTIONS: Final = {
    "closed": "closed: payments go through",
    "open": "open: nothing goes through",
}

_account = click.argument("account", callback=account_id)
_calls = click.option(
    "--calls",
    type=click.Choice([one.value for one in CallKind]),
    help="Of one kind alone.",
)
_reason = click.option("--reason", required=True, help="For whoever looks at it next.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(invoke_without_command=True)
@_as_json
@click.pass_context
def breakers(context: click.Context, as_json: bool) -> None:
    """Show the breakers before the providers' accounts, open or close one.

    As with an electric breaker, an open breaker lets nothing through: payments wait.
    """
    if context.invoked_subcommand:
        return
    with connected(demo=demo_keys.OPERATOR) as api:
        _show(api.read(_ACCOUNTS, {})["data"], as_json)


@accounts.command("pause")
@_account
@_calls
@_reason
@_as_json
def pause(account: str, calls: str | None, reason: str, as_json: bool) -> None:
    """Stop all calls to ACCOUNT, an id or stripe or paypal for the deployment's own.

    Its payments wait until the breaker is closed, or go on to the next account where
    they have one.
    """
    _change(account, "pause", calls, reason, as_json)


@accounts.command("resume")
@_account
@_calls
@_reason
@_as_json
def resume(account: str, calls: str | None, reason: str, as_json: bool) -> None:
    """Let calls to ACCOUNT through again, whatever had stopped them."""
    _change(account, "resume", calls, reason, as_json)


def _change(
    account: str, action: str, calls: str | None, reason: str, as_json: bool
) -> None:
    asked = {"reason": reason, **({"calls": calls} if calls else {})}
    with connected(demo=demo_keys.OPERATOR) as api:
        breaker = api.act(f"{_ACCOUNTS}/{account}/{action}", asked)
    if as_json:
        click.echo(json.dumps(breaker, indent=2))
    else:
        _show([breaker], as_json)


def _show(found: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    from cli import output

    columns = [
        "account",
        "calls",
        "provider",
        "merchant",
        "state",
        "trip_reason",
        "reason",
        "since",
        "next probe",
        "by",
    ]
    rows = [
        [
            breaker["account"],
            breaker["calls"] or "all",
            breaker["provider"],
            breaker["merchant"] or "-",
            _DESCRIPTIONS.get(breaker["state"], breaker["state"]),
            *(
                str(breaker[name] or "-")
                for name in ("trip_reason", "reason", "since", "next_probe_at", "by")
            ),
        ]
        for breaker in found
    ]
    click.echo(output.table(columns, rows, whole=["account", "by"]))
