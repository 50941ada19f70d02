"""What `payments doctor` says of keys: whether they are safe, and the right ones."""

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

#: Accounts that a finding names.
_NAMED = 5


def secret_files(settings: Settings) -> Iterator[Finding]:
    """Generated keys are for the service's own user alone."""
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
    yield Finding("key files", OK, "generated keys are readable by their owner alone")


def encryption(settings: Settings) -> Iterator[Finding]:
    """Whether the keys open what is stored; makes none and writes nothing."""
    if not settings.mongo_url:
        return  # said already
    database = container.open_database(settings)
    try:
        for keys in container.ENCRYPTION_KEYS:
            source = keys.source(settings)
            if source.is_generated and not source.path.exists():
                # A vault would make the file.
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
        return  # said already
    finally:
        database.client.close()


def _sealed(title: str, where: str, how: SealState) -> Finding:
    if how is SealState.NOTHING:
        return Finding(title, OK, "nothing is sealed yet")
    if how is SealState.OTHER_KEYS:
        return _lost(title, f"those in {where} do not open what is stored")
    if how is SealState.EARLIER_RELEASE:
        return Finding(
            title,
            FAIL,
            "documents are left that an earlier release sealed; they are not opened",
            "Run: payments rotate-keys --from-fernet",
        )
    if how is SealState.OLDER_KEY:
        return Finding(
            title,
            WARN,
            "seals of an older key are left: a rotation has not come to its end",
            "Run: payments rotate-keys",
        )
    return Finding(title, OK, f"those in {where} open what is stored")


def _accounts(database: Database[Any], vault: Vault) -> Iterator[Finding]:
    """Whether each account's credentials open in their place."""
    broken = MongoAccounts(database, vault).list_unreadable()
    if broken:
        names = ", ".join(broken[:_NAMED]) + (" …" if len(broken) > _NAMED else "")
        yield Finding(
            "accounts",
            FAIL,
            f"the credentials of {len(broken)} cannot be opened: {names}",
            "Somebody moved or changed them in the database. Put them back from a"
            " backup, or add the accounts anew: payments accounts add",
        )


def _lost(title: str, words: str) -> Finding:
    return Finding(
        title,
        FAIL,
        words,
        "Put the keys back that this database was used with, from a backup: without"
        " them what they sealed cannot be read",
    )
