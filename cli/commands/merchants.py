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
from domain.payments.submission import DuplicatePolicy
from runtime.settings import Settings

if TYPE_CHECKING:
    from application.ports.accounts import MerchantStore
    from domain.merchants import MerchantSettings

#: What each choice refuses, in words.
_DESCRIPTIONS = {
    DuplicatePolicy.NONE: "nothing is refused",
    DuplicatePolicy.UNFINISHED: "while another payment of the reference is"
    " unfinished or unknown",
    DuplicatePolicy.PAID: "while another payment of the reference is unfinished,"
    " unknown or paid",
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
    from providers.decline_codes import KNOWN_CODES, suggest_codes
    from providers.sanitize import parse_stripe_code

    if code in KNOWN_CODES:
        return True
    meant = suggest_codes(code)
    if meant:
        raise click.BadParameter(
            f"{code!r} is no decline code: did you mean {' or '.join(meant)}?"
        )
    if parse_stripe_code(code) is None:
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
        _show(merchant, settings, found, as_json)


@merchants.command("set")
@click.argument("merchant", callback=merchant_name)
@click.option(
    "--duplicate-policy",
    type=click.Choice([duplicate_policy.value for duplicate_policy in DuplicatePolicy]),
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
    merchant: str,
    duplicate_policy: str | None,
    route_on: list[str] | None,
    as_json: bool,
) -> None:
    """Change it for payments from now on; web processes follow in seconds."""
    if duplicate_policy is None and route_on is None:
        raise click.UsageError("say what to change: --duplicate-policy or --route-on")
    with _merchants() as (settings, found):
        found.change_settings(
            merchant,
            duplicate_policy=(
                DuplicatePolicy(duplicate_policy) if duplicate_policy else None
            ),
            routes_on=route_on,
        )
        _show(merchant, settings, found, as_json)


def _show(
    merchant: str, settings: Settings, merchants: MerchantStore, as_json: bool
) -> None:
    from application.ports.payments import Scope

    chosen: MerchantSettings = merchants.load_settings(Scope(merchant, settings.mode))
    duplicate_policy, codes = chosen.duplicate_policy, list(chosen.routes.decline_codes)
    if as_json:
        told = {
            "merchant": merchant,
            "duplicate_policy": duplicate_policy.value,
            "route_on": codes,
        }
        click.echo(json.dumps(told))
        return
    click.echo(
        f"{merchant}: {duplicate_policy.value} ({_DESCRIPTIONS[duplicate_policy]})"
    )
    if codes:
        click.echo(f"Goes on to the next account on: {', '.join(codes)}")


@contextmanager
def _merchants() -> Iterator[tuple[Settings, MerchantStore]]:
    with opened() as (settings, database):
        from persistence.merchants import MongoMerchants

        yield settings, MongoMerchants(database)
