"""Tells early that the encryption keys are not those that sealed what is stored."""

from __future__ import annotations

from typing import Final

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from persistence.codec import Document
from persistence.mongo import answering
from persistence.vault import KeyMissing, Vault

#: One document with one sealed word, made by whoever comes first.
_CHECK: Final = "encryption"
_WORD: Final = "sealed"


def is_sealed(database: Database[Document]) -> bool:
    """Whether this database has had a first user. Raises StoreUnavailable."""
    with answering():
        return database.keyring.find_one({"_id": _CHECK}) is not None


def keys_fit(database: Database[Document], vault: Vault) -> bool:
    """Whether ``vault`` opens what this database's first user sealed.

    Raises StoreUnavailable.
    """
    with answering():
        found = database.keyring.find_one({"_id": _CHECK})
        if found is None:
            try:
                database.keyring.insert_one({"_id": _CHECK, _WORD: vault.seal(_WORD)})
            except DuplicateKeyError:
                pass  # another process was first, with the same keys or not
            found = database.keyring.find_one({"_id": _CHECK})
    try:
        return found is not None and vault.open(found[_WORD]) == _WORD
    except KeyMissing:
        return False


def reseal_check(database: Database[Document], vault: Vault) -> None:
    """Seals the word with the newest key. Raises StoreUnavailable."""
    with answering():
        database.keyring.update_one(
            {"_id": _CHECK}, {"$set": {_WORD: vault.seal(_WORD)}}, upsert=True
        )
