"""`payments merchants …`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from domain.submission import Guard
from runtime.cli.database import opened
from runtime.cli.keys import as_json, merchant_name

if TYPE_CHECKING:
    from persistence.merchants import Merchants

#: What each choice refuses, in words.
_MEANS = {
    Guard.NONE: "nothing is refused",
    Guard.UNFINISHED: "while another payment of the reference is unfinished or unknown",
    Guard.PAID: "and as long as another payment of the reference is paid",
}


@click.group()
def merchants() -> None:
    """Show and change what a merchant has chosen."""


@merchants.command()
@click.argument("merchant", callback=merchant_name)
@as_json
def show(merchant: str, as_json: bool) -> None:
    """When a second payment of one reference is refused."""
    with _merchants() as found:
        _tell(merchant, found.guard(merchant), as_json)


@merchants.command("set")
@click.argument("merchant", callback=merchant_name)
@click.option(
    "--guard",
    type=click.Choice([guard.value for guard in Guard]),
    required=True,
    help="Refuse a second payment of one reference while the first is so.",
)
@as_json
def choose(merchant: str, guard: str, as_json: bool) -> None:
    """Change it for payments from now on; web processes follow in seconds."""
    with _merchants() as found:
        found.set_guard(merchant, Guard(guard))
        _tell(merchant, Guard(guard), as_json)


def _tell(merchant: str, guard: Guard, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"merchant": merchant, "guard": guard.value}))
    else:
        click.echo(f"{merchant}: {guard.value} ({_MEANS[guard]})")


@contextmanager
def _merchants() -> Iterator[Merchants]:
    with opened() as (_, database):
        from persistence.merchants import Merchants

        yield Merchants(database)
