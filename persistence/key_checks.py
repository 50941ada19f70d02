"""Tells early that the encryption keys are not those that sealed what is stored."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from persistence.codec import Document
from persistence.encryption import ACCOUNTS, PAYMENTS, FieldUnreadable, Vault
from persistence.legacy_encryption import OldSeals, is_token
from persistence.mongo import translating_errors

#: One document for each purpose with one sealed word, made by whoever comes first.
_CHECKS: Final = {PAYMENTS: "encryption", ACCOUNTS: "account_encryption"}
_CHECK_TEXT: Final = "sealed"


class SealState(StrEnum):
    """How what is stored was sealed, as the word tells: it is sealed anew last."""

    NOTHING = "nothing"  #: the database has had no first user
    NEWEST_KEY = "newest_key"  #: all of it with the newest key, or what came since is
    OLDER_KEY = "older_key"  #: a rotation has not come to its end
    EARLIER_RELEASE = "earlier_release"  #: an upgrade has not come to its end
    OTHER_KEYS = "other_keys"  #: none of ours opens it


def is_used(database: Database[Document], purpose: str) -> bool:
    """Whether this database has had a first user. Raises StoreUnavailable."""
    with translating_errors():
        return database.keyring.find_one({"_id": _CHECKS[purpose]}) is not None


def find_seal_state(database: Database[Document], vault: Vault) -> SealState:
    """How what ``vault`` is for was sealed. Raises StoreUnavailable."""
    found = _find_check(database, vault)
    if found is None:
        return SealState.NOTHING
    word = found.get(_CHECK_TEXT)
    if is_token(word):
        # Harmless wherever it comes from: nobody is shown what it says.
        opens = _is_old_seal(word, vault)
        return SealState.EARLIER_RELEASE if opens else SealState.OTHER_KEYS
    try:
        if vault.open(word, *_place(vault)) != _CHECK_TEXT:
            return SealState.OTHER_KEYS
    except FieldUnreadable:
        return SealState.OTHER_KEYS
    return SealState.NEWEST_KEY if vault.is_current(word) else SealState.OLDER_KEY


def has_matching_keys(database: Database[Document], vault: Vault) -> bool:
    """Whether ``vault`` opens what this database's first user sealed.

    Raises StoreUnavailable.
    """
    if _find_check(database, vault) is None:
        fresh = vault.seal(_CHECK_TEXT, *_place(vault))
        with translating_errors():
            try:
                database.keyring.insert_one(
                    {"_id": _CHECKS[vault.purpose], _CHECK_TEXT: fresh}
                )
            except DuplicateKeyError:
                pass  # another process was first, with the same keys or not
    return find_seal_state(database, vault) not in (
        SealState.NOTHING,
        SealState.OTHER_KEYS,
    )


def is_rotation_begun(database: Database[Document], vault: Vault) -> bool:
    """Whether a rotation has added the newest key and has not come to its end.

    Raises StoreUnavailable.
    """
    how = find_seal_state(database, vault)
    if how is SealState.EARLIER_RELEASE:
        word = (_find_check(database, vault) or {}).get(_CHECK_TEXT, b"")
        return not OldSeals(vault.source).is_current(word)
    return how is SealState.OLDER_KEY


def reseal_check(database: Database[Document], vault: Vault) -> None:
    """Seals the word with the newest key. Raises StoreUnavailable."""
    fresh = vault.seal(_CHECK_TEXT, *_place(vault))
    with translating_errors():
        database.keyring.update_one(
            {"_id": _CHECKS[vault.purpose]}, {"$set": {_CHECK_TEXT: fresh}}, upsert=True
        )


def _find_check(database: Database[Document], vault: Vault) -> Document | None:
    with translating_errors():
        return database.keyring.find_one({"_id": _CHECKS[vault.purpose]})


def _is_old_seal(word: Any, vault: Vault) -> bool:
    try:
        return OldSeals(vault.source).open(word) == _CHECK_TEXT
    except FieldUnreadable:
        return False


def _place(vault: Vault) -> tuple[str, ...]:
    return "keyring", _CHECK_TEXT, _CHECKS[vault.purpose]
