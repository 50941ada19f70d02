"""`payments rotate-keys`: seals every stored field with the newest key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

import click

from cli.database import opened, settings_with_database
from local_stack.state import StackError

if TYPE_CHECKING:
    from persistence.encryption import KeySource, Vault

#: A pass misses only payments that changed during it; two passes are usual.
RESEAL_PASSES: Final = 10
#: Seconds between two progress lines; a pass over millions of documents takes minutes.
PROGRESS_INTERVAL: Final = 5.0
#: Documents that a message names.
MAX_NAMED: Final = 10


@click.command("rotate-keys")
@click.option(
    "--drop-old",
    is_flag=True,
    help="Then delete the old keys. Earlier backups can no longer be read.",
)
@click.option(
    "--from-fernet",
    is_flag=True,
    help="Use once after an upgrade: also opens seals of an earlier release, which are"
    " not bound to their documents.",
)
def rotate_keys(drop_old: bool, from_fernet: bool) -> None:
    """Seal every stored field with a fresh encryption key.

    There is one key for payments and one for accounts. Running processes load them
    within seconds. If the keys are in PAYMENTS_ENCRYPTION_KEYS and
    PAYMENTS_ACCOUNT_ENCRYPTION_KEYS, put new ones first and restart the processes
    before this command. An interrupted run continues when the command runs again.
    """
    settings = settings_with_database()
    from persistence.encryption import RELOAD, Vault
    from runtime import container

    vaults = {
        keys.purpose: Vault(keys.source(settings), keys.purpose)
        for keys in container.ENCRYPTION_KEYS
    }
    sources = [vault.source for vault in vaults.values()]
    if drop_old and not all(source.is_generated for source in sources):
        named = " and ".join(keys.setting for keys in container.ENCRYPTION_KEYS)
        raise StackError(f"the keys are in {named}: drop them there")
    with _exclusive(sources[0]), opened() as (_, database):
        _check_seals(database, vaults, from_fernet)
        if any([_add_key(database, vault) for vault in vaults.values()]):
            click.echo("Waiting for running processes.")
            # Writes sealed with an old key are stored after this time.
            sleep(2 * RELOAD)
        _reseal_all(database, vaults, from_fernet)
        if from_fernet:
            bound = container.open_keys(settings, database).bind_all()
            click.echo(f"{bound} API keys were bound to their merchants.")
        if drop_old:
            for source in sources:
                source.drop_old_keys()
            click.echo("The old keys are deleted.")


def _check_seals(database: Any, vaults: dict[str, Vault], from_fernet: bool) -> None:
    """Raises StackError if the keys do not fit, before anything is changed."""
    from persistence.key_checks import SealState, find_seal_state

    for vault in vaults.values():
        how = find_seal_state(database, vault)
        if how is SealState.OTHER_KEYS:
            raise StackError(
                f"the keys for {vault.purpose} do not open the stored documents."
                " Nothing was changed: see `payments doctor`"
            )
        if how is SealState.EARLIER_RELEASE and not from_fernet:
            raise StackError(
                "an earlier release sealed this database. Nothing was changed: run"
                " `payments rotate-keys --from-fernet` once"
            )


def _add_key(database: Any, vault: Vault) -> bool:
    """Adds a fresh key and returns whether it did.

    No key is added to settings, or if an interrupted rotation has added one already.
    """
    from persistence.key_checks import is_rotation_begun

    if not vault.source.is_generated:
        return False
    if is_rotation_begun(database, vault):
        click.echo(f"{vault.source.path}: continuing with the newest key.")
        return False
    vault.source.add_key()
    vault.reload()
    click.echo(f"{vault.source.path} has a fresh key.")
    return True


@contextmanager
def _exclusive(source: KeySource) -> Iterator[None]:
    """Allows one rotation at a time of generated keys."""
    if not source.is_generated:
        yield
        return
    from persistence.encryption import RotationUnderWay

    try:
        with source.exclusive():
            yield
    except RotationUnderWay:
        raise StackError(
            "another `payments rotate-keys` is running. Nothing was changed"
        ) from None


def _reseal_all(database: Any, vaults: dict[str, Vault], from_fernet: bool) -> None:
    """Seals documents in passes until one finds nothing to do, then the keyring."""
    from rich.console import Console
    from rich.progress import Progress

    from persistence.encryption import ACCOUNTS, PAYMENTS
    from persistence.key_checks import reseal_check
    from persistence.legacy_encryption import OldSeals
    from persistence.reencrypt import FENCES, reseal

    vault_of = {
        name: vaults[ACCOUNTS if name == ACCOUNTS else PAYMENTS] for name in FENCES
    }
    old = OldSeals(vaults[PAYMENTS].source) if from_fernet else None
    total = sum(database[name].estimated_document_count() for name in FENCES)
    console = Console(stderr=True)
    shown = console.is_terminal  # in a pipe a bar would leave blank lines
    resealed = Counter[str]()
    for number in range(1, RESEAL_PASSES + 1):
        with Progress(console=console, transient=True, disable=not shown) as bar:
            task = bar.add_task("documents", total=total)
            lines = _LineProgress(total)

            def progress(count: int) -> None:
                bar.advance(task, count)
                if not shown:
                    lines.add(count)

            done = reseal(database, vault_of, old=old, progress=progress)
        resealed += done.resealed
        if done.is_last:
            break
    else:
        raise StackError("payments keep changing. Run `payments rotate-keys` once more")
    click.echo(_describe_resealed(resealed, passes=number))
    if done.old:
        raise StackError(
            f"{_describe_counts(done.old)} are of an earlier release and were not"
            " opened. After an upgrade, run `payments rotate-keys --from-fernet` once;"
            " otherwise these documents were planted. No key was deleted"
        )
    if done.failed:
        named = [f"{name} {one} ({error})" for name, one, error in done.failed]
        more = " …" if len(named) > MAX_NAMED else ""
        raise StackError(
            f"{len(named)} could not be sealed anew, and no key was deleted:"
            f" {', '.join(named[:MAX_NAMED])}{more}"
        )
    for vault in vaults.values():
        reseal_check(database, vault)


class _LineProgress:
    """Prints a pass's progress every PROGRESS_INTERVAL seconds, without a terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._read = 0
        self._due = monotonic() + PROGRESS_INTERVAL

    def add(self, count: int) -> None:
        """Counts documents that were read."""
        self._read += count
        if monotonic() >= self._due:
            self._due = monotonic() + PROGRESS_INTERVAL
            click.echo(f"{self._read:,} of {self._total:,} documents read", err=True)


def _describe_resealed(sealed: Counter[str], *, passes: int) -> str:
    if not sealed:
        return "Nothing was left to seal anew."
    were = "was" if sealed.total() == 1 else "were"
    nth = "second" if passes == 2 else "last"
    return (
        f"{_describe_counts(sealed)} {were} sealed anew. A {nth} pass found nothing"
        " left."
    )


def _describe_counts(documents: Counter[str]) -> str:
    """Renders the count of each collection."""
    *others, last = [
        f"{count} {name.removesuffix('s') if count == 1 else name}"
        for name, count in documents.items()
        if count
    ]
    return f"{', '.join(others)} and {last}" if others else last
