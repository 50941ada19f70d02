"""`payments gates`: what stands before the providers' accounts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from cli.commands.account_options import account_id
from cli.commands.payments import connected
from domain.circuit_breaker import CallKind
from local_stack import demo_keys

_GATES: Final = "/v1/operations/gates"

#: What a gate's position means to whoever has not read the glossary.
_MEANS: Final = {
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
def gates(context: click.Context, as_json: bool) -> None:
    """Show the gates before the providers' accounts, open or close one.

    As with an electric breaker, an open gate lets nothing through: payments wait.
    """
    if context.invoked_subcommand:
        return
    with connected(demo=demo_keys.OPERATOR) as api:
        _tell(api.read(_GATES, {})["data"], as_json)


@gates.command("open")
@_account
@_calls
@_reason
@_as_json
def open_gate(account: str, calls: str | None, reason: str, as_json: bool) -> None:
    """Stop all calls to ACCOUNT, an id or stripe or paypal for the deployment's own.

    Its payments wait until the gate is closed, or go on to the next account where they
    have one.
    """
    _move(account, "open", calls, reason, as_json)


@gates.command("close")
@_account
@_calls
@_reason
@_as_json
def close_gate(account: str, calls: str | None, reason: str, as_json: bool) -> None:
    """Let calls to ACCOUNT through again, whatever had stopped them."""
    _move(account, "close", calls, reason, as_json)


def _move(
    account: str, how: str, calls: str | None, reason: str, as_json: bool
) -> None:
    asked = {"reason": reason, **({"calls": calls} if calls else {})}
    with connected(demo=demo_keys.OPERATOR) as api:
        gate = api.act(f"{_GATES}/{account}/{how}", asked)
    if as_json:
        click.echo(json.dumps(gate, indent=2))
    else:
        _tell([gate], as_json)


def _tell(found: Sequence[Mapping[str, Any]], as_json: bool) -> None:
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
        "why",
        "reason",
        "since",
        "next probe",
        "by",
    ]
    rows = [
        [
            gate["account"],
            gate["calls"] or "all",
            gate["provider"],
            gate["merchant"] or "-",
            _MEANS.get(gate["state"], gate["state"]),
            *(
                str(gate[name] or "-")
                for name in ("why", "reason", "since", "next_probe_at", "by")
            ),
        ]
        for gate in found
    ]
    click.echo(output.table(columns, rows, whole=["account", "by"]))
