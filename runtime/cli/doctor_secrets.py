"""What `payments doctor` says of keys: whether they are safe, and the right ones."""

from __future__ import annotations

from collections.abc import Iterator

from domain.errors import StoreUnavailable
from persistence.keyring import is_sealed, keys_fit
from runtime import container
from runtime.cli.findings import FAIL, OK, Finding
from runtime.settings import Settings

_NAME = "encryption keys"


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
    source = container.encryption_keys(settings)
    where = str(source.path) if source.generated else "PAYMENTS_ENCRYPTION_KEYS"
    database = container.open_database(settings)
    try:
        if not is_sealed(database):
            yield Finding(_NAME, OK, "nothing is sealed yet")
        elif source.generated and not source.path.exists():
            yield _lost(f"{where} is missing")
        elif not keys_fit(database, container.open_vault(settings)):
            yield _lost(f"those in {where} do not open what is stored")
        else:
            yield Finding(_NAME, OK, f"those in {where} open what is stored")
    except StoreUnavailable:
        return  # said already
    finally:
        database.client.close()


def _lost(words: str) -> Finding:
    return Finding(
        _NAME,
        FAIL,
        words,
        "Put the keys back that this database was used with, from a backup: without"
        " them no payment in it can be read",
    )
