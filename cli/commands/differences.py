"""`payments reconcile open` and `close`: open differences of the books."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from cli.database import opened
from cli.options import as_json
from domain.card_numbers import has_card_data
from domain.reconciliation import Difference, Movement
from domain.timestamps import format_rfc3339
from local_stack.state import StackError

if TYPE_CHECKING:
    from persistence.differences import MongoDifferences

#: The columns of a difference in a table; those in WHOLE are never folded.
COLUMNS: Final = (
    *("kind", "payment", "operation", "ref"),
    *("direction", "ours", "theirs", "at"),
)
WHOLE: Final = ("payment", "operation", "ref", "ours", "theirs", "at")


@click.command("open")
@as_json
def show_open(as_json: bool) -> None:
    """List open differences, the oldest first, at most 1,000."""
    with _open_differences() as kept:
        found = kept.list_open()
    if as_json:
        listed = [
            {
                "id": one.id,
                "account": one.account.id,
                "first_at": format_rfc3339(one.first_at),
                "last_at": format_rfc3339(one.last_at),
                **to_json(one.difference),
            }
            for one in found
        ]
        click.echo(json.dumps(listed, indent=2))
        return
    if not found:
        click.echo("no difference is open", err=True)
        return
    from cli import output

    rows = [
        [one.id, one.account.id, *row(one.difference), format_rfc3339(one.first_at)]
        for one in found
    ]
    columns = ["id", "account", *COLUMNS, "open since"]
    click.echo(output.table(columns, rows, whole=["id", "account", *WHOLE]))


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--reason", required=True, help="The explanation of the difference.")
def close(ids: Sequence[str], reason: str) -> None:
    """Close differences by their IDs from `payments reconcile open`.

    This moves no money and changes no payment. A difference that changes afterwards is
    opened again.
    """
    from runtime.container import clock

    if has_card_data(reason):
        raise click.UsageError("--reason appears to contain card data")
    with _open_differences() as kept:
        done = kept.close(ids, by=_operator_name(), reason=reason, now=clock())
    if done:
        click.echo(f"{len(done)} of {len(ids)} closed")
    left = [one for one in ids if one not in done]
    if left:
        raise StackError(
            f"there is no open difference {', '.join(left)}. `payments reconcile open`"
            " lists all"
        )


def row(found: Difference) -> list[str]:
    """Renders the cells of COLUMNS."""
    some = found.ours or found.theirs
    sides = (found.theirs, found.unreadable, found.ours)
    times = [one.at for one in sides if one and one.at]
    return [
        found.kind.value.replace("_", " "),
        *(found.payment or "-", found.operation or "-", found.ref or "-"),
        some.direction.value if some is not None else "-",
        _side(found.ours),
        "unreadable" if found.unreadable is not None else _side(found.theirs),
        format_rfc3339(times[0]) if times else "-",
    ]


def _side(one: Movement | None) -> str:
    """Renders ``19.99 USD``, and the status of a movement without effect."""
    if one is None:
        return "nothing"
    amount = str(one.money)
    status = one.status.value.replace("_", " ")
    return amount if one.moved else f"{amount} ({status})"


def to_json(found: Difference) -> dict[str, Any]:
    """Renders a difference for programs."""
    return {
        "kind": found.kind.value,
        "payment": found.payment,
        "operation": found.operation,
        "ref": found.ref,
        "ours": _movement(found.ours),
        "theirs": _movement(found.theirs),
    }


def _movement(one: Movement | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "direction": one.direction.value,
        "status": one.status.value,
        "amount": one.money.minor,
        "currency": one.money.currency,
        "at": one.at and format_rfc3339(one.at),
    }


def _operator_name() -> str:
    """Returns the name of the system's user; in a container it may be a number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


@contextmanager
def _open_differences() -> Iterator[MongoDifferences]:
    with opened() as (settings, database):
        from persistence.differences import MongoDifferences

        yield MongoDifferences(database, settings.mode)
