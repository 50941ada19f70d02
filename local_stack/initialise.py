"""The set-up before the first process: indexes, secret keys and a test key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from application.logs import get_logger
from application.ports.accounts import ApiKeyStore
from application.api_keys import authenticate, create_key
from domain.api_keys import Role
from domain.errors import PaymentsError
from domain.payments.submission import Mode
from local_stack import demo_keys
from local_stack.state import StackError
from persistence.encryption import Vault
from persistence.indexes import Index, BuildProgress, create_indexes, compare_indexes
from persistence.key_checks import has_matching_keys
from runtime import container
from runtime.settings import Settings

#: Seconds between two reports on the build of an index, which may take an hour.
PROGRESS_INTERVAL: Final = 5.0

log = get_logger(__name__)


def initialise(
    settings: Settings,
    *,
    on_progress: Callable[[BuildProgress], None] = lambda _: None,
    unique: bool | None = None,
) -> list[Index]:
    """Makes missing indexes and secret keys; may be repeated.

    Returns the indexes that it built. ``on_progress`` and ``unique`` are those of
    ``create_indexes``. Raises StoreUnavailable, IndexNotBuilt, and StackError if the
    database was encrypted with other keys.
    """
    settings.require("mongo_url")
    database = container.open_database(settings)
    try:
        for keys in container.ENCRYPTION_KEYS:
            if not has_matching_keys(
                database, Vault(keys.source(settings), keys.purpose)
            ):
                raise StackError(_other_keys(settings, keys))
        # Any hash makes the pepper, before two processes make one each.
        container.open_keys(settings, database).find("")
        return create_indexes(database, on_progress=on_progress, unique=unique)
    finally:
        database.client.close()


def build_indexes(settings: Settings) -> None:
    """Builds the indexes that are not unique, without a time limit.

    Logs the progress, and the reason if an index cannot be built.
    """
    database = container.open_database(settings)
    try:
        built = create_indexes(
            database,
            on_progress=throttle(
                lambda build: log.info("index_building", reason=build.description)
            ),
            unique=False,
        )
        for index in built:
            log.info("index_built", index=str(index))
    except PaymentsError as error:
        log.error("index_not_built", reason=str(error))
    finally:
        database.client.close()


def unwanted_indexes(settings: Settings) -> tuple[Index, ...]:
    """Indexes that serve no query of this version: an older version's or an operator's.

    None is dropped here. Raises StoreUnavailable.
    """
    database = container.open_database(settings)
    try:
        return compare_indexes(database).unwanted
    finally:
        database.client.close()


def throttle(
    on_progress: Callable[[BuildProgress], None],
) -> Callable[[BuildProgress], None]:
    """Wraps ``on_progress``: at most one call in PROGRESS_INTERVAL seconds."""
    due = 0.0

    def throttled(progress: BuildProgress) -> None:
        nonlocal due
        if progress.seconds >= due:
            due = progress.seconds + PROGRESS_INTERVAL
            on_progress(progress)

    return throttled


def _other_keys(settings: Settings, keys: container.EncryptionKeys) -> str:
    source = keys.source(settings)
    where = str(source.path) if source.is_generated else keys.setting
    return (
        f"the encryption keys in {where} do not open the data in the database"
        f" {settings.database!r}. Restore the keys that it was used with, or set"
        " PAYMENTS_MONGO_DATABASE to another database"
    )


def ensure_demo_keys(settings: Settings) -> str | None:
    """The demo merchant's test key; None in live mode.

    Makes this key and an operator's key if they are missing. Raises StoreUnavailable.
    """
    if settings.mode is not Mode.TEST:
        return None
    database = container.open_database(settings)
    try:
        keys = container.open_keys(settings, database)
        clock = container.open_clock(database)
        _ensure(keys, clock, settings.home, demo_keys.OPERATOR, Role.OPERATOR)
        return _ensure(keys, clock, settings.home, demo_keys.SHOP, Role.MERCHANT)
    finally:
        database.client.close()


def _ensure(
    keys: ApiKeyStore,
    clock: Callable[[], datetime],
    home: Path,
    name: str,
    role: Role,
) -> str:
    """The secret in the file ``name``; a new one if it is missing or not valid."""
    secret = demo_keys.read(home, name)
    # A stored key may be revoked, or belong to another database.
    if secret is None or authenticate(secret, store=keys, clock=clock) is None:
        merchant = demo_keys.MERCHANT
        _, secret = create_key(
            merchant=merchant, role=role, mode=Mode.TEST, store=keys, now=clock()
        )
        demo_keys.write(home, secret, name)
    return secret
