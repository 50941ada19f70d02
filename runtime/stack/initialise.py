"""What a deployment needs before its first process: indexes, keys, and a test key."""

from __future__ import annotations

from domain.submission import Mode
from persistence import mongo
from persistence.keys import Role
from runtime import container
from runtime.stack import demo_key
from runtime.settings import Settings


def initialise(settings: Settings) -> None:
    """Makes indexes and secret keys that are not there yet; harmless to repeat.

    Raises StoreUnavailable where the database does not answer.
    """
    settings.require("mongo_url")
    database = container.open_database(settings)
    try:
        mongo.create_indexes(database)
        container.open_vault(settings)
        # Hashing anything makes the pepper, before two processes could.
        container.open_keys(settings, database).find("")
    finally:
        database.client.close()


def ensure_demo_key(settings: Settings) -> str | None:
    """The demo merchant's test key, made where it is missing; None with real money.

    Raises StoreUnavailable.
    """
    if settings.mode is not Mode.TEST:
        return None
    database = container.open_database(settings)
    try:
        keys = container.open_keys(settings, database)
        secret = demo_key.read(settings.home)
        # Kept for another database, or revoked: it opens nothing.
        if secret is None or keys.find(secret) is None:
            _, secret = keys.create(
                merchant=demo_key.MERCHANT, role=Role.MERCHANT, mode=Mode.TEST
            )
            demo_key.write(settings.home, secret)
        return secret
    finally:
        database.client.close()
