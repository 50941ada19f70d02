"""What a deployment needs before its first process: indexes, keys, and a test key."""

from __future__ import annotations

from pathlib import Path

from domain.submission import Mode
from persistence import mongo
from persistence.keyring import keys_fit
from persistence.keys import ApiKeys, Role
from runtime import container
from runtime.stack import demo_key
from runtime.stack.state import StackError
from runtime.settings import Settings


def initialise(settings: Settings) -> None:
    """Makes indexes and secret keys that are not there yet; harmless to repeat.

    Raises StoreUnavailable where the database does not answer, and StackError where it
    was sealed with other keys.
    """
    settings.require("mongo_url")
    database = container.open_database(settings)
    try:
        mongo.create_indexes(database)
        if not keys_fit(database, container.open_vault(settings)):
            raise StackError(_other_keys(settings))
        # Hashing anything makes the pepper, before two processes could.
        container.open_keys(settings, database).find("")
    finally:
        database.client.close()


def _other_keys(settings: Settings) -> str:
    source = container.encryption_keys(settings)
    where = str(source.path) if source.generated else "PAYMENTS_ENCRYPTION_KEYS"
    return (
        f"the encryption keys in {where} do not open what is stored in the database"
        f" {settings.database!r}. Put those back that it was used with, or name another"
        " one by PAYMENTS_MONGO_DATABASE"
    )


def ensure_demo_keys(settings: Settings) -> str | None:
    """The demo merchant's test key; it and an operator's are made where they miss.

    None with real money.
    Raises StoreUnavailable.
    """
    if settings.mode is not Mode.TEST:
        return None
    database = container.open_database(settings)
    try:
        keys = container.open_keys(settings, database)
        _ensure(keys, settings.home, demo_key.OPERATOR, Role.OPERATOR)
        return _ensure(keys, settings.home, demo_key.SHOP, Role.MERCHANT)
    finally:
        database.client.close()


def _ensure(keys: ApiKeys, home: Path, name: str, role: Role) -> str:
    """The secret in the file ``name``, made anew where it opens nothing."""
    secret = demo_key.read(home, name)
    # Kept for another database, or revoked: it opens nothing.
    if secret is None or keys.find(secret) is None:
        merchant = demo_key.MERCHANT
        _, secret = keys.create(merchant=merchant, role=role, mode=Mode.TEST)
        demo_key.write(home, secret, name)
    return secret
