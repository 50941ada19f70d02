"""`payments merchants …`: the settings of merchants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from cli.database import opened
from cli.options import as_json, merchant_name
from domain.payments.routing import MAX_CODES
from domain.payments.submission import DuplicatePolicy
from runtime.settings import Settings

if TYPE_CHECKING:
    from application.ports.accounts import MerchantStore
    from domain.merchants import MerchantSettings

#: The meaning of each policy.
_DESCRIPTIONS = {
    DuplicatePolicy.NONE: "no payment is refused",
    DuplicatePolicy.UNFINISHED: "a payment is refused while another one with its"
    " reference is unfinished or unknown",
    DuplicatePolicy.PAID: "a payment is refused while another one with its reference is"
    " unfinished, unknown or paid",
}


def _codes(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[str] | None:
    """Parses codes; ``last_error`` has them in small letters."""
    if value is None:
        return None
    given = [one.strip().lower() for one in value.split(",") if one.strip()]
    found = list(dict.fromkeys(given))
    if len(found) > MAX_CODES:
        raise click.BadParameter(
            f"write at most {MAX_CODES} codes, separated by commas"
        )
    new = [one for one in found if not _is_known(one)]
    if new:
        click.echo(
            f"Warning: {', '.join(new)}: not among the decline codes that this version"
            " knows. Write codes as last_error shows them.",
            err=True,
        )
    return found


def _is_known(code: str) -> bool:
    """Whether the code is a published one; providers may add others.

    Raises BadParameter for a malformed code or a misspelt known one.
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
    """Show and change a merchant's settings."""


@merchants.command()
@click.argument("merchant", callback=merchant_name)
@as_json
def show(merchant: str, as_json: bool) -> None:
    """Show a merchant's settings."""
    with _merchants() as (settings, found):
        _show(merchant, settings, found, as_json)


@merchants.command("set")
@click.argument("merchant", callback=merchant_name)
@click.option(
    "--duplicate-policy",
    type=click.Choice([duplicate_policy.value for duplicate_policy in DuplicatePolicy]),
    help="Refuse a second payment with a reference while the first is in this state.",
)
@click.option(
    "--route-on",
    callback=_codes,
    metavar="CODES",
    help="Decline codes, separated by commas, that move a payment to the merchant's"
    " next account; '' for none.",
)
@as_json
def choose(
    merchant: str,
    duplicate_policy: str | None,
    route_on: list[str] | None,
    as_json: bool,
) -> None:
    """Change the settings for new payments; web processes follow within seconds."""
    if duplicate_policy is None and route_on is None:
        raise click.UsageError(
            "give an option to change: --duplicate-policy or --route-on"
        )
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
        shown = {
            "merchant": merchant,
            "duplicate_policy": duplicate_policy.value,
            "route_on": codes,
        }
        click.echo(json.dumps(shown))
        return
    click.echo(
        f"{merchant}: {duplicate_policy.value} ({_DESCRIPTIONS[duplicate_policy]})"
    )
    if codes:
        click.echo(f"Codes that move a payment on: {', '.join(codes)}")


@contextmanager
def _merchants() -> Iterator[tuple[Settings, MerchantStore]]:
    with opened() as (settings, database):
        from persistence.merchants import MongoMerchants

        yield settings, MongoMerchants(database)
