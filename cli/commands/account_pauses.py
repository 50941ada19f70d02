"""`payments breakers`, `payments accounts pause` and `payments accounts resume`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from cli.commands.account_options import account_id
from cli.commands.accounts import accounts
from cli.commands.payments import connected
from cli.options import as_json
from domain.circuit_breaker import CallKind
from local_stack import demo_keys

_ACCOUNTS: Final = "/v1/operations/accounts"

#: The meaning of each state of a breaker.
_DESCRIPTIONS: Final = {
    "closed": "closed: calls are made",
    "half_open": "half-open: a probe is under way",
    "open": "open: calls wait",
}

_account = click.argument("account", callback=account_id)
_calls = click.option(
    "--calls",
    type=click.Choice([one.value for one in CallKind]),
    help="Only this kind of calls.",
)
_reason = click.option(
    "--reason", required=True, help="The reason, shown to other operators."
)


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def breakers(context: click.Context, as_json: bool) -> None:
    """Show the circuit breakers of the provider accounts.

    While a breaker is open, calls to its account are not made and payments wait.
    `payments accounts pause` and `resume` open and close a breaker.
    """
    if context.invoked_subcommand:
        return
    with connected(demo=demo_keys.OPERATOR) as api:
        _show(api.read(_ACCOUNTS, {})["data"], as_json)


@accounts.command("pause")
@_account
@_calls
@_reason
@as_json
def pause(account: str, calls: str | None, reason: str, as_json: bool) -> None:
    """Stop all calls to ACCOUNT: an id, or stripe or paypal for the deployment's own.

    Its payments wait until the account is resumed, or move to the merchant's next
    account.
    """
    _change(account, "pause", calls, reason, as_json)


@accounts.command("resume")
@_account
@_calls
@_reason
@as_json
def resume(account: str, calls: str | None, reason: str, as_json: bool) -> None:
    """Allow calls to ACCOUNT again, regardless of the reason its breaker is open."""
    _change(account, "resume", calls, reason, as_json)


def _change(
    account: str, action: str, calls: str | None, reason: str, as_json: bool
) -> None:
    body = {"reason": reason, **({"calls": calls} if calls else {})}
    with connected(demo=demo_keys.OPERATOR) as api:
        breaker = api.act(f"{_ACCOUNTS}/{account}/{action}", body)
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
        "trip reason",
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
