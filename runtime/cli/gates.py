"""`payments gates`: what stands before the providers' accounts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import click

from domain.submission import ProviderName
from runtime.cli.payments import connected
from runtime.stack import demo_key

_GATES: Final = "/v1/operations/gates"
_Command = TypeVar("_Command", bound=Callable[..., Any])

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(invoke_without_command=True)
@_as_json
@click.pass_context
def gates(context: click.Context, as_json: bool) -> None:
    """See the gates before the providers' accounts; open and close them."""
    if context.invoked_subcommand is not None:
        return
    with connected(demo=demo_key.OPERATOR) as api:
        found = api.read(_GATES, {})
    _show(found["data"], found, as_json)


def _moving(command: _Command) -> _Command:
    """What both ways to move a gate are given."""
    names = [provider.value for provider in ProviderName]
    for option in (
        _as_json,
        click.option("--reason", required=True, help="Who looks at it reads this."),
        click.argument("provider", type=click.Choice(names)),
    ):
        command = option(command)
    return command


@gates.command("open")
@_moving
def open_gate(provider: str, reason: str, as_json: bool) -> None:
    """Stop the calls to a provider's account; its payments wait."""
    _move(provider, "open", reason, as_json)


@gates.command("close")
@_moving
def close_gate(provider: str, reason: str, as_json: bool) -> None:
    """Let the calls go on, whatever opened the gate."""
    _move(provider, "close", reason, as_json)


def _move(provider: str, how: str, reason: str, as_json: bool) -> None:
    with connected(demo=demo_key.OPERATOR) as api:
        gate = api.act(f"{_GATES}/{provider}/{how}", {"reason": reason})
    _show([gate], gate, as_json)


def _show(found: Sequence[Mapping[str, Any]], whole: object, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(whole, indent=2))
        return
    from runtime.cli import told

    columns = ["provider", "position", "why", "since", "next probe", "by", "reason"]
    names = ("provider", "position", "why", "since", "probe_at", "by", "reason")
    rows = [[str(gate[name] or "-") for name in names] for gate in found]
    click.echo(told.table(columns, rows, whole=["provider", "position", "why"]))
