"""Fixtures: a database for each test and its vaults."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo.database import Database

from persistence import indexes, mongo
from persistence.codec import Document
from persistence.encryption import ACCOUNTS, KeySource, Vault


@pytest.fixture(scope="package")
def indexed_db(mongo_url: str) -> Iterator[Database[Document]]:
    """A database with indexes; building them takes longer than most tests."""
    opened = mongo.connect(mongo_url, f"test_{uuid.uuid4().hex[:16]}")
    indexes.create_indexes(opened)
    yield opened
    opened.client.drop_database(opened.name)
    opened.client.close()


@pytest.fixture
def payments_db(indexed_db: Database[Document]) -> Database[Document]:
    """The database, emptied."""
    for name in indexed_db.list_collection_names():
        indexed_db[name].delete_many({})
    return indexed_db


@pytest.fixture
def key_source(tmp_path: Path) -> KeySource:
    """Keys in a file that does not exist yet."""
    return KeySource("", tmp_path / "keys" / "encryption_keys")


@pytest.fixture
def vault(key_source: KeySource) -> Vault:
    """A vault with a fresh key."""
    return Vault(key_source)


def vaults_of(key_source: KeySource) -> dict[str, Vault]:
    """The current vault of each collection."""
    payments = Vault(key_source)
    accounts = Vault(key_source, ACCOUNTS)
    return {"payments": payments, "webhooks": payments, "accounts": accounts}
