"""`payments merchants …`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from cli.commands.keys import as_json, merchant_name
from cli.database import opened
from domain.payments.routing import MAX_CODES
from domain.payments.submission import Guard
from runtime.settings import Settings

if TYPE_CHECKING:
    from application.ports.accounts import MerchantStore
    from domain.merchants import MerchantSettings

#: What each choice refuses, in words.
_MEANS = {
    Guard.NONE: "nothing is refused",
    Guard.UNFINISHED: "while another payment of the reference is unfinished or unknown",
    Guard.PAID: "while another payment of the reference is unfinished, unknown or paid",
}


def _codes(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[str] | None:
    """Each as ``last_error`` shows it: in small letters, at PayPal as well."""
    if value is None:
        return None
    given = [one.strip().lower() for one in value.split(",") if one.strip()]
    found = list(dict.fromkeys(given))
    if len(found) > MAX_CODES:
        raise click.BadParameter(f"write {MAX_CODES} codes at most, comma between")
    new = [one for one in found if not _is_known(one)]
    if new:
        click.echo(
            f"Warning: {', '.join(new)}: not among the decline codes that this version"
            " knows of. Is it as last_error shows it?",
            err=True,
        )
    return found


def _is_known(code: str) -> bool:
    """Whether a provider has published it; a new one can be.

    Raises BadParameter where it cannot be, or is a known one mistyped.
    """
    from providers.decline_codes import KNOWN, likely
    from providers.sanitize import stripe_code

    if code in KNOWN:
        return True
    meant = likely(code)
    if meant:
        raise click.BadParameter(
            f"{code!r} is no decline code: did you mean {' or '.join(meant)}?"
        )
    if stripe_code(code) is None:
        raise click.BadParameter(
            f"{code!r} is no decline code: write them as last_error shows them, such as"
            " do_not_honor, insufficient_funds or instrument_declined"
        )
    return False


@click.group()
def merchants() -> None:
    """Show and change what a merchant has chosen."""


@merchants.command()
@click.argument("merchant", callback=merchant_name)
@as_json
def show(merchant: str, as_json: bool) -> None:
    """What it has chosen for its payments."""
    with _merchants() as (settings, found):
        _tell(merchant, settings, found, as_json)


@merchants.command("set")
@click.argument("merchant", callback=merchant_name)
@click.option(
    "--guard",
    type=click.Choice([guard.value for guard in Guard]),
    help="Refuse a second payment of one reference while the first is so.",
)
@click.option(
    "--route-on",
    callback=_codes,
    metavar="CODES",
    help="Decline codes, comma between, on which a payment goes on to the merchant's"
    " next account; '' for none.",
)
@as_json
def choose(
    merchant: str, guard: str | None, route_on: list[str] | None, as_json: bool
) -> None:
    """Change it for payments from now on; web processes follow in seconds."""
    if guard is None and route_on is None:
        raise click.UsageError("say what to change: --guard or --route-on")
    with _merchants() as (settings, found):
        found.choose(
            merchant, guard=Guard(guard) if guard else None, routes_on=route_on
        )
        _tell(merchant, settings, found, as_json)


def _tell(
    merchant: str, settings: Settings, merchants: MerchantStore, as_json: bool
) -> None:
    from application.ports.payments import Scope

    chosen: MerchantSettings = merchants.chosen(Scope(merchant, settings.mode))
    guard, codes = chosen.guard, list(chosen.routes.codes)
    if as_json:
        told = {"merchant": merchant, "guard": guard.value, "route_on": codes}
        click.echo(json.dumps(told))
        return
    click.echo(f"{merchant}: {guard.value} ({_MEANS[guard]})")
    if codes:
        click.echo(f"Goes on to the next account on: {', '.join(codes)}")


@contextmanager
def _merchants() -> Iterator[tuple[Settings, MerchantStore]]:
    with opened() as (settings, database):
        from persistence.merchants import Merchants

        yield settings, Merchants(database)
