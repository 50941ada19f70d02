"""`payments keys …` and `payments rotate-keys`."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

import click

from domain.submission import Mode
from domain.times import rfc3339
from runtime.cli.database import opened, settings_with_database
from runtime.stack.state import StackError, settings_of

if TYPE_CHECKING:
    from domain.api_keys import ApiKey
    from application.account_ports import ApiKeyStore
    from persistence.vault import KeySource, Vault

#: A pass leaves only payments that moved in its midst; two are usual.
RESEAL_PASSES: Final = 10
#: Seconds between two words on a pass: over millions of documents it takes minutes.
TOLD_EVERY: Final = 5.0
#: Documents that a message names.
NAMED: Final = 10
#: What a merchant may be called: it stands in logs, tables and queries.
_MERCHANT: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def merchant_name(
    context: click.Context, parameter: click.Parameter, value: str
) -> str:
    """Checks an argument that names a merchant."""
    if not _MERCHANT.fullmatch(value):
        raise click.BadParameter("write 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    return value


@click.group()
def keys() -> None:
    """Make, list, roll and revoke API keys."""


@keys.command()
@click.option(
    "--merchant", required=True, callback=merchant_name, help="Whose key it is."
)
@click.option(
    "--role",
    type=click.Choice(["merchant", "operator", "admin"]),
    default="merchant",
    show_default=True,
    help="What it may do.",
)
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.TEST.value,
    show_default=True,
    help="Whether its payments are real.",
)
@as_json
def create(merchant: str, role: str, mode: str, as_json: bool) -> None:
    """Make a key; it is shown this once."""
    from application import api_keys
    from domain.api_keys import Role

    with _api_keys() as (store, now):
        key, secret = api_keys.create_key(
            merchant=merchant, role=Role(role), mode=Mode(mode), store=store, now=now
        )
    _tell_new(key, secret, as_json)
    served = settings_of(os.environ).mode
    if key.mode is not served:
        click.echo(
            f"Warning: this is a {key.mode} key, but PAYMENTS_MODE is {served}: the"
            " service refuses it while that is so.",
            err=True,
        )


@keys.command("list")
@click.option("--merchant", help="Only this merchant's.")
@as_json
def list_keys(merchant: str | None, as_json: bool) -> None:
    """List keys, without their secrets."""
    with _api_keys() as (store, _):
        listed = store.list(merchant)
    if as_json:
        click.echo(json.dumps([_row(key) for key in listed], indent=2))
        return
    from runtime.cli import told

    click.echo(
        told.table(
            ["id", "merchant", "mode", "role", "created", "ends"],
            [
                [
                    *(key.id, key.merchant, key.mode.value, key.role.value),
                    *(rfc3339(key.created_at), _end(key) or "-"),
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
    help="How long the old key lives on.",
)
@as_json
def roll(key_id: str, overlap: float, as_json: bool) -> None:
    """Make a key's successor; the old one lives on for a while."""
    from application import api_keys

    with _api_keys(key_id) as (store, now):
        key, secret = api_keys.roll_key(
            key_id, overlap=timedelta(hours=overlap), store=store, now=now
        )
    _tell_new(key, secret, as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
@as_json
def revoke(key_id: str, as_json: bool) -> None:
    """End a key: it stops working within seconds."""
    from application import api_keys

    with _api_keys(key_id) as (store, now):
        key = api_keys.revoke_key(key_id, store=store, now=now)
    text = f"{key.id} of {key.merchant} is revoked; it stops working within seconds."
    click.echo(json.dumps(_row(key)) if as_json else text)


@click.command("rotate-keys")
@click.option(
    "--drop-old",
    is_flag=True,
    help="Then forget the old keys: backups from before cannot be read any more.",
)
@click.option(
    "--from-fernet",
    is_flag=True,
    help="Once, after an upgrade: also open what an earlier release sealed. Its seals"
    " open wherever somebody put them.",
)
def rotate_keys(drop_old: bool, from_fernet: bool) -> None:
    """Seal every stored field with a fresh encryption key.

    Processes that run go on, and learn the keys within seconds: one for payments, one
    for accounts. Where they are in PAYMENTS_ENCRYPTION_KEYS and
    PAYMENTS_ACCOUNT_ENCRYPTION_KEYS, put new ones first and start the processes again
    before running this. A run that was interrupted goes on where it is run again.
    """
    settings = settings_with_database()
    from persistence.vault import RELOAD, Vault
    from runtime import container

    vaults = {
        keys.purpose: Vault(keys.source(settings), keys.purpose)
        for keys in container.ENCRYPTION_KEYS
    }
    sources = [vault.source for vault in vaults.values()]
    if drop_old and not all(source.generated for source in sources):
        named = " and ".join(keys.setting for keys in container.ENCRYPTION_KEYS)
        raise StackError(f"the keys are in {named}: drop them there")
    with _alone(sources[0]), opened() as (_, database):
        _check_seals(database, vaults, from_fernet)
        if any([_add_key(database, vault) for vault in vaults.values()]):
            click.echo("Waiting for running processes.")
            # Whoever sealed with an old key just before has written by then.
            sleep(2 * RELOAD)
        _reseal_all(database, vaults, from_fernet)
        if from_fernet:
            bound = container.open_keys(settings, database).bind_all()
            click.echo(f"{bound} API keys were bound to whose they are.")
        if drop_old:
            for source in sources:
                source.keep_newest()
            click.echo("The old keys are forgotten.")


def _check_seals(database: Any, vaults: dict[str, Vault], from_fernet: bool) -> None:
    """Before anything is changed. Raises StackError."""
    from persistence.keyring import Sealed, sealed

    for vault in vaults.values():
        how = sealed(database, vault)
        if how is Sealed.OTHER_KEYS:
            raise StackError(
                f"the keys for {vault.purpose} do not open what is stored. Nothing was"
                " changed: `payments doctor` says more"
            )
        if how is Sealed.EARLIER_RELEASE and not from_fernet:
            raise StackError(
                "an earlier release sealed this database. Nothing was changed: run"
                " `payments rotate-keys --from-fernet` once"
            )


def _add_key(database: Any, vault: Vault) -> bool:
    """Whether there was a fresh key to add: an interrupted rotation has added its own,
    and settings are not ours to change."""
    from persistence.keyring import is_begun

    if not vault.source.generated:
        return False
    if is_begun(database, vault):
        click.echo(f"{vault.source.path}: going on with the newest key.")
        return False
    vault.source.add()
    vault.reload()
    click.echo(f"{vault.source.path} has a fresh key.")
    return True


@contextmanager
def _alone(source: KeySource) -> Iterator[None]:
    """One rotation at a time, where the keys are ours to change."""
    if not source.generated:
        yield
        return
    from persistence.vault import RotationUnderWay

    try:
        with source.alone():
            yield
    except RotationUnderWay:
        raise StackError(
            "another `payments rotate-keys` is under way. Nothing was changed"
        ) from None


def _reseal_all(database: Any, vaults: dict[str, Vault], from_fernet: bool) -> None:
    """Passes until one finds nothing to do; then the words of the keyring."""
    from rich.console import Console
    from rich.progress import Progress

    from persistence.keyring import reseal_check
    from persistence.old_seals import OldSeals
    from persistence.rotation import FENCES, reseal
    from persistence.vault import ACCOUNTS, PAYMENTS

    of = {name: vaults[ACCOUNTS if name == ACCOUNTS else PAYMENTS] for name in FENCES}
    old = OldSeals(vaults[PAYMENTS].source) if from_fernet else None
    total = sum(database[name].estimated_document_count() for name in FENCES)
    console = Console(stderr=True)
    shown = console.is_terminal  # elsewhere a bar would leave blank lines
    resealed = Counter[str]()
    for number in range(1, RESEAL_PASSES + 1):
        with Progress(console=console, transient=True, disable=not shown) as bar:
            task = bar.add_task("documents", total=total)
            lines = _Lines(total)

            def progress(count: int) -> None:
                bar.advance(task, count)
                if not shown:
                    lines.add(count)

            done = reseal(database, of, old=old, progress=progress)
        resealed += done.resealed
        if done.is_last:
            break
    else:
        raise StackError("payments keep moving. Run `payments rotate-keys` once more")
    click.echo(_resealed(resealed, passes=number))
    if done.old:
        raise StackError(
            f"{_counted(done.old)} are of an earlier release and were not opened. If"
            " this deployment was upgraded, run `payments rotate-keys --from-fernet`"
            " once; if not, somebody put them there. No key is forgotten"
        )
    if done.failed:
        named = [f"{name} {one} ({why})" for name, one, why in done.failed]
        more = " …" if len(named) > NAMED else ""
        raise StackError(
            f"{len(named)} could not be sealed anew, and no key is forgotten:"
            f" {', '.join(named[:NAMED])}{more}"
        )
    for vault in vaults.values():
        reseal_check(database, vault)


class _Lines:
    """How far a pass is, a line every TOLD_EVERY seconds: for what is no terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._read = 0
        self._due = monotonic() + TOLD_EVERY

    def add(self, count: int) -> None:
        """So many documents more were read."""
        self._read += count
        if monotonic() >= self._due:
            self._due = monotonic() + TOLD_EVERY
            click.echo(f"{self._read:,} of {self._total:,} documents read", err=True)


def _resealed(sealed: Counter[str], *, passes: int) -> str:
    if not sealed:
        return "Nothing was left to seal anew."
    were = "was" if sealed.total() == 1 else "were"
    nth = "second" if passes == 2 else "last"
    return f"{_counted(sealed)} {were} sealed anew. A {nth} pass found nothing left."


def _counted(documents: Counter[str]) -> str:
    """So many of each collection."""
    *others, last = [
        f"{count} {name.removesuffix('s') if count == 1 else name}"
        for name, count in documents.items()
        if count
    ]
    return f"{', '.join(others)} and {last}" if others else last


@contextmanager
def _api_keys(key_id: str = "") -> Iterator[tuple[ApiKeyStore, datetime]]:
    """The keys, and the time by the database's clock.

    Raises StackError where there is no ``key_id``.
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


def _tell_new(key: ApiKey, secret: str, as_json: bool) -> None:
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
        "created_at": rfc3339(key.created_at),
        "expires_at": _end(key),
    }


def _end(key: ApiKey) -> str | None:
    return rfc3339(key.expires_at) if key.expires_at else None
