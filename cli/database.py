"""The database of commands that need no running API."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local_stack.state import StackError, settings_of
from runtime.settings import Settings

if TYPE_CHECKING:
    from pymongo.database import Database

    from persistence.codec import Document


def settings_with_database() -> Settings:
    """Reads the settings. Raises StackError if they name no database and no stack
    runs.
    """
    settings = settings_of(os.environ)
    if not settings.mongo_url:
        raise StackError(
            f"no stack runs in {settings.home.resolve()}. Start one with `payments up`,"
            " or set PAYMENTS_MONGO_URL to use another database"
        )
    return settings


@contextmanager
def opened() -> Iterator[tuple[Settings, Database[Document]]]:
    """Opens the settings' database for the duration of a command.

    Raises StackError as ``settings_with_database`` does.
    """
    settings = settings_with_database()
    from runtime.container import open_database

    database = open_database(settings)
    try:
        yield settings, database
    finally:
        database.client.close()
