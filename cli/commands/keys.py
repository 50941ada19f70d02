"""`payments keys …`: API keys."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from cli.database import opened
from cli.options import as_json, merchant_name, warn_of_mode
from domain.payments.submission import Mode
from domain.timestamps import format_rfc3339
from local_stack.state import StackError, settings_of

if TYPE_CHECKING:
    from application.ports.accounts import ApiKeyStore
    from domain.api_keys import ApiKey


@click.group()
def keys() -> None:
    """Create, list, roll and revoke API keys."""


@keys.command()
@click.option(
    "--merchant", required=True, callback=merchant_name, help="The key's merchant."
)
@click.option(
    "--role",
    type=click.Choice(["merchant", "operator", "admin"]),
    default="merchant",
    show_default=True,
    help="The key's rights.",
)
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.TEST.value,
    show_default=True,
    help="live for real payments.",
)
@as_json
def create(merchant: str, role: str, mode: str, as_json: bool) -> None:
    """Create a key. It is shown only once."""
    from application import api_keys
    from domain.api_keys import Role

    with _api_keys() as (store, now):
        key, secret = api_keys.create_key(
            merchant=merchant, role=Role(role), mode=Mode(mode), store=store, now=now
        )
    _show_new(key, secret, as_json)
    warn_of_mode("key", key.mode, settings_of(os.environ))


@keys.command("list")
@click.option("--merchant", help="Only this merchant's.")
@as_json
def list_keys(merchant: str | None, as_json: bool) -> None:
    """List keys without their secrets."""
    with _api_keys() as (store, _):
        listed = store.list(merchant)
    if as_json:
        click.echo(json.dumps([_row(key) for key in listed], indent=2))
        return
    from cli import output

    click.echo(
        output.table(
            ["id", "merchant", "mode", "role", "created", "ends"],
            [
                [
                    *(key.id, key.merchant, key.mode.value, key.role.value),
                    *(format_rfc3339(key.created_at), _end(key) or "-"),
                ]
                for key in listed
            ],
            whole=["id", "merchant"],
        )
    )


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap",
    type=click.FloatRange(0, 720),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Hours for which the old key stays valid.",
)
@as_json
def roll(key_id: str, overlap: float, as_json: bool) -> None:
    """Replace a key; the old one stays valid for a while."""
    from application import api_keys

    with _api_keys(key_id) as (store, now):
        key, secret = api_keys.roll_key(
            key_id, overlap=timedelta(hours=overlap), store=store, now=now
        )
    _show_new(key, secret, as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
@as_json
def revoke(key_id: str, as_json: bool) -> None:
    """Revoke a key. It stops working within seconds."""
    from application import api_keys

    with _api_keys(key_id) as (store, now):
        key = api_keys.revoke_key(key_id, store=store, now=now)
    text = f"{key.id} of {key.merchant} is revoked; it stops working within seconds."
    click.echo(json.dumps(_row(key)) if as_json else text)


@contextmanager
def _api_keys(key_id: str = "") -> Iterator[tuple[ApiKeyStore, datetime]]:
    """Opens the keys; also returns the time of the database's clock.

    Raises StackError if ``key_id`` does not exist.
    """
    with opened() as (settings, database):
        from domain.api_keys import KeyNotFound
        from runtime import container

        try:
            now = container.open_clock(database)()
            yield container.open_keys(settings, database), now
        except KeyNotFound:
            raise StackError(
                f"there is no key {key_id}, or it has ended."
                " `payments keys list` shows all"
            ) from None


def _show_new(key: ApiKey, secret: str, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(
                {
                    "id": key.id,
                    "key": secret,
                    "merchant": key.merchant,
                    "role": key.role.value,
                    "mode": key.mode.value,
                }
            )
        )
        return
    click.echo(secret)
    click.echo(
        f"{key.id}: {key.role} of {key.merchant}, {key.mode} mode. Keep the key now:"
        " it is not stored and cannot be shown again.",
        err=True,
    )


def _row(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "merchant": key.merchant,
        "role": key.role.value,
        "mode": key.mode.value,
        "created_at": format_rfc3339(key.created_at),
        "expires_at": _end(key),
    }


def _end(key: ApiKey) -> str | None:
    return format_rfc3339(key.expires_at) if key.expires_at else None
