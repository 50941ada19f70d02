"""Checks of `payments doctor` on keys: file permissions, and whether they fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pymongo.database import Database

from cli.findings import FAIL, OK, WARN, Finding
from domain.errors import StoreUnavailable
from persistence import key_checks
from persistence.accounts import MongoAccounts
from persistence.encryption import ACCOUNTS, Vault
from persistence.key_checks import SealState
from runtime import container
from runtime.settings import Settings

#: Accounts in a finding.
_NAMED = 5


def secret_files(settings: Settings) -> Iterator[Finding]:
    """Checks that only the service's user can read generated keys."""
    folder = settings.home / "keys"
    for file in sorted(folder.glob("*")):
        if file.stat().st_mode & 0o077:
            yield Finding(
                "key files",
                FAIL,
                f"{file} can be read by others",
                f"Run: chmod 600 {file}",
            )
            return
    yield Finding("key files", OK, "only their owner can read generated keys")


def encryption(settings: Settings) -> Iterator[Finding]:
    """Checks that the keys open the stored documents; creates and writes nothing."""
    if not settings.mongo_url:
        return  # reported by another check
    database = container.open_database(settings)
    try:
        for keys in container.ENCRYPTION_KEYS:
            source = keys.source(settings)
            if source.is_generated and not source.path.exists():
                # A vault would create the file.
                if key_checks.is_used(database, keys.purpose):
                    yield _lost(keys.title, f"{source.path} is missing")
                else:
                    yield Finding(keys.title, OK, "nothing is sealed yet")
            else:
                where = str(source.path) if source.is_generated else keys.setting
                vault = Vault(source, keys.purpose)
                yield _sealed(
                    keys.title, where, key_checks.find_seal_state(database, vault)
                )
                if keys.purpose == ACCOUNTS:
                    yield from _accounts(database, vault)
    except StoreUnavailable:
        return  # reported by another check
    finally:
        database.client.close()


def _sealed(title: str, where: str, how: SealState) -> Finding:
    if how is SealState.NOTHING:
        return Finding(title, OK, "nothing is sealed yet")
    if how is SealState.OTHER_KEYS:
        return _lost(title, f"those in {where} do not open the stored documents")
    if how is SealState.EARLIER_RELEASE:
        return Finding(
            title,
            FAIL,
            "some documents were sealed by an earlier release and are not opened",
            "Run: payments rotate-keys --from-fernet",
        )
    if how is SealState.OLDER_KEY:
        return Finding(
            title,
            WARN,
            "some documents are sealed with an older key: a rotation is unfinished",
            "Run: payments rotate-keys",
        )
    return Finding(title, OK, f"those in {where} open the stored documents")


def _accounts(database: Database[Any], vault: Vault) -> Iterator[Finding]:
    """Checks that each account's credentials open in their document."""
    broken = MongoAccounts(database, vault).list_unreadable()
    if broken:
        names = ", ".join(broken[:_NAMED]) + (" …" if len(broken) > _NAMED else "")
        yield Finding(
            "accounts",
            FAIL,
            f"the credentials of {len(broken)} cannot be opened: {names}",
            "They were moved or changed in the database. Restore them from a backup, or"
            " add the accounts again: payments accounts add",
        )


def _lost(title: str, words: str) -> Finding:
    return Finding(
        title,
        FAIL,
        words,
        "Restore this database's keys from a backup. Without them its sealed documents"
        " cannot be read",
    )
