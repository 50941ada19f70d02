"""Tells early that the encryption keys are not those that sealed what is stored."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from persistence.codec import Document
from persistence.encryption import ACCOUNTS, PAYMENTS, FieldUnreadable, Vault
from persistence.legacy_encryption import OldSeals, is_token
from persistence.mongo import answering

#: One document for each purpose with one sealed word, made by whoever comes first.
_CHECKS: Final = {PAYMENTS: "encryption", ACCOUNTS: "account_encryption"}
_WORD: Final = "sealed"


class Sealed(StrEnum):
    """How what is stored was sealed, as the word tells: it is sealed anew last."""

    NOTHING = "nothing"  #: the database has had no first user
    NEWEST_KEY = "newest_key"  #: all of it with the newest key, or what came since is
    OLDER_KEY = "older_key"  #: a rotation has not come to its end
    EARLIER_RELEASE = "earlier_release"  #: an upgrade has not come to its end
    OTHER_KEYS = "other_keys"  #: none of ours opens it


def is_used(database: Database[Document], purpose: str) -> bool:
    """Whether this database has had a first user. Raises StoreUnavailable."""
    with answering():
        return database.keyring.find_one({"_id": _CHECKS[purpose]}) is not None


def sealed(database: Database[Document], vault: Vault) -> Sealed:
    """How what ``vault`` is for was sealed. Raises StoreUnavailable."""
    found = _found(database, vault)
    if found is None:
        return Sealed.NOTHING
    word = found.get(_WORD)
    if is_token(word):
        # Harmless wherever it comes from: nobody is shown what it says.
        opens = _opens_old(word, vault)
        return Sealed.EARLIER_RELEASE if opens else Sealed.OTHER_KEYS
    try:
        if vault.open(word, *_place(vault)) != _WORD:
            return Sealed.OTHER_KEYS
    except FieldUnreadable:
        return Sealed.OTHER_KEYS
    return Sealed.NEWEST_KEY if vault.is_current(word) else Sealed.OLDER_KEY


def keys_fit(database: Database[Document], vault: Vault) -> bool:
    """Whether ``vault`` opens what this database's first user sealed.

    Raises StoreUnavailable.
    """
    if _found(database, vault) is None:
        fresh = vault.seal(_WORD, *_place(vault))
        with answering():
            try:
                database.keyring.insert_one(
                    {"_id": _CHECKS[vault.purpose], _WORD: fresh}
                )
            except DuplicateKeyError:
                pass  # another process was first, with the same keys or not
    return sealed(database, vault) not in (Sealed.NOTHING, Sealed.OTHER_KEYS)


def is_begun(database: Database[Document], vault: Vault) -> bool:
    """Whether a rotation has added the newest key and has not come to its end.

    Raises StoreUnavailable.
    """
    how = sealed(database, vault)
    if how is Sealed.EARLIER_RELEASE:
        word = (_found(database, vault) or {}).get(_WORD, b"")
        return not OldSeals(vault.source).is_current(word)
    return how is Sealed.OLDER_KEY


def reseal_check(database: Database[Document], vault: Vault) -> None:
    """Seals the word with the newest key. Raises StoreUnavailable."""
    fresh = vault.seal(_WORD, *_place(vault))
    with answering():
        database.keyring.update_one(
            {"_id": _CHECKS[vault.purpose]}, {"$set": {_WORD: fresh}}, upsert=True
        )


def _found(database: Database[Document], vault: Vault) -> Document | None:
    with answering():
        return database.keyring.find_one({"_id": _CHECKS[vault.purpose]})


def _opens_old(word: Any, vault: Vault) -> bool:
    try:
        return OldSeals(vault.source).open(word) == _WORD
    except FieldUnreadable:
        return False


def _place(vault: Vault) -> tuple[str, ...]:
    return "keyring", _WORD, _CHECKS[vault.purpose]
